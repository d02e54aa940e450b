"""What one whole rollout costs: writes to the API server, and pods that its promotion starts anew."""

import time

from bench.figure import Figure
from bench.writes import Writes
from cluster.progress import say, step
from digits.load import Load
from e2e.support import Place, restarts

STEPS = (5, 20, 50, 75)
HOLD = "5s"
WRITES_BAR, RESTARTS_BAR = 25, 0
NAME = "whole"
SETTLE = 8.0
"""Seconds until the last deletion of the replaced revision is written: drain, and some more."""


def measure(place: Place) -> list[Figure]:
    """One object from version v1 to v3 in four steps, under load, up to the last trace of v1."""
    with step("a whole rollout in 4 steps"):
        place.apply(_manifest(place, "v1"))
        place.until_ready("v1", name=NAME)
        with place.reach(NAME) as url:
            load = Load(url, rate=60.0)
            load.start()
            try:
                return _rollout(place)
            finally:
                load.stop()


def _rollout(place: Place) -> list[Figure]:
    time.sleep(SETTLE)
    before = Writes.of(place)
    place.apply(_manifest(place, "v3"))
    last = place.until_step("v3", len(STEPS), name=NAME)
    revision = last["status"]["candidate"]["revision"]
    pods = restarts(place.pods(revision))
    place.until_ready("v3", name=NAME)
    place.until(lambda status: not (status.get("previous") or status.get("draining")), "v1's end", name=NAME)
    time.sleep(SETTLE)
    written = Writes.of(place).since(before)
    say(f"  written: {written.counts}")
    writes = sum(count for key, count in written.counts.items() if not key.endswith(" Event"))
    anew = set(restarts(place.pods(revision)).items()) - set(pods.items())
    place.api.delete("ModelDeployment", place.namespace, NAME)
    return [
        Figure("promotion_pod_restarts", len(anew), "pods started anew or restarted", RESTARTS_BAR),
        Figure("api_writes_per_rollout", writes, "writes of 4 steps, but Events and lease", WRITES_BAR),
    ]


def _manifest(place: Place, version: str) -> dict[str, object]:
    obj = place.manifest(version, name=NAME)
    steps = [{"weight": weight, "hold": HOLD} for weight in STEPS]
    obj["spec"]["rollout"] |= {"steps": steps, "keepPrevious": "5s", "drain": "2s"}
    return obj
