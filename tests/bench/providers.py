"""How soon nobody meets a candidate any more once the status says so, at each provider of traffic.

Clocks are one machine's. The figure counts from the news of the status that takes the traffic back to the
sending of the last request that the candidate answered, so nothing is known better than the requests come.
"""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench.figure import Figure, quantile
from bench.written import Written
from cluster import addons
from cluster.progress import say
from digits.load import Load
from e2e.reach import Object, service_url
from e2e.support import Place
from providers.load import HostLoad
from providers.stage import ENVOY_ROUTE, TRAEFIK_ROUTE, TRAEFIK_SERVICE, Stage, Way, answered

ROLLBACKS = 20
RATE = 150.0
WEIGHT = 90
"""Percent to the candidate: its last request is known to some 10 ms."""
ANSWERED = 1.0
"""Seconds after which the last answers are in."""
APART = 2.5
"""Seconds between two changes: Traefik holds back the second of two within 2 s, which no rollout makes."""


@dataclass(frozen=True)
class Case:
    """One provider and the milliseconds that it may take."""

    key: str
    way: Way
    bar: float


ROUTER = Way("router", "Router", "", mirrors=True)
CASES = (
    Case("Router", ROUTER, 20),
    Case("EnvoyGateway", ENVOY_ROUTE, 60),
    Case("TraefikService", TRAEFIK_SERVICE, 100),
    Case("HTTPRoute on Traefik", TRAEFIK_ROUTE, 150),
)


def measure(place: Place) -> Iterator[Figure]:
    """The median of several rollbacks for each provider."""
    addons.install(place.installed.cluster)
    stage = Stage(place)
    for case in CASES:
        taken = _rollbacks(stage, case)
        say(f"  {case.key}: p95 {quantile(taken, 0.95):.1f} ms, worst {max(taken):.1f} ms")
        unit = f"ms, median of {ROLLBACKS}"
        yield Figure("rollback_ms", statistics.median(taken), unit, case.bar, keys={"provider": case.key})


def _rollbacks(stage: Stage, case: Case) -> list[float]:
    place, way = stage.place, case.way
    stage.serve(way)
    written = Written(place, way.name)
    taken = []
    with service_url(place.installed.cluster, place.api, place.namespace, way.name) as own:
        url = own if way is ROUTER else stage.url(way.gateway)
        load = HostLoad(url, way.host, RATE)
        load.start()
        try:
            for number in range(ROLLBACKS):
                taken.append(_rollback(stage, way, load, written))
                say(f"  {case.key} {number + 1} of {ROLLBACKS}: {taken[-1]:.1f} ms")
        finally:
            seen = load.stop()
    assert seen.clean(), f"{case.key}: {seen.failed} of {seen.sent}, first {seen.first_failure}"
    place.api.delete("ModelDeployment", place.namespace, way.name)
    return taken


def _rollback(stage: Stage, way: Way, load: Load, written: Written) -> float:
    """Milliseconds from the news of the status to the last request of the candidate."""
    _name(stage, way, "v3")
    stage.until_served(way.name, 1)
    before = answered(load, "v3").answers
    deadline = time.monotonic() + 30
    while answered(load, "v3").answers < before + RATE / 4:
        assert time.monotonic() < deadline, "the candidate answers nothing"
        time.sleep(0.05)
    time.sleep(APART)
    _name(stage, way, "v1")
    left = stage.place.until(
        lambda status: not status.get("candidate"), "the end of the trial", name=way.name
    )
    time.sleep(ANSWERED)
    last = answered(load, "v3").last_sent
    return max(0.0, 1000 * (last - written.at(left["status"]["trafficGeneration"])))


def _name(stage: Stage, way: Way, version: str) -> None:
    """Let the spec name a version; with the long drain the pods of one taken back wait for its turn."""
    steps: list[Object] = [{"weight": WEIGHT, "hold": "10m"}]
    obj = stage.manifest(way.name, version, way.traffic(), steps, drain="10m")
    place = stage.place
    place.api.patch("ModelDeployment", place.namespace, way.name, {"spec": obj["spec"]})
