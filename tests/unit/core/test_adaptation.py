"""`spec.adapt`: more pods where capacity is what lacks, within stated limits."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.api.v1alpha1.status import Condition, ModelDeploymentStatus
from modeldeploy.core.adaptation import adapted
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.cause import Who
from modeldeploy.core.decision import Decision
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Snapshot, Workload
from modeldeploy.core.traffic import shares
from unit.core.build import (
    ERRORS,
    NOW,
    NULLS,
    breach,
    later,
    observed,
    passing,
    previous,
    ready,
    rev,
    snapshot,
    stable,
    status,
)

pytestmark = pytest.mark.unit

P95 = {"name": "p95", "category": "Software", "preset": "latencyP95", "max": "300ms"}
METRICS = (P95, NULLS, ERRORS)
SLOW = breach("p95", Category.SOFTWARE, Who.STABLE)
AUTOMATIC = {"mode": "Automatic", "maxReplicas": 9}


def slow(
    *says: Assessment,
    runs: int = 4,
    bounds: tuple[int, int | None] = (2, 6),
    adapt: dict[str, Any] | None = None,
    now_is: dict[str, Any] | None = None,
    **written: Any,
) -> Snapshot:
    """A version that serves and is slow."""
    known = status(**{"stable": stable("v1"), **(now_is or {})})
    replicas = {"min": bounds[0]} | ({"max": bounds[1]} if bounds[1] else {})
    return snapshot(
        "v1",
        known,
        observed({"v1": ready(runs), "v0": ready(runs)}, revisions=["v0", "v1"]),
        says=says or (SLOW,),
        metrics=METRICS,
        replicas=replicas,
        adapt=adapt or {},
        **written,
    )


def short(decision: Decision) -> Condition | None:
    return next((one for one in decision.status.conditions if one.type == "CapacityShort"), None)


def effective(before: Snapshot, status: ModelDeploymentStatus) -> tuple[int, int | None]:
    assert before.spec
    replicas = adapted(before.spec, status).server.replicas
    return replicas.min, replicas.max


def test_it_is_suggested_unless_asked_for() -> None:
    before = slow()
    decision = decide(before)
    assert decision.status.adaptation is None
    told = short(decision)
    assert told
    assert told.reason == "Suggested"
    assert "set spec.server.replicas: {min: 6, max: 6}" in told.message
    assert "spec.adapt: {mode: Automatic, maxReplicas: 6}" in told.message
    assert short(decide(later(before, decision, assessments=(passing("p95", Category.SOFTWARE),)))) is None


@pytest.mark.parametrize(
    ("runs", "bounds", "limit", "expected"),
    [
        (2, (2, 6), 9, (3, 6)),  # below its maximum the autoscaler doesn't see what lacks
        (4, (2, 6), 9, (6, 6)),
        (6, (2, 6), 9, (2, 9)),  # at its maximum it may choose more
        (6, (2, 6), 7, (2, 7)),
        (6, (2, 6), 6, None),
        (2, (2, None), 9, (3, 3)),
        (6, (6, None), 8, (8, 8)),
        (6, (6, 6), 6, None),
    ],
)
def test_bounds_are_raised_by_half_up_to_the_limit(
    runs: int, bounds: tuple[int, int | None], limit: int, expected: tuple[int, int] | None
) -> None:
    before = slow(runs=runs, bounds=bounds, adapt={"mode": "Automatic", "maxReplicas": limit})
    decision = decide(before)
    told = short(decision)
    assert told
    if expected is None:
        assert decision.status.adaptation is None
        assert told.reason == "LimitReached"
        return
    assert effective(before, decision.status) == expected
    assert told.reason == "Raised"
    assert decision.sizes == {rev("v1"): expected[0]}
    assert [one.reason for one in decision.events if one.reason == "ReplicasRaised"] == ["ReplicasRaised"]


def test_one_raise_per_cool_down_and_never_beyond_the_limit() -> None:
    before = slow(runs=2, adapt={**AUTOMATIC, "cooldown": "10m"})
    decision, pods, raises = decide(before), 2, []
    for minute in range(1, 61):
        assert decision.status.adaptation
        raises.append((decision.status.adaptation.at, effective(before, decision.status)))
        pods = max(pods, decision.sizes[rev("v1")])
        pods = effective(before, decision.status)[1] or pods  # the autoscaler follows
        at = NOW + timedelta(minutes=minute)
        decision = decide(later(before, decision, observed=observed({"v1": ready(pods)}), now=at))
    times = sorted({at for at, _ in raises})
    assert all(second - first >= timedelta(minutes=10) for first, second in pairwise(times))
    assert max(most or 0 for _, (_, most) in raises) == 9
    assert short(decision) is not None


def test_pods_that_start_are_waited_for() -> None:
    before = slow(adapt=AUTOMATIC)
    starting = replace(before, observed=observed({"v1": Workload(wanted=4, ready=3)}))
    decision = decide(starting)
    assert decision.status.adaptation is None
    told = short(decision)
    assert told
    assert told.reason == "Raising"


def test_the_specs_own_bounds_end_it() -> None:
    before = slow(runs=6, adapt=AUTOMATIC)
    raised = decide(before)
    edited = slow(runs=6, bounds=(3, 8), adapt=AUTOMATIC)
    ended = decide(later(edited, raised, assessments=(passing("p95", Category.SOFTWARE),)))
    assert ended.status.adaptation is None
    assert effective(edited, ended.status) == (3, 8)
    assert "AdaptationEnded" in {one.reason for one in ended.events}
    back = slow(runs=6)
    assert decide(later(back, raised, assessments=())).status.adaptation is None, (
        "mode: Suggest raises nothing"
    )


def test_a_smaller_limit_holds_at_once() -> None:
    raised = decide(slow(runs=6, adapt=AUTOMATIC))
    limited = slow(runs=6, adapt={"mode": "Automatic", "maxReplicas": 7})
    assert effective(limited, decide(later(limited, raised)).status) == (2, 7)


OTHERS = {
    "outputs moved as well": (SLOW, breach("nulls", Category.OUTPUT, Who.STABLE)),
    "errors alone": (breach("errors", Category.SOFTWARE, Who.STABLE),),
    "nothing": (passing("p95", Category.SOFTWARE),),
}


@pytest.mark.parametrize("says", OTHERS.values(), ids=OTHERS)
def test_what_is_no_lack_of_capacity(says: tuple[Assessment, ...]) -> None:
    decision = decide(slow(*says, adapt=AUTOMATIC))
    assert (decision.status.adaptation, short(decision)) == (None, None)


@pytest.mark.parametrize(("adapt", "weights"), [(AUTOMATIC, {rev("v1"): 100}), ({}, {rev("v0"): 100})])
def test_more_pods_come_before_a_rollback_where_they_may(
    adapt: dict[str, Any], weights: dict[str, int]
) -> None:
    before = slow(adapt=adapt, after="Rollback", now_is={"previous": previous("v0")})
    assert shares(decide(before).status) == weights


def test_at_the_limit_it_is_rolled_back() -> None:
    at_limit = {"mode": "Automatic", "maxReplicas": 6}
    before = slow(runs=6, adapt=at_limit, after="Rollback", now_is={"previous": previous("v0")})
    assert shares(decide(before).status) == {rev("v0"): 100}
