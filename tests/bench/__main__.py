"""`python -m bench`: one JSON line per figure on stdout, progress on stderr.

The exit code is 0 if all figures keep their bars, 1 if one misses its bar, 2 if one could not be measured.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import (
    causes,
    failover,
    idle,
    interruptions,
    judgement,
    kill,
    providers,
    ready,
    rollback,
    router,
    ticks,
    whole,
)
from bench.figure import Figure
from bench.replay import prometheus_url
from cluster import Cluster, ClusterError, UnavailableError, ensure
from cluster.progress import say, step
from digits.load import Load
from e2e.reach import kubectl_proxy
from e2e.support import CRD, SYSTEM, Installation, Place

IMAGES = ("operator", "envoy", "prometheus", "digits:v1", "digits:v2-nulls", "digits:v3")
READY = {"ready_overhead_s"}
BREACH = {"breach_to_safe_s"}
DECISION = {"decision_to_safe_ms", "decision_to_safe_p95_ms", "written_to_safe_ms"}
FAILED = {"failed_requests"}
WHOLE = {"promotion_pod_restarts", "api_writes_per_rollout"}
ROUTER = {"router_overhead_ms"}
ALONE = {"failover_s", "kill_runs_ok"}
"""Measured on a control plane alone: no pod need run."""
PROVIDERS = {"rollback_ms"}
INTERRUPTIONS = {"interruption_failed_requests"}
"""The tests' own, which install what they need."""
PURE = {**judgement.FIGURES, **causes.FIGURES, **ticks.FIGURES}
"""Simulated, or measured on a Prometheus alone: they need no cluster."""
IDLE = {"operator_rss_mib", "idle_cpu_percent", "idle_api_writes"}
NAMES = sorted(
    {*PURE, *READY, *BREACH, *DECISION, *FAILED, *WHOLE, *ROUTER, *ALONE, *PROVIDERS, *IDLE, *INTERRUPTIONS}
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a figure misses its bar, 2 if nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what the project promises.")
    parser.add_argument("--only", metavar="NAME", choices=NAMES, help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--keep", action="store_true", help="leave cluster and release as they are")
    options = parser.parse_args(arguments)
    wanted = {options.only} if options.only else set(NAMES)
    if options.only in FAILED:
        wanted |= DECISION
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    if busy > 0.5:
        say(f"this machine is busy (load {busy:.1f} per core): figures will be worse than on an idle one")
    try:
        found = [_print(figure) for name, measure in PURE.items() if name in wanted for figure in measure()]
        wanted -= set(PURE)
        found += [_print(figure) for figure in _alone(wanted)] if wanted & ALONE else []
        if wanted - ALONE:
            found += [_print(figure) for figure in _on_a_node(wanted, keep=options.keep)]
    except UnavailableError as error:
        say(f"nothing measured: {error}")
        return 2
    except (ClusterError, AssertionError) as error:
        say(f"broken off: {error}")
        return 2
    return 0 if all(figure.ok for figure in found) else 1


def _print(figure: Figure) -> Figure:
    print(figure.line(), flush=True)
    return figure


def _alone(wanted: set[str]) -> Iterator[Figure]:
    cluster = ensure("control-plane")
    try:
        if "failover_s" in wanted:
            yield from failover.measure(cluster)
        if "kill_runs_ok" in wanted:
            yield from kill.measure(cluster)
    finally:
        if cluster.started:
            cluster.down()


def _on_a_node(wanted: set[str], *, keep: bool) -> Iterator[Figure]:
    cluster = ensure("node", images=IMAGES)
    try:
        if wanted - ALONE - INTERRUPTIONS:
            with _place(cluster, keep=keep) as place:
                yield from (figure for figure in _figures(place, wanted) if figure.name in wanted)
        if wanted & INTERRUPTIONS:
            yield from interruptions.measure(keep=keep)
    finally:
        if cluster.started and not keep:
            cluster.down()


def _figures(place: Place, wanted: set[str]) -> Iterator[Figure]:
    """All that is wanted; idle last, so that the operator's memory has seen the rest."""
    with step("a first object, and with it the router"):
        obj = place.manifest("v1")
        obj["spec"]["server"]["replicas"] = {"min": 1}
        place.apply(obj)
        place.until_ready("v1", timeout=300)
    if wanted & READY:
        yield from ready.measure(place)
    if wanted & (BREACH | DECISION):
        yield from _rollbacks(place, wanted)
    if wanted & WHOLE:
        yield from whole.measure(place)
    if wanted & ROUTER:
        yield from router.measure(place)
    if wanted & PROVIDERS:
        yield from providers.measure(place)
    if wanted & IDLE:
        idle.fill(place)
        yield from idle.measure(place)


def _rollbacks(place: Place, wanted: set[str]) -> Iterator[Figure]:
    with place.reach() as url:
        load = Load(url, rate=rollback.RATE)
        load.start()
        try:
            if wanted & BREACH:
                with prometheus_url(place.installed.cluster) as prometheus:
                    yield from rollback.measure_breaches(place, load, prometheus)
            if wanted & DECISION:
                yield from rollback.measure_decisions(place, load)
        finally:
            seen = load.stop()
    if seen.failures:
        say(f"  failed: {seen.failed}, first {seen.first_failure}")
    yield Figure("failed_requests", seen.failures, f"requests of {seen.sent}", 0)


@contextlib.contextmanager
def _place(cluster: Cluster, *, keep: bool) -> Iterator[Place]:
    """A namespace on a cluster with the chart, which is taken away again unless it was there before."""
    images = cluster.build_and_load(IMAGES)
    with tempfile.TemporaryDirectory() as folder, kubectl_proxy(cluster, Path(folder)) as api:
        installed = Installation(cluster, api, images)
        with _release(installed, keep=keep), installed.place() as place:
            yield place


@contextlib.contextmanager
def _release(installed: Installation, *, keep: bool) -> Iterator[None]:
    cluster, api = installed.cluster, installed.api
    was_there = api.get("Namespace", None, SYSTEM) is not None
    defined = bool(cluster.run_kubectl("get", "crd", CRD, "--ignore-not-found", "--output=name").strip())
    with step("helm: operator and Prometheus"):
        # As users have it, but for scrapes as often as the shortest interval looks.
        installed.install(**{"lease.durationSeconds": "15"})
    try:
        yield
    finally:
        if not keep and not was_there:
            installed.uninstall()
            api.delete("Namespace", None, SYSTEM)
            if not defined:  # else somebody's ModelDeployments may live by it
                cluster.run_kubectl("delete", "crd", CRD)


if __name__ == "__main__":
    sys.exit(main())
