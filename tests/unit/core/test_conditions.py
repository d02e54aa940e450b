"""Phase, message and conditions: the truth table, and what people read in `kubectl get` and `describe`."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.api.v1alpha1.status import Condition, ModelDeploymentStatus, Verdict
from modeldeploy.core.cause import Who
from modeldeploy.core.draft import SHORT
from modeldeploy.core.finding import Finding
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Observed, Routers, Snapshot
from unit.core.build import (
    MISSING,
    NOW,
    NULLS,
    TRAFFIC,
    ago,
    breach,
    candidate,
    draining,
    later,
    observed,
    passing,
    ready,
    rejected,
    rev,
    snapshot,
    starting,
    status,
    unreadable,
    unready,
    waiting,
)

pytestmark = pytest.mark.unit

BOTH = {"v1": ready(), "v2": ready()}
PULL = "pod digits-1: its image cannot be pulled (ImagePullBackOff: not found)"
FELL_BACK = "version v2 was rolled back: nulls 24% of 412 answers (max 5%)"
TRY = (
    "Change spec.model or spec.server to try another, or try this one again with "
    "spec.rollout.control.retry: {revision: revv2}"
)
PAUSED = (
    "nulls 24% of 412 answers (max 5%); a metric of labels or feedback would tell drift from a fault; look "
    "at recent answers. It goes on when that passes; change spec.model to end it"
)
NO_ROUTER = Routers(problem="no pod of Deployment router is ready")
AWAY = replace(waiting(Verdict.ERROR), message="nulls: Prometheus at http://p: connection refused")
FIRST = status(stable=None, candidate=starting("v1"))
ON_TRIAL = status(candidate=candidate())
SINCE = status(candidate=candidate(started=ago(minutes=20), since=ago(minutes=11)))
FELL = status(rejected=rejected("v2"))


def table() -> dict[str, tuple[Snapshot, str, str, str, str]]:
    """What is seen, then phase, the Ready reason, which of Ready, Reconciling or Stalled, the message."""
    return {
        "first pods start": (
            snapshot("v1", FIRST, observed({"v1": unready(0)})),
            "Pending",
            "Progressing",
            "Reconciling",
            "version v1: 0 of 2 pods are ready",
        ),
        "first image is bad": (
            snapshot("v1", FIRST, observed({"v1": unready(0, PULL)})),
            "Pending",
            "PodsNotReady",
            "Reconciling",
            f"version v1: {PULL}",
        ),
        "serves": (snapshot("v1"), "Healthy", "Promoted", "Ready", "version v1 serves"),
        "routers don't follow yet": (
            snapshot("v1", seen=observed(routers=Routers(ready=2, serving=TRAFFIC - 1))),
            "Progressing",
            "RoutersNotReady",
            "Reconciling",
            "version v1 runs; waiting for the routers",
        ),
        "no router": (
            snapshot("v1", seen=observed(routers=NO_ROUTER)),
            "Progressing",
            "RoutersNotReady",
            "Reconciling",
            "version v1 runs; waiting for the routers: no pod of Deployment router is ready",
        ),
        "a pod is missing": (
            snapshot("v1", seen=observed({"v1": unready(1, "pod digits-2 fits on no node: 0/1 nodes")})),
            "Healthy",
            "Promoted",
            "Ready",
            "version v1 serves with 1 of 2 pods: pod digits-2 fits on no node: 0/1 nodes",
        ),
        "all pods are missing": (
            snapshot("v1", seen=observed({"v1": unready(0)})),
            "Degraded",
            "PodsNotReady",
            "Reconciling",
            "version v1: 0 of 2 pods are ready",
        ),
        "the Deployment was deleted": (
            snapshot("v1", seen=observed({})),
            "Degraded",
            "PodsNotReady",
            "Reconciling",
            "version v1: its Deployment is being created",
        ),
        "a new version's pods start": (
            snapshot("v2", status(candidate=starting()), observed({"v1": ready(), "v2": unready(1)})),
            "Progressing",
            "Progressing",
            "Reconciling",
            "version v2: 1 of 2 pods are ready; version v1 serves",
        ),
        "canary": (
            snapshot("v2", ON_TRIAL, observed(BOTH), says=[passing()]),
            "Progressing",
            "Progressing",
            "Reconciling",
            "canary v2 at 10%: step 1 of 2",
        ),
        "canary without data": (
            snapshot("v2", ON_TRIAL, observed(BOTH), says=[waiting(Verdict.NO_DATA)]),
            "Progressing",
            "Progressing",
            "Reconciling",
            "canary v2 at 10%: step 1 of 2; waits for nulls (no data yet)",
        ),
        "canary with few requests": (
            snapshot("v2", ON_TRIAL, observed(BOTH), says=[waiting(Verdict.INCONCLUSIVE)]),
            "Progressing",
            "Progressing",
            "Reconciling",
            "canary v2 at 10%: step 1 of 2; waits for nulls (too little evidence yet)",
        ),
        "canary whose metrics store is away": (
            snapshot("v2", ON_TRIAL, observed(BOTH), says=[AWAY]),
            "Progressing",
            "Progressing",
            "Reconciling",
            "canary v2 at 10%: step 1 of 2; waits for nulls (Prometheus at http://p: connection refused)",
        ),
        "serves while the metrics store is away": (
            snapshot("v1", says=[AWAY]),
            "Healthy",
            "Promoted",
            "Ready",
            "version v1 serves; nulls: Prometheus at http://p: connection refused",
        ),
        "canary whose router is away": (
            snapshot("v2", ON_TRIAL, observed(BOTH, routers=NO_ROUTER), says=[passing()]),
            "Progressing",
            "Progressing",
            "Reconciling",
            "canary v2 at 10%: step 1 of 2; waits for the routers (no pod of Deployment router is ready)",
        ),
        "canary with a missing pod": (
            snapshot("v2", ON_TRIAL, observed({"v1": ready(), "v2": unready(1, PULL)}), says=[passing()]),
            "Progressing",
            "Progressing",
            "Reconciling",
            f"canary v2 at 10%: step 1 of 2; waits for its pods ({PULL})",
        ),
        "canary paused": (
            snapshot("v2", SINCE, observed(BOTH), says=[breach(who=Who.BOTH)]),
            "Paused",
            "MetricBreached",
            "Reconciling",
            f"canary v2 at 10%: step 1 of 2; {PAUSED}",
        ),
        "rolled back": (
            snapshot("v2", FELL, observed(BOTH)),
            "Degraded",
            "RolledBack",
            "Stalled",
            f"{FELL_BACK}; version v1 serves. {TRY}",
        ),
        "rolled back, and stable is down": (
            snapshot("v2", FELL, observed({"v1": unready(0)})),
            "Degraded",
            "RolledBack",
            "Stalled",
            f"{FELL_BACK}; version v1 should serve, but 0 of 2 pods are ready. {TRY}",
        ),
        "rolling back": (
            snapshot("v2", status(rejected=rejected("v2"), draining=[draining("v2")]), observed(BOTH)),
            "RollingBack",
            "RolledBack",
            "Reconciling",
            f"{FELL_BACK}; version v1 serves. {TRY}",
        ),
        "rolled back while an older one drains": (
            snapshot("v2", status(rejected=rejected("v2"), draining=[draining("v0")]), observed(BOTH)),
            "Degraded",
            "RolledBack",
            "Stalled",
            f"{FELL_BACK}; version v1 serves. {TRY}",
        ),
        "unreadable spec": (
            unreadable(snapshot("v1")),
            "Degraded",
            "InvalidSpec",
            "Stalled",
            "spec.rollout.drain: '5 minutes' is not a duration; version v1 serves",
        ),
        "unreadable spec before anything ran": (
            unreadable(snapshot("v1", status(), observed({}))),
            "Pending",
            "InvalidSpec",
            "Stalled",
            "spec.rollout.drain: '5 minutes' is not a duration",
        ),
        "refused pods": (
            snapshot("v2", seen=observed(rejection="spec.server is refused by the API server: no field x")),
            "Degraded",
            "InvalidSpec",
            "Stalled",
            "spec.server is refused by the API server: no field x; version v1 serves",
        ),
        "a Service in the way": (
            snapshot("v1", FIRST, observed({}, conflict="Service digits is not ours; delete or rename it")),
            "Pending",
            "NameConflict",
            "Stalled",
            "Service digits is not ours; delete or rename it",
        ),
        "an apply failed": (
            snapshot("v1", seen=observed(failure="services is forbidden")),
            "Degraded",
            "ApplyFailed",
            "Reconciling",
            "services is forbidden; it will be tried again; version v1 serves",
        ),
        "stable breaches": (
            snapshot("v1", says=[breach()]),
            "Degraded",
            "MetricBreached",
            "Ready",
            "version v1 serves; nulls 24% of 412 answers (max 5%)",
        ),
    }


@pytest.mark.parametrize(
    ("before", "phase", "reason", "which", "message"), table().values(), ids=table().keys()
)
def test_standing(before: Snapshot, phase: str, reason: str, which: str, message: str) -> None:
    now = decide(before).status
    assert (now.phase, now.message) == (phase, message)
    ready_is = found(now, "Ready")
    assert ready_is is not None
    assert (ready_is.reason, ready_is.message) == (reason, message)
    assert true(now) & {"Ready", "Reconciling", "Stalled"} == {which}


AVAILABLE = {
    "nothing runs": (snapshot("v1", status(), observed({})), "NoPodReady", "no pod serves"),
    "a first candidate does not count": (
        snapshot("v1", FIRST, observed({"v1": unready(1)})),
        "NoPodReady",
        "no pod serves",
    ),
    "stable is down": (
        snapshot("v1", seen=observed({"v1": unready(0)})),
        "NoPodReady",
        "0 of 2 pods of stable are ready",
    ),
    "no router leads to it": (
        snapshot("v1", seen=observed(routers=NO_ROUTER)),
        "NoRouterReady",
        "2 of 2 pods of stable are ready, but no pod of Deployment router is ready",
    ),
    "one pod is enough": (
        snapshot("v1", seen=observed({"v1": unready(1)})),
        "PodsReady",
        "1 of 2 pods of stable are ready",
    ),
    "whatever the spec": (unreadable(snapshot("v1")), "PodsReady", "2 of 2 pods of stable are ready"),
}


@pytest.mark.parametrize(("before", "reason", "message"), AVAILABLE.values(), ids=AVAILABLE)
def test_available(before: Snapshot, reason: str, message: str) -> None:
    condition = found(decide(before).status, "Available")
    assert condition is not None
    assert (condition.reason, condition.message) == (reason, message)
    assert (condition.status == "True") == (reason == "PodsReady")


@pytest.mark.parametrize(
    ("metric", "says", "written", "expected"),
    [
        (
            MISSING,
            breach("missing", Category.INPUT, Who.STABLE),
            {},
            {"DriftDetected", "RetrainingRecommended"},
        ),
        (NULLS, breach(who=Who.STABLE), {}, {"DriftDetected", "RetrainingRecommended"}),
        (NULLS, breach(who=Who.STABLE), {"after": "Notify"}, {"DriftDetected"}),
        (NULLS, passing(), {}, set()),
    ],
    ids=["inputs", "outputs", "outputs, told only", "passes"],
)
def test_drift_after_a_rollout(
    metric: dict[str, Any], says: Any, written: dict[str, Any], expected: set[str]
) -> None:
    now = decide(snapshot("v1", says=[says], metrics=[metric], **written)).status
    assert true(now) & {"DriftDetected", "RetrainingRecommended"} == expected


def test_a_candidates_outputs_recommend_no_retraining() -> None:
    before = snapshot("v2", ON_TRIAL, observed(BOTH), says=[breach(who=Who.BOTH)])
    assert "RetrainingRecommended" not in true(decide(before).status)


def test_times_move_only_when_a_status_flips() -> None:
    first = decide(snapshot("v1"))
    at = NOW + timedelta(minutes=5)
    missing = later(snapshot("v1"), first, now=at, observed=observed({"v1": unready(1, "it crashes")}))
    same = decide(missing).status
    assert all(one.last_transition_time == NOW for one in same.conditions)
    down = decide(later(snapshot("v1"), first, now=at, observed=observed({"v1": unready(0)}))).status
    moved = {one.type for one in down.conditions if one.last_transition_time == at}
    assert moved == {"Ready", "Available", "Healthy", "Reconciling"}


def test_only_some_conditions_stand_while_false() -> None:
    now = decide(snapshot("v1")).status
    assert {one.type for one in now.conditions if one.status == "False"} == {"Progressing"}


def test_conditions_name_the_generation_they_speak_of() -> None:
    now = decide(snapshot("v1")).status
    assert {one.observed_generation for one in now.conditions} == {now.observed_generation} == {3}


class TestEvents:
    @pytest.mark.parametrize(
        "seen",
        [
            observed(rejection="spec.server: it cannot be"),
            observed(conflict="spec.server: it cannot be"),
            observed(failure="spec.server: it cannot be"),
        ],
        ids=["refused", "in the way", "failed"],
    )
    def test_of_an_obstacle_come_once(self, seen: Observed) -> None:
        before = snapshot("v1", seen=seen)
        first = decide(before)
        assert [event.message.startswith("spec.server: it cannot be") for event in first.events] == [True]
        assert decide(later(before, first)).events == ()

    def test_come_again_for_another_edit(self) -> None:
        before = unreadable(snapshot("v1"))
        first = decide(before)
        assert [event.reason for event in first.events] == ["InvalidSpec"]
        assert [e.reason for e in decide(later(before, first, generation=4)).events] == ["InvalidSpec"]

    def test_of_health_are_none(self) -> None:
        assert decide(snapshot("v1")).events == ()


def test_a_first_deployment_that_is_late_is_stalled_until_it_comes() -> None:
    late = status(stable=None, candidate=starting("v1", started=ago(hours=1)))
    before = snapshot("v1", late, observed({"v1": unready(0)}))
    now = decide(before).status
    assert "Stalled" in true(now)
    assert found(now, "Ready").reason == "ProgressDeadlineExceeded"  # type: ignore[union-attr]
    came = decide(later(before, decide(before), observed=observed({"v1": ready()}))).status
    assert came.stable is not None
    assert came.stable.revision == rev("v1")


def test_long_messages_are_cut() -> None:
    now = decide(snapshot("v1", seen=observed(failure="x" * 50_000))).status
    assert len(now.message) == SHORT
    assert max(len(one.message) for one in now.conditions) == SHORT


def test_unreadable_without_a_reason_still_says_something() -> None:
    now = decide(replace(unreadable(snapshot("v1")), invalid=None)).status
    assert now.message == "spec cannot be read; version v1 serves"


def found(now: ModelDeploymentStatus, name: str) -> Condition | None:
    return next((one for one in now.conditions if one.type == name), None)


def true(now: ModelDeploymentStatus) -> set[str]:
    return {one.type for one in now.conditions if one.status == "True"}


def test_a_wish_that_cannot_be_granted_is_a_condition_while_it_lasts() -> None:
    limits = (
        Finding("StickyNotSupported", "no sticky sessions here", blocks=False),
        Finding("TimeoutNotSupported", "no time limits here", blocks=False),
    )
    limited = decide(snapshot("v1", status(), replace(observed(BOTH), limits=limits))).status
    (found,) = [one for one in limited.conditions if one.type == "TrafficLimited"]
    assert (found.status, found.reason) == ("True", "StickyNotSupported")
    assert found.message == "no sticky sessions here; no time limits here"
    assert "Available" in true(limited)
    assert "TrafficLimited" not in true(decide(snapshot("v1", limited, observed(BOTH))).status)
