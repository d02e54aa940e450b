"""``python -m cluster up|down|status|load|kubectl|helm``."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from cluster import (
    IMAGES,
    Cluster,
    ClusterError,
    UnavailableError,
    addons,
    controlplane,
    down,
    ensure,
    kindcluster,
    metrics,
    record,
)
from cluster.manager import KUBECONFIG_VARIABLE, NAME_VARIABLE, become
from cluster.progress import say
from cluster.record import CONTROL_PLANE, GIVEN, KIND, NODE

CLIENTS = ("kubectl", "helm")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cluster", description="A real cluster for tests and demo."
    )
    parser.add_argument(
        "--name", help=f"the cluster's name ({NAME_VARIABLE}; by default one for each flavour)"
    )
    parser.add_argument(
        "--flavour", choices=[GIVEN, KIND, NODE, CONTROL_PLANE], help="do not choose, take this"
    )
    parser.add_argument("--kubeconfig", type=Path, help=f"use this cluster ({KUBECONFIG_VARIABLE})")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="find or make a cluster that runs pods")
    up.add_argument("--kwok", action="store_true", help="let kwok play nodes on a control plane alone")
    gone = commands.add_parser("down", help="take the cluster down")
    gone.add_argument("--purge", action="store_true", help="its imported images too")
    gone.add_argument("--all", action="store_true", help="every cluster that this command made")
    commands.add_parser("status", help="what is running")
    load = commands.add_parser("load", help="build images and put them on the nodes")
    load.add_argument("images", nargs="+", choices=sorted(IMAGES), metavar="IMAGE", help=", ".join(IMAGES))
    commands.add_parser("addons", help="install Envoy Gateway and Traefik")
    commands.add_parser("metrics", help="install metrics-server, so that autoscalers see the CPU in use")
    for program in CLIENTS:
        commands.add_parser(program, help=f"run {program} against the cluster")
    return parser


def _found(arguments: argparse.Namespace) -> Cluster:
    return ensure(
        name=arguments.name,
        flavour=arguments.flavour,
        kubeconfig=arguments.kubeconfig,
        play_nodes=getattr(arguments, "kwok", False),
    )


def _up(arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    found = _found(arguments)
    say(f"{found.flavour} cluster {found.name} is up after {time.monotonic() - started:.1f} s")
    say(f"export KUBECONFIG={found.kubeconfig}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    known = [*record.names(), *kindcluster.names()]
    chosen = [arguments.name or os.environ.get(NAME_VARIABLE)]
    if arguments.all:
        chosen = list(known)
    elif chosen == [None]:
        if len(known) > 1:
            raise ClusterError(f"which one? --name or --all; there are {', '.join(known)}")
        chosen = list(known)
    if not chosen:
        say("there is no cluster")
    for name in chosen:
        gone = down(str(name), purge=arguments.purge)
        say(f"cluster {name} is down" if gone else f"there is no cluster {name}")
    return 0


def _status(_: argparse.Namespace) -> int:
    for name in record.names():
        known = record.load(name)
        if known is None:
            continue
        ended = known.dead()
        state = f"ended: {', '.join(ended)}" if ended else "running"
        if not ended and not controlplane.answers(known):
            state = "the API server does not answer"
        print(
            json.dumps(
                {
                    "name": name,
                    "flavour": known.flavour,
                    "state": state,
                    "server": known.server,
                    "kubeconfig": str(known.kubeconfig),
                    "logs": str(known.logs),
                }
            )
        )
    for name in kindcluster.names():
        print(json.dumps({"name": name, "flavour": KIND, "kubeconfig": str(kindcluster.kubeconfig(name))}))
    return 0


def _load(arguments: argparse.Namespace) -> int:
    for reference in _found(arguments).build_and_load(arguments.images).values():
        print(reference)
    return 0


def _addons(arguments: argparse.Namespace) -> int:
    addons.install(_found(arguments))
    return 0


def _metrics(arguments: argparse.Namespace) -> int:
    metrics.ensure(_found(arguments))
    return 0


def _client(arguments: argparse.Namespace) -> int:
    return become(_found(arguments), arguments.command, arguments.words)


COMMANDS = {
    "up": _up,
    "down": _down,
    "status": _status,
    "load": _load,
    "addons": _addons,
    "metrics": _metrics,
    **dict.fromkeys(CLIENTS, _client),
}


def main() -> int:
    """Run the command line; the exit code is 0 when it did what was asked, 3 when no cluster can run here."""
    words = sys.argv[1:]
    # what follows kubectl or helm is theirs, options too
    end = next((place + 1 for place, word in enumerate(words) if word in CLIENTS), len(words))
    arguments = _parser().parse_args(words[:end])
    arguments.words = words[end:]
    try:
        return COMMANDS[arguments.command](arguments)
    except UnavailableError as error:
        say(f"no cluster here: {error}")
        return 3
    except ClusterError as error:
        say(f"failed: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
