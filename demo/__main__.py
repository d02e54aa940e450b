"""`python -m demo --case nulls|slow|errors`."""

import argparse
import os
import shutil
import signal
import sys
from types import FrameType

from rich.console import Console

from cluster import ClusterError, UnavailableError
from cluster.manager import NAME_VARIABLE
from cluster.record import GIVEN
from demo import report, stage, trouble
from demo.cases import BETTER, CASES, FIRST, NAME, Case, manifest
from demo.screen import Missed, Screen
from demo.stage import NAMESPACE, RELEASE, SYSTEM, Stage
from demo.story import Story

FAILED, UNAVAILABLE, INTERRUPTED = 1, 3, 130
LINE = 120
"""Columns of the tables where there is no terminal."""


def main() -> int:
    """Run the demo.

    Returns:
        0 when everything happened as it should, 1 when something didn't, 3 when no cluster can run here, 130
        after Ctrl-C.
    """
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else LINE)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with stage.alone():
            return _run(options, console)
    except UnavailableError as error:
        console.print(f"no cluster here: {error}", markup=False, style="red")
        return UNAVAILABLE
    except ClusterError as error:
        console.print(f"failed: {error}", markup=False, style="red")
        return FAILED
    except KeyboardInterrupt:
        console.print(
            "\ninterrupted; what was started goes on. make demo starts afresh, make cluster-down ends it"
        )
        return INTERRUPTED


def _run(options: argparse.Namespace, console: Console) -> int:
    case = CASES[options.case]
    versions = [f"digits:{version}" for version in (FIRST, case.version, BETTER)]
    where = stage.set_up(["operator", "envoy", "prometheus", *versions])
    story = Story(where, case, options.rate, Screen(console))
    missing = _play(where, story)
    if story.facts.applied:
        report.tell(console, story.facts, _interval(case))
    if missing:
        _complain(console, where, story, missing)
    else:
        good = f"{case.version} was rolled back, {BETTER} promoted, and no request failed"
        but = f" but those that {case.version} fails on purpose" if case.errors else ""
        console.print(f"\n[bold green]{good}{but}.[/]")
    if options.keep:
        _say_how_to_go_on(console, where)
    else:
        stage.put_away(where)
    return FAILED if missing else 0


def _play(where: Stage, story: Story) -> list[str]:
    """What was missing; empty if everything happened."""
    try:
        stage.install(where)
        story.play()
    except (Missed, ClusterError) as error:
        return [str(error)]
    return report.problems(story.facts)


def _complain(console: Console, where: Stage, story: Story, missing: list[str]) -> None:
    console.print("\n[bold red]The demo did not show what it should:[/]")
    for each in missing:
        console.print(f"  - {each}", markup=False, highlight=False, soft_wrap=True)
    if busy := report.crowded(os.getloadavg()[0], os.cpu_count() or 1):
        console.print(busy, style="yellow", soft_wrap=True)
    path = trouble.save(where, story.facts.load, "\n".join(missing))
    console.print(f"Status, Events and the operator's log are in {path}", markup=False, soft_wrap=True)


def _say_how_to_go_on(console: Console, where: Stage) -> None:
    cluster = where.cluster
    lines = [
        f"export KUBECONFIG={cluster.kubeconfig}",
        f"kubectl --namespace {NAMESPACE} get mdep,pods",
        f"kubectl --namespace {NAMESPACE} describe mdep {NAME}",
        "kubectl explain mdep.spec.rollout",
        f".venv/bin/modeldeploy watch {NAME} --namespace {NAMESPACE}",
    ]
    if shutil.which("kubectl") is None:
        lines.insert(0, f"export PATH=$PATH:{cluster.kubectl.parent}")
    end = f"make cluster-down {NAME_VARIABLE}={cluster.name}"
    if cluster.flavour == GIVEN:
        end = f"helm uninstall {RELEASE} --namespace {SYSTEM}; kubectl delete namespace {NAMESPACE} {SYSTEM}"
    for text in ("\nEverything is still there. Look around:", *lines, "and when you have seen enough:", end):
        indent = "" if text.endswith(":") else "  "
        console.print(f"{indent}{text}", markup=False, highlight=False, soft_wrap=True)


def _interval(case: Case) -> str:
    return str(manifest(case.version, "")["spec"]["monitoring"]["interval"])


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Install modeldeploy, roll out a bad version and a good one, and watch what happens.",
        epilog="Exit code 0: the bad version was rolled back, the good one promoted, no request failed; "
        "1: something of that is missing; 3: no cluster can run here; 130: Ctrl-C.",
    )
    faults = "; ".join(f"{name}: {case.fault}" for name, case in CASES.items())
    parser.add_argument("--case", choices=sorted(CASES), default="nulls", help=f"the bad version. {faults}")
    parser.add_argument("--rate", type=float, default=50.0, help="requests per second (default: 50)")
    parser.add_argument(
        "--keep",
        action=argparse.BooleanOptionalAction,
        default=sys.stdout.isatty(),
        help="leave everything running at the end to look around (default: on a terminal)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
