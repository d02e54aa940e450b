"""Both got worse soon after a step: traffic returns, stable is watched, and whose doing it was comes out."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from modeldeploy.api.v1alpha1.cause import Cause
from modeldeploy.api.v1alpha1.status import Outcome, Phase
from modeldeploy.core.cause import Who
from modeldeploy.core.decision import Decision
from modeldeploy.core.interference import WATCHED
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.traffic import shares
from unit.core.build import (
    NOW,
    TRAFFIC,
    ago,
    breach,
    candidate,
    later,
    observed,
    passing,
    ready,
    rev,
    snapshot,
    status,
    unready,
)

pytestmark = pytest.mark.unit

BOTH = {"v1": ready(), "v2": ready()}
ALL_STABLE = {rev("v1"): 100}
SHARED = {rev("v1"): 90, rev("v2"): 10}


def worse(*, minutes: float = 2, **written: Any) -> Snapshot:
    on_trial = candidate(started=ago(minutes=20), since=ago(minutes=minutes))
    return snapshot("v2", status(candidate=on_trial), observed(BOTH), says=[breach(who=Who.BOTH)], **written)


def watched(recovered: bool | None, *, after: float = 60) -> tuple[Snapshot, Decision]:  # noqa: FBT001
    """The look `after` seconds later, with what is known of stable by then."""
    before = worse()
    returned = decide(before)
    says = (replace(breach(who=Who.BOTH), recovered=recovered),)
    then = later(before, returned, assessments=says, now=NOW + timedelta(seconds=after))
    return then, decide(then)


def test_all_traffic_returns_and_the_candidate_stays() -> None:
    decision = decide(worse())
    now = decision.status
    assert shares(now) == ALL_STABLE
    assert now.traffic_generation == TRAFFIC + 1
    assert now.candidate
    assert (now.candidate.returned_at, now.candidate.step) == (NOW, 1)
    assert now.cause
    assert (now.cause.cause, now.cause.metrics) == (Cause.INTERFERENCE, ["nulls"])
    paused = next(one for one in now.conditions if one.type == "Paused")
    assert paused.reason == "Interference"
    assert "nulls 24%" in paused.message
    assert "its traffic was returned" in paused.message
    assert "TrafficReturned" in [event.reason for event in decision.events]
    assert decision.requeue_at == NOW + timedelta(seconds=WATCHED)


def test_people_who_want_to_be_told_only_are() -> None:
    now = decide(worse(during="Notify")).status
    assert now.candidate
    assert now.candidate.returned_at is None


@pytest.mark.parametrize(
    "before",
    [
        worse(minutes=11),
        worse(during="Pause"),
        worse(surge="None"),
        replace(worse(), observed=observed({"v1": unready(0), "v2": ready()})),
    ],
    ids=["long after the step", "people pause", "no room", "stable has no pod"],
)
def test_traffic_stays(before: Snapshot) -> None:
    assert shares(decide(before).status) == SHARED


def test_copies_are_returned_as_well() -> None:
    copies = candidate(weight=0, started=ago(minutes=20), since=ago(minutes=2)).model_copy(
        update={"mirror": 50}
    )
    now = decide(replace(worse(), status=status(candidate=copies))).status
    assert now.candidate
    assert (now.candidate.mirror, now.candidate.returned_at) == (0, NOW)


def test_nothing_happens_while_nothing_is_known() -> None:
    then, decision = watched(None)
    assert decision.status == then.status
    blind = decide(replace(then, assessments=()))
    assert shares(blind.status) == ALL_STABLE


def test_a_stable_that_recovers_tells_that_it_was_the_candidate() -> None:
    _, decision = watched(recovered=True)
    now = decision.status
    assert shares(now) == ALL_STABLE
    assert now.candidate is None
    assert now.rejected
    assert now.rejected.reason == "Interference"
    assert "recovered once traffic had returned; give the candidate nodes" in now.rejected.message
    assert (now.history[0].outcome, now.history[0].reason) == (Outcome.ROLLED_BACK, "Interference")


@pytest.mark.parametrize(("recovered", "after"), [(False, 60), (None, WATCHED)], ids=["shown", "too long"])
def test_a_stable_that_does_not_recover_clears_the_candidate(recovered: bool | None, after: float) -> None:  # noqa: FBT001
    then, decision = watched(recovered, after=after)
    now = decision.status
    assert shares(now) == SHARED
    assert now.candidate
    assert (now.candidate.returned_at, now.candidate.cleared) == (None, True)
    assert now.candidate.step_started_at == then.now
    again = decide(later(then, decision, now=then.now + timedelta(seconds=10))).status
    assert shares(again) == SHARED
    assert again.phase is Phase.PAUSED
    assert again.cause
    assert again.cause.cause is Cause.SUSPECTED


def test_what_passes_again_gives_traffic_back() -> None:
    then, _ = watched(None)
    now = decide(replace(then, assessments=(passing(),))).status
    assert shares(now) == SHARED


def test_the_next_step_is_suspected_anew() -> None:
    then, decision = watched(recovered=False)
    well = later(then, decision, assessments=(passing(),), now=then.now + timedelta(minutes=2))
    well = replace(well, observed=observed(BOTH, routers=replace(well.observed.routers, serving=99)))
    next_step = decide(well).status
    assert next_step.candidate
    assert (next_step.candidate.step, next_step.candidate.cleared) == (2, False)


def test_a_candidate_that_loses_its_pods_meanwhile_is_ended() -> None:
    then, _ = watched(None)
    now = decide(replace(then, observed=observed({"v1": ready(), "v2": unready(0)}))).status
    assert now.rejected
    assert now.rejected.reason == "CandidateUnavailable"


def test_a_share_off_its_weight_holds_and_says_so() -> None:
    share = "the candidate answers 15.0% of 4000 requests at a weight of 10%"
    on_trial = status(candidate=candidate(started=ago(minutes=20), since=ago(minutes=2)))
    before = replace(snapshot("v2", on_trial, observed(BOTH), says=[passing()]), off_weight=share)
    now = decide(before).status
    assert shares(now) == SHARED
    paused = next(one for one in now.conditions if one.type == "Paused")
    assert (
        paused.reason,
        paused.message.startswith(f"canary v2 at 10%: step 1 of 2; {share}; see that only"),
    ) == (
        "AssignmentBiased",
        True,
    )
    moved = share.replace("4000", "4100")
    assert decide(later(before, decide(before), off_weight=moved)).status == now
    fair = decide(later(before, decide(before), off_weight=None)).status
    assert shares(fair) == {rev("v1"): 50, rev("v2"): 50}
