"""New versions under load: bad ones are taken back, good ones promoted, and no request fails."""

import math
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from digits.load import Load
from digits.load_stats import Snapshot
from e2e.reach import Object, until
from e2e.support import Installation, Place, condition, ending, restarts, stands

pytestmark = pytest.mark.e2e

RATE = 30.0
LONG = [{"weight": 30, "hold": "10m"}]


@pytest.fixture(scope="module")
def stage(installed: Installation) -> Iterator[Place]:
    with installed.place() as place:
        yield place


def manifest(place: Place, version: str, called: str | None = None) -> Object:
    """One pod of each version is enough where none is replaced."""
    return place.manifest(version, called=called, replicas=1)


@pytest.fixture
def digits(stage: Place) -> Place:
    """The model with v1 as stable, whatever was tried before."""
    stage.apply(manifest(stage, "v1"))
    stage.until_ready("v1")
    return stage


def candidate_of(obj: Object) -> str:
    return str(obj["status"]["candidate"]["revision"])


def answers(snapshot: Snapshot, revision: str) -> int:
    seen = snapshot.revisions.get(revision)
    return seen.answers if seen else 0


def assert_traffic_left(load: Load, revision: str, status: Object) -> None:
    """Nothing was sent to a revision after the weights that the status states; give routers a second."""
    changed = datetime.fromisoformat(status["trafficChangedAt"]).timestamp()
    until(lambda: time.time() > changed + 2, "two seconds")
    assert load.snapshot().revisions[revision].last_sent < changed + 1


def counts_by_weight(place: Place, load: Load) -> dict[int, tuple[Snapshot, Snapshot]]:
    """The load's counts at begin and end of each weight of a candidate, until there is none any more."""
    seen: dict[int, list[Snapshot]] = {}
    while True:
        snapshot = load.snapshot()
        status = place.status()
        if "candidate" not in status:
            return {weight: (some[1], some[-1]) for weight, some in seen.items()}
        if "waits for the routers" not in status["message"]:
            seen.setdefault(status["candidate"]["weight"], []).append(snapshot)
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("version", "metric"), [("v2-nulls", "nulls"), ("v2-slow", "p95"), ("v2-errors", "errors")]
)
def test_a_bad_version_is_taken_back_and_says_why(digits: Place, version: str, metric: str) -> None:
    stable = digits.status()["stable"]["revision"]
    with digits.load(RATE, deliberate=version == "v2-errors") as load:
        digits.apply(manifest(digits, version))
        candidate = candidate_of(digits.until_step(version))
        status = digits.until_ended(version, "RolledBack")["status"]
        assert_traffic_left(load, candidate, status)

    # All traffic went back at once, and stays there.
    assert load.snapshot().revisions.keys() == {stable, candidate}
    assert status["stable"] == {"revision": stable, "modelVersion": "v1", "weight": 100}
    assert "candidate" not in status

    # It is said everywhere that people look.
    told = status["rejected"]["message"]
    assert told.startswith(f"{metric} ")
    ready = condition(status, "Ready")
    assert ready is not None
    assert (ready["status"], ready["reason"]) == ("False", "RolledBack")
    assert told in ready["message"]
    entry = ending(status, version)
    assert (entry["outcome"], entry["reason"], entry["message"]) == ("RolledBack", "MetricBreached", told)
    evidence = next(one for one in entry["evidence"] if one["name"] == metric)
    assert evidence["verdict"] == "Breach"
    assert evidence["samples"] > 0
    (event,) = [event for event in digits.events("RolledBack") if version in event["message"]]
    assert event["type"] == "Warning"
    assert told in event["message"]

    # What is over ends, and nothing is tried again.
    of_candidate, record = f"modeldeploy.dev/revision={candidate}", f"ControllerRevision/digits-{candidate}"
    until(lambda: list(digits.children(of_candidate)) == [record], "the end of its objects", timeout=30)
    settled = digits.until(lambda status: stands(status, "Stalled"), "Stalled")["status"]
    assert settled["phase"] == "Degraded"
    assert "candidate" not in settled


