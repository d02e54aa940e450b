"""The command line: arguments, messages and exit codes."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import Forbidden, KubeError, NotFound, Unauthorized
from modeldeploy.cli import intent, watch
from modeldeploy.cli.backtest.arguments import add_arguments
from modeldeploy.cli.backtest.problem import WrongInput
from modeldeploy.cli.connection import Connection, ConnectionProblem, connect
from modeldeploy.cli.source import follow

FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130
PLUGIN = "kubectl-modeldeploy"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 when the object is gone, an intent was accepted or the past was replayed, 1 after an error or a
        refusal, 2 for wrong arguments or input, 130 after Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone; the interpreter would complain once more
        return 0
    except (Problem, ConnectionProblem, WrongInput) as problem:
        sys.stderr.write(f"error: {problem}\n")
        return WRONG_USE if isinstance(problem, WrongInput) else FAILED


class Problem(Exception):  # noqa: N818 - told to people, never handled
    """What went wrong and how it is mended, in a sentence."""


def _run(options: argparse.Namespace) -> int:
    if options.command == "backtest":
        from modeldeploy.cli.backtest.run import run  # noqa: PLC0415 - the others need no core

        return run(options, _write, datetime.now(UTC))
    if options.command == "watch":
        return asyncio.run(_watch(options, _form(options.output)))
    return asyncio.run(_ask(options))


async def _watch(options: argparse.Namespace, form: str) -> int:
    async with _connected(options) as connection:
        await watch.run(follow(connection.api, connection.namespace, options.name), form, _write)
    return 0


async def _ask(options: argparse.Namespace) -> int:
    async with _connected(options) as connection:
        try:
            accepted = await intent.ask(
                Kube(connection.api),
                connection.namespace,
                options.name,
                options.command,
                getattr(options, "revision", None),
                _write,
                form=options.output,
            )
        except intent.NothingMeantError as error:
            raise Problem(str(error)) from error
    return 0 if accepted else FAILED


@asynccontextmanager
async def _connected(options: argparse.Namespace) -> AsyncIterator[Connection]:
    """A way to the cluster; what goes wrong on it becomes a sentence."""
    connection = await connect(
        kubeconfig=options.kubeconfig, context=options.context, namespace=options.namespace
    )
    try:
        yield connection
    except NotFound as error:
        raise Problem(_not_found(error, options.name, connection.namespace)) from error
    except Forbidden as error:
        raise Problem(f"you may not do this to modeldeployments here: {error}") from error
    except Unauthorized as error:
        raise Problem(f"the cluster doesn't accept your credentials: {error}") from error
    except KubeError as error:
        raise Problem(str(error)) from error
    finally:
        await connection.api.close()


def _not_found(error: NotFound, name: str, namespace: str) -> str:
    if "could not find the requested resource" in str(error):
        return "this cluster doesn't know ModelDeployments; install the chart charts/modeldeploy first"
    return f'there is no modeldeployment "{name}" in namespace "{namespace}"; see kubectl get mdep -A'


def _form(asked: str | None) -> str:
    """Live on a terminal, lines elsewhere, unless something is asked for."""
    if asked == "live" and not sys.stdout.isatty():
        raise Problem("--output live needs a terminal; --output text writes lines")
    form = asked or ("live" if sys.stdout.isatty() else "text")
    if form == "live" and find_spec("rich") is None:
        if asked:
            raise Problem("--output live needs the package rich: pip install 'modeldeploy[cli]'")
        return "text"
    return form


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    called = "kubectl modeldeploy" if Path(sys.argv[0]).name == PLUGIN else "modeldeploy"
    parser = argparse.ArgumentParser(prog=called, description="What modeldeploy does, in your terminal.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser(
        "watch",
        help="follow a ModelDeployment: phase, weights, verdicts, Events",
        description="Follow a ModelDeployment until it is deleted or you press Ctrl-C.",
        epilog="Exit code 0: it was deleted; 1: an error; 2: wrong arguments; 130: Ctrl-C.",
    )
    _whom(one)
    one.add_argument(
        "-o",
        "--output",
        choices=["live", "text", "json"],
        help="live: drawn in place; text: a line for each change; json: a JSON object for each change "
        "(default: live on a terminal, text elsewhere)",
    )
    add_arguments(commands)
    for name, what in intent.WHAT.items():
        _add_intent(commands, name, what)
    for name, what in (("pause", "stay at the step under way"), ("resume", "go on after a pause")):
        asked = commands.add_parser(name, help=what, description=f"{what.capitalize()}.")
        _whom(asked)
        asked.add_argument("-o", "--output", choices=["text", "json"], default="text")
    return parser


def _add_intent(commands: Any, name: str, what: str) -> None:
    asked = commands.add_parser(
        name,
        help=what,
        description=f"{what.capitalize()}. It is written to spec.rollout.control and acts once.",
        epilog="Exit code 0: accepted; 1: refused, or an error; 2: wrong arguments.",
    )
    _whom(asked)
    asked.add_argument(
        "--revision",
        help="the revision that is meant (default: the one that it can only be); any other refuses it",
    )
    asked.add_argument("-o", "--output", choices=["text", "json"], default="text")


def _whom(one: argparse.ArgumentParser) -> None:
    one.add_argument("name", metavar="NAME", help="the ModelDeployment's name")
    one.add_argument("-n", "--namespace", help="its namespace (default: the context's)")
    one.add_argument("--context", help="a context of the kubeconfig (default: the current one)")
    one.add_argument("--kubeconfig", type=Path, help="the kubeconfig (default: $KUBECONFIG, ~/.kube/config)")
