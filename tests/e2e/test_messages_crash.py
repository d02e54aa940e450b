"""A candidate that falls over while it has traffic: the users' loss ends at once, and it is said why."""

import contextlib

import pytest

from cluster import ClusterError
from digits.load import Load
from e2e.messages import calm, hears
from e2e.support import Installation, Place

pytestmark = pytest.mark.e2e

RATE = 40
"""Requests per second; the candidate gets three in ten."""
SERVER_THAT_CAN_CRASH = (
    "import os, runpy, signal; signal.signal(signal.SIGUSR1, lambda *_: os._exit(3)); "
    "runpy.run_module('digits.server', run_name='__main__')"
)
CRASH = "import os, signal; os.kill(1, signal.SIGUSR1)"


def test_a_candidate_that_crashes_on_trial_is_taken_back_at_once(
    place: Place, installed: Installation
) -> None:
    obj = place.manifest("v1")
    obj["spec"]["server"]["replicas"] = {"min": 1}
    place.apply(obj)
    place.until_ready("v1")
    obj["spec"]["model"]["version"] = "v2"
    obj["spec"]["rollout"]["steps"][0]["hold"] = "60s"
    model = obj["spec"]["server"]["podTemplate"]["spec"]["containers"][0]
    model["command"] = ["python3", "-c", SERVER_THAT_CAN_CRASH]
    with place.reach() as url, calm(installed):
        load = Load(url, rate=RATE)
        load.start()
        place.apply(obj)
        revision = place.until_step("v2")["status"]["candidate"]["revision"]
        (pod,) = place.pods(revision).values()
        where = ("--namespace", place.namespace, pod["metadata"]["name"])
        with contextlib.suppress(ClusterError):  # it may die with the container
            installed.cluster.run_kubectl("exec", *where, "--", "python3", "-c", CRASH)
        said = hears(place, "RolledBack", "version v2 was rolled back", "version v1 serves")
        seen = load.stop()
    assert "crashes (exit code 3, Error)" in said or "none of its pods is ready" in said
    place.until_ended("v2", "RolledBack")
    assert place.status()["history"][0]["reason"] == "CandidateUnavailable"
    assert seen.revisions[revision].ok
    assert sum(seen.failed.values()) < 2 * 0.3 * RATE, "two seconds of what the candidate got"