def test_a_good_version_is_promoted_by_traffic_alone_and_so_is_going_back(digits: Place) -> None:
    stable = digits.status()["stable"]["revision"]
    with digits.load(RATE) as load:
        digits.apply(manifest(digits, "v3"))
        candidate = candidate_of(digits.until_step("v3"))
        pods = restarts(digits.pods(stable) | digits.pods(candidate))
        there = digits.pods().keys()
        assert len(pods) == 2

        counts = counts_by_weight(digits, load)
        status = digits.until_ready("v3")["status"]
        assert restarts(digits.pods(stable) | digits.pods(candidate)) == pods
        assert status["stable"] == {"revision": candidate, "modelVersion": "v3", "weight": 100}
        assert status["previous"]["revision"] == stable
        assert ending(status, "v3")["outcome"] == "Promoted"
        assert {entry["verdict"] for entry in ending(status, "v3")["evidence"]} == {"Pass"}

        digits.apply(manifest(digits, "v1"))
        status = digits.until_ready("v1", timeout=10)["status"]
        assert ending(status, "v1")["reason"] == "WentBack"
        assert_traffic_left(load, candidate, status)
        assert restarts(digits.pods(stable) | digits.pods(candidate)) == pods
        assert digits.pods().keys() <= there

    assert counts.keys() == {30, 60}
    for weight, (begin, end) in counts.items():
        share = weight / 100
        got = answers(end, candidate) - answers(begin, candidate)
        asked = got + answers(end, stable) - answers(begin, stable)
        assert asked > RATE
        # Four standard deviations of a binomial: one such test in 16,000 fails by chance.
        assert abs(got - asked * share) <= 4 * math.sqrt(asked * share * (1 - share)), (weight, got, asked)
    steps = [event["message"] for event in digits.events("StepStarted") if "v3 " in event["message"]]
    assert [text.partition("gets ")[2].split("%")[0] for text in steps] == ["30", "60"]


def test_a_third_version_in_mid_rollout_takes_the_seconds_place(digits: Place) -> None:
    second, third = manifest(digits, "v3", "second"), manifest(digits, "v3", "third")
    second["spec"]["rollout"]["steps"] = LONG
    with digits.load(RATE) as load:
        digits.apply(second)
        overtaken = candidate_of(digits.until_step("second"))
        until(lambda: answers(load.snapshot(), overtaken) > RATE, "answers of the second version")

        digits.apply(third)
        status = digits.until_ended("second", "Superseded")["status"]
        assert status["stable"]["modelVersion"] == "v1"
        assert status["candidate"]["modelVersion"] == "third"
        assert (status["candidate"]["weight"], status["stable"]["weight"]) == (0, 100)
        assert not status.get("metrics")
        status = digits.until_ready("third")["status"]

    assert [entry["outcome"] for entry in status["history"]][:2] == ["Promoted", "Superseded"]
    # In order of time: v1, second beside v1, v1 again, third beside v1, third.
    seen = load.snapshot().revisions
    assert seen[overtaken].last_answer < seen[status["stable"]["revision"]].first_answer
    until(lambda: not digits.pods(overtaken), "the end of the second version's pods", timeout=60)


def test_naming_stable_again_in_mid_rollout_ends_it_at_once(digits: Place) -> None:
    brief = manifest(digits, "v3", "brief")
    brief["spec"]["rollout"]["steps"] = LONG
    stable = digits.status()["stable"]["revision"]
    with digits.load(RATE) as load:
        digits.apply(brief)
        candidate = candidate_of(digits.until_step("brief"))
        until(lambda: answers(load.snapshot(), candidate) > RATE / 2, "answers of the candidate")
        pods = restarts(digits.pods(stable))

        digits.apply(manifest(digits, "v1"))
        status = digits.until_ready("v1", timeout=10)["status"]
        assert_traffic_left(load, candidate, status)

    assert ending(status, "brief")["outcome"] == "Aborted"
    assert ending(status, "brief")["reason"] == "SpecReturnedToStable"
    assert restarts(digits.pods(stable)) == pods
