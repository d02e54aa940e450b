"""Whatever interrupts a rollout, under 200 requests a second: not one of them may fail."""

import contextlib
import itertools
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from e2e.processes import processes_of
from e2e.reach import Object, until
from e2e.steady import COMMAND, Steady
from e2e.support import Installation, Place, ending, is_ready, stands

pytestmark = pytest.mark.e2e

RATE = 200.0
REQUESTS, UNANSWERED = "requests", "unanswered"
"""What each test notes of its load in a report, for `python -m bench`."""
LONG = [{"weight": 30, "hold": "10m"}]
SHORT = [{"weight": 30, "hold": "1s"}, {"weight": 60, "hold": "1s"}]
Record = Callable[[str, object], None]
_names = (f"w{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def stage(installed: Installation) -> Iterator[Place]:
    with installed.place() as place:
        place.apply(wanted(place, "w0", SHORT))
        place.until_ready("w0")
        yield place


@pytest.fixture(scope="module")
def load(stage: Place) -> Iterator[Steady]:
    """One load through all interruptions."""
    with steady(stage) as running:
        yield running


@pytest.fixture
def digits(stage: Place, load: Steady, record_property: Record) -> Iterator[Place]:
    """The model at rest, on whatever version the test before left; no request fails while a test goes on."""
    version = stage.status()["stable"]["modelVersion"]
    stage.apply(wanted(stage, version, SHORT))
    stage.until_ready(version)
    failed, answered = len(load.seen.failures), load.seen.ok
    yield stage
    time.sleep(0.5)
    failures = load.seen.failures[failed:]
    _note(record_property, load.seen.ok - answered, len(failures))
    assert failures == [], stage.describe()
    assert load.seen.ok > answered, "nothing was answered at all"


def _note(record_property: Record, answered: int, failed: int) -> None:
    record_property(REQUESTS, answered + failed)
    record_property(UNANSWERED, failed)


@contextlib.contextmanager
def steady(place: Place, record_property: Record | None = None) -> Iterator[Steady]:
    """A load while the block runs, of which no request fails."""
    with place.reach() as url:
        running = Steady(url, RATE)
        running.start()
        try:
            yield running
        finally:
            seen = running.stop()
            if record_property:
                _note(record_property, seen.ok, len(seen.failures))
    assert not seen.failures, f"{len(seen.failures)} of {seen.ok}: {seen.failures[:3]}"


def wanted(place: Place, version: str, steps: list[Object], **rollout: Any) -> Object:
    """A version without metrics: only what a test does decides about it."""
    obj = place.manifest("v1", called=version)
    obj["spec"]["monitoring"] = {"metrics": []}
    (container,) = obj["spec"]["server"]["podTemplate"]["spec"]["containers"]
    container["command"] = COMMAND
    obj["spec"]["rollout"] = {"steps": steps, "keepPrevious": "1m", "drain": "1s", **rollout}
    return obj


def begin(place: Place, steps: list[Object] | None = None, **rollout: Any) -> tuple[str, str]:
    """A new version in its first step; its name and its revision."""
    version = next(_names)
    place.apply(wanted(place, version, steps or LONG, **rollout))
    status = place.until_step(version)["status"]
    return version, str(status["candidate"]["revision"])


def control(place: Place, **intents: Any) -> None:
    place.api.patch("ModelDeployment", place.namespace, "digits", {"spec": {"rollout": {"control": intents}}})


def until_alone(place: Place, version: str) -> Object:
    """The version answers everything, and no candidate is there."""
    return place.until(
        lambda status: (
            status["stable"]["modelVersion"] == version
            and status["stable"]["weight"] == 100
            and "candidate" not in status
        ),
        f"version {version} alone",
    )


@pytest.mark.parametrize("course", ["StableFirst", "StraightOn"])
def test_a_third_version_in_mid_rollout(digits: Place, course: str) -> None:
    second, _ = begin(digits, onSupersede=course)
    third = next(_names)
    digits.apply(wanted(digits, third, SHORT, onSupersede=course))
    status = digits.until_ready(third)["status"]
    assert ending(status, second)["outcome"] == "Superseded"


def test_back_to_the_stable_version(digits: Place) -> None:
    stable = digits.status()["stable"]["modelVersion"]
    second, _ = begin(digits)
    digits.apply(wanted(digits, stable, LONG))
    status = digits.until_ready(stable)["status"]
    assert ending(status, second)["outcome"] == "Aborted"


def test_paused_approved_promoted_and_undone_without_a_new_pod(digits: Place) -> None:
    before = digits.status()["stable"]
    steps = [
        {"weight": 30, "hold": "3s"},
        {"weight": 50, "approval": "Required", "hold": "0s"},
        {"weight": 80, "hold": "10m"},
    ]
    version, revision = begin(digits, steps)
    control(digits, paused=True)
    time.sleep(4)
    assert digits.status()["candidate"]["step"] == 1
    control(digits, paused=False)
    digits.until_step(version, 2)
    time.sleep(1)
    assert digits.status()["candidate"]["step"] == 2
    control(digits, approve={"revision": revision})
    digits.until_step(version, 3)
    control(digits, promote={"revision": revision})
    until_alone(digits, version)

    pods = digits.pods().keys()
    control(digits, undo={"revision": before["revision"]})
    until_alone(digits, before["modelVersion"])
    assert digits.pods().keys() <= pods


def test_aborted_and_tried_again(digits: Place) -> None:
    stable = digits.status()["stable"]["modelVersion"]
    version, revision = begin(digits)
    control(digits, abort={"revision": revision})
    until_alone(digits, stable)
    assert ending(digits.status(), version)["outcome"] == "Aborted"
    control(digits, retry={"revision": revision})
    digits.until_step(version)
    control(digits, promote={"revision": revision})
    until_alone(digits, version)


def test_suspended_and_resumed(digits: Place) -> None:
    version, _ = begin(digits, [{"weight": 30, "hold": "3s"}])
    digits.api.patch("ModelDeployment", digits.namespace, "digits", {"spec": {"suspend": True}})
    held = digits.until(lambda status: status, "a look at the suspended object")["status"]
    time.sleep(4)
    assert digits.status()["candidate"] == held["candidate"]
    digits.api.patch("ModelDeployment", digits.namespace, "digits", {"spec": {"suspend": False}})
    digits.until_ready(version)


def test_the_operator_is_killed_and_frozen(digits: Place) -> None:
    version, _ = begin(digits, [{"weight": 30, "hold": "5s"}, {"weight": 60, "hold": "1s"}])
    (pod,) = digits.installed.pods("operator")
    first = processes_of(pod, b"modeldeploy")
    if not first:
        pytest.skip("the operator's process is not on this machine")
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    until(lambda: set(processes_of(pod, b"modeldeploy")) - set(first), "the operator after SIGKILL")
    time.sleep(2)
    for pid in (frozen := processes_of(pod, b"modeldeploy")):
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(5)
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    digits.until_ready(version)


def test_the_operator_is_upgraded(digits: Place) -> None:
    version, _ = begin(digits, [{"weight": 30, "hold": "3s"}, {"weight": 60, "hold": "1s"}])
    digits.installed.install(**{"podAnnotations.upgraded": version})
    digits.until_ready(version)


def test_a_candidates_pod_is_evicted(digits: Place) -> None:
    version, revision = begin(digits, [{"weight": 30, "hold": "4s"}])
    pods = digits.pods(revision)
    pod = next(iter(pods.values()))
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    path = f"/api/v1/namespaces/{digits.namespace}/pods/{name}/eviction"
    digits.kubectl("create", "--raw", path, "--filename=-", given=json.dumps(eviction))

    def replaced() -> bool:
        now = digits.pods(revision)
        return any(is_ready(one) for uid, one in now.items() if uid not in pods)

    until(replaced, "the successor of the evicted pod")
    digits.until_ready(version)


def test_pods_are_gone_without_notice(digits: Place) -> None:
    """As when their node is removed from the cluster: the API server forgets them, nobody drains them."""
    stable = digits.status()["stable"]["revision"]
    version, revision = begin(digits, [{"weight": 30, "hold": "6s"}])
    for of in (revision, stable):
        before = _ready(digits, of)
        digits.api.delete("Pod", digits.namespace, before[0], grace=0)

        def replaced(of: str = of, before: list[str] = before) -> bool:
            return len(_ready(digits, of)) == len(before) and before[0] not in _ready(digits, of)

        until(replaced, f"a successor of {before[0]}")
    digits.until_ready(version)


def test_what_the_rollout_stands_on_is_deleted_in_it(digits: Place) -> None:
    """The routers, the way to them, and the record of both revisions come back; the step goes on."""
    stable = digits.status()["stable"]["revision"]
    version, revision = begin(digits, [{"weight": 30, "hold": "15s"}])
    before = digits.status()["candidate"]
    for of in (revision, stable):
        digits.api.delete("ControllerRevision", digits.namespace, f"digits-{of}")
    for kind in ("ConfigMap", "ServiceAccount", "PodDisruptionBudget"):
        for found in digits.api.list(kind, digits.namespace, "modeldeploy.dev/component=router"):
            digits.api.delete(kind, digits.namespace, found["metadata"]["name"])
    time.sleep(5)
    assert digits.status()["candidate"] == before
    digits.until_ready(version)


def test_stable_crashes_during_the_rollout(digits: Place) -> None:
    stable = digits.status()["stable"]["revision"]
    version, _ = begin(digits, [{"weight": 50, "hold": "50s"}])
    pods = {uid: pod for uid, pod in digits.pods(stable).items() if is_ready(pod)}
    for pod in pods.values():
        for _ in range(2):
            for pid in processes_of(pod, b"add_signal_handler"):
                os.kill(pid, signal.SIGTERM)
            time.sleep(5)
        # One after the other: with all of stable's pods down at once nobody could answer its requests.
        until(lambda: len(_ready(digits, stable)) == len(pods), "stable's pods after the crash")
    digits.until_ready(version)


def _ready(place: Place, revision: str) -> list[str]:
    """The names of a revision's ready pods."""
    return sorted(pod["metadata"]["name"] for pod in place.pods(revision).values() if is_ready(pod))


def test_a_version_that_never_gets_ready(digits: Place) -> None:
    stable, version = digits.status()["stable"]["modelVersion"], next(_names)
    obj = wanted(digits, version, SHORT, progressDeadline="1s")
    obj["spec"]["server"] |= {"port": 9999, "startupTimeout": "4s"}
    digits.apply(obj)
    status = digits.until_ended(version, "RolledBack")["status"]
    assert ending(status, version)["reason"] == "ProgressDeadlineExceeded"
    assert status["stable"]["modelVersion"] == stable


def test_a_candidates_workload_is_deleted(digits: Place) -> None:
    """Its requests return to stable at once. (Without stable's pods nobody could answer.)"""
    version, revision = begin(digits, [{"weight": 30, "hold": "1m"}])
    for kind in ("PodDisruptionBudget", "Deployment"):
        digits.api.delete(kind, digits.namespace, f"digits-{revision}")
    status = digits.until_ended(version, "RolledBack")["status"]
    assert ending(status, version)["reason"] == "CandidateUnavailable"


def test_back_to_the_previous_version_while_it_is_warm(digits: Place) -> None:
    previous = digits.status()["stable"]["modelVersion"]
    version = next(_names)
    digits.apply(wanted(digits, version, SHORT))
    digits.until_ready(version)
    pods = digits.pods().keys()
    digits.apply(wanted(digits, previous, SHORT))
    digits.until_ready(previous)
    assert digits.pods().keys() <= pods


def test_one_version_at_a_time(digits: Place) -> None:
    """Where compute suffices for one version only, stable gives way pod by pod as far as it can."""
    version = next(_names)
    obj = wanted(digits, version, SHORT, surge="None")
    del obj["spec"]["rollout"]["keepPrevious"]  # there would be no room for it
    digits.apply(obj)
    digits.until_ready(version)


def test_plain_manifests_are_taken_over(installed: Installation, record_property: Record) -> None:
    with installed.place() as place:
        obj = wanted(place, "v1", SHORT, keepPrevious="5s")
        _plain(place, obj, "digits")
        with steady(place, record_property) as load:
            obj["spec"]["adopt"] = {"deployment": "plain"}
            place.apply(obj)
            place.until_ready("v1")
            until(lambda: not place.api.list("Pod", place.namespace, "app=plain"), "the end of the old pods")
            done = load.seen.ok
            until(lambda: load.seen.ok > done + RATE, "answers after it")


def test_the_first_version_is_tried_against_an_incumbent_and_given_up(
    installed: Installation, record_property: Record
) -> None:
    with installed.place() as place:
        obj = wanted(place, "v1", LONG)
        _plain(place, obj, "before")
        obj["spec"]["traffic"] = {"incumbent": {"service": "before"}}
        place.apply(obj)
        place.until_step("v1")
        with steady(place, record_property):
            revision = place.status()["candidate"]["revision"]
            control(place, abort={"revision": revision})
            until(lambda: "candidate" not in place.status(), place.describe)
            assert place.status()["stable"]["weight"] == 100
            time.sleep(2)
            control(place, abort=None, retry={"revision": revision})
            place.until_step("v1")
            control(place, promote={"revision": revision})
            until_alone(place, "v1")


def _plain(place: Place, obj: Object, service: str) -> None:
    """A Deployment and a Service as users write them, with the same server."""
    server, labels = obj["spec"]["server"], {"app": "plain"}
    container = {
        "name": "server",
        "image": server["image"],
        "command": COMMAND,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/v2/health/ready", "port": 8080}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "plain"}, "spec": spec}
    place.apply(deployment)
    place.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": service},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        }
    )

    def available() -> bool:
        found = place.api.get("Deployment", place.namespace, "plain") or {}
        return stands(found.get("status") or {}, "Available")

    until(available, "the plain Deployment")
