"""`onBreach.duringRollout: StepDown`: a breach costs a step, and the next one the rollout."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from modeldeploy.api.v1alpha1.rollout import Intent
from modeldeploy.api.v1alpha1.status import Candidate, Outcome, Phase, SteppedDown, Verdict
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.cause import Who
from modeldeploy.core.judgement import Evidence, Roles
from modeldeploy.core.judgement.state import Judged, Trial
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Routers, Snapshot
from modeldeploy.core.traffic import shares
from unit.core.build import (
    NOW,
    ago,
    breach,
    candidate,
    later,
    observed,
    passing,
    ready,
    rev,
    snapshot,
    spec,
    status,
    unready,
    waiting,
)

pytestmark = pytest.mark.unit

WEIGHTS = tuple({"weight": weight, "hold": "1m"} for weight in (5, 20, 60))
COPIES = (
    {"preview": {}, "hold": "1m"},
    {"shadow": {"percent": 50}, "hold": "1m"},
    {"weight": 10, "hold": "1m"},
    {"approval": "Required"},
    {"weight": 60, "hold": "1m"},
)
BOTH = {"v1": ready(), "v2": ready()}


def at(
    step: int, *says: Assessment, steps: Any = WEIGHTS, weight: int | None = None, **written: Any
) -> Snapshot:
    """A candidate in a step of the plan; `weight` if it has been eased."""
    given = [0, *(one.get("weight", 0) for one in steps)]
    share = max(given[: step + 1]) if weight is None else weight
    on_trial = candidate(weight=share, step=step, started=ago(minutes=9), since=ago(minutes=2), of=len(steps))
    return snapshot(
        "v2",
        status(candidate=on_trial),
        observed(BOTH, routers=Routers(ready=2, serving=99)),
        says=says,
        steps=steps,
        during="StepDown",
        **written,
    )


def on_trial(before: Snapshot) -> Candidate:
    decision = decide(before)
    assert decision.status.candidate, decision.status.message
    return decision.status.candidate


def test_a_breach_takes_it_one_step_back_and_holds_it_there_anew() -> None:
    before = at(3, breach())
    decision = decide(before)
    assert shares(decision.status) == {rev("v1"): 80, rev("v2"): 20}
    found = decision.status.candidate
    assert found
    assert (found.step, found.progress, found.step_started_at) == (2, "2/3", NOW)
    assert found.stepped_down == SteppedDown(
        times=1, at=NOW, step=3, message="nulls 24% of 412 answers (max 5%)"
    )
    assert decision.requeue_at == NOW + timedelta(minutes=1)
    assert decision.status.phase is Phase.PROGRESSING
    assert decision.status.rejected is None


def test_people_are_told_in_message_event_and_history() -> None:
    decision = decide(at(3, breach()))
    said = "stepped down from step 3 to step 2: nulls 24% of 412 answers (max 5%)"
    assert decision.status.message.startswith(
        "canary v2 at 20%: step 2 of 3, stepped down from step 3 "
        "(nulls 24% of 412 answers (max 5%); another breach rolls it back)"
    )
    entry = decision.status.history[0]
    assert (entry.outcome, entry.reason, entry.message) == (Outcome.STEPPED_DOWN, "MetricBreached", said)
    assert [one.verdict for one in entry.evidence] == [Verdict.BREACH]
    assert ("SteppedDown", f"version v2 {said}") in [(one.reason, one.message) for one in decision.events]


def test_what_was_measured_before_counts_no_more() -> None:
    before = at(3, breach())
    decision = decide(before)
    assert (decision.status.metrics, decision.status.verdict) == ([], None)
    found = decision.status.candidate
    assert found
    assert found.judged_since == NOW
    assert decide(later(before, decision, assessments=())).status == decision.status
    roles = Roles.of(before.status)
    known = Evidence(at=1.0, roles=roles, metrics={"nulls": Judged("", trials={"max": Trial()}, eventful=7)})
    afresh = known.with_roles(Roles.of(decision.status))
    assert (afresh.metrics["nulls"].trials, afresh.metrics["nulls"].eventful) == ({}, 0)


@pytest.mark.parametrize(("times", "allowed"), [(1, None), (1, 1), (3, 3), (2, 1)])
def test_the_next_breach_is_a_rollback(times: int, allowed: int | None) -> None:
    before = at(3, breach(), step_downs=allowed)
    assert before.status.candidate
    fallen = SteppedDown(times=times, at=ago(minutes=2), step=3, message="nulls 24%")
    known = before.status.candidate.model_copy(update={"stepped_down": fallen})
    decision = decide(replace(before, status=before.status.model_copy(update={"candidate": known})))
    assert shares(decision.status) == {rev("v1"): 100}
    assert decision.status.rejected
    assert decision.status.history[0].outcome is Outcome.ROLLED_BACK


def test_it_may_go_back_as_often_as_spec_says() -> None:
    before = at(3, breach(), step_downs=2)
    first = decide(before)
    assert "1 more may cost it a step" in first.status.message
    second = decide(later(before, first, assessments=(breach(),), now=NOW + timedelta(minutes=1)))
    assert second.status.candidate
    assert second.status.candidate.stepped_down
    assert (second.status.candidate.step, second.status.candidate.stepped_down.times) == (1, 2)
    third = decide(later(before, second, assessments=(breach(),), now=NOW + timedelta(minutes=2)))
    assert shares(third.status) == {rev("v1"): 100}


def test_once_it_passes_it_goes_on_again() -> None:
    before = at(3, breach())
    down = decide(before)
    up = decide(later(before, down, assessments=(passing(),), now=NOW + timedelta(minutes=1)))
    assert shares(up.status) == {rev("v1"): 40, rev("v2"): 60}
    assert up.status.candidate
    assert up.status.candidate.stepped_down == (down.status.candidate and down.status.candidate.stepped_down)


ROLLBACKS = {
    "in the first step": at(1, breach()),
    "of a candidate without a ready pod": replace(
        at(3), observed=observed({"v1": ready(), "v2": unready(problem="it crashes")})
    ),
    "in the first with any traffic": at(1, breach(), steps=COPIES[2:]),
}


@pytest.mark.parametrize("before", ROLLBACKS.values(), ids=ROLLBACKS)
def test_a_rollback_as_ever(before: Snapshot) -> None:
    decision = decide(before)
    assert (shares(decision.status), decision.status.candidate) == ({rev("v1"): 100}, None)


@pytest.mark.parametrize(
    ("step", "to", "gets"), [(5, 4, (10, 0)), (4, 2, (0, 50)), (3, 2, (0, 50)), (2, 1, (0, 0))]
)
def test_it_goes_back_to_where_it_got_less(step: int, to: int, gets: tuple[int, int]) -> None:
    before = at(step, breach(), steps=COPIES)
    assert before.status.candidate
    if step == 2:
        mirrored = before.status.candidate.model_copy(update={"mirror": 50})
        before = replace(before, status=before.status.model_copy(update={"candidate": mirrored}))
    found = on_trial(before)
    assert (found.step, (found.weight, found.mirror)) == (to, gets)


def test_an_approval_is_asked_for_again() -> None:
    before = at(5, breach(), steps=COPIES)
    assert before.status.candidate
    approved = before.status.candidate.model_copy(update={"approved": 4})
    before = replace(before, status=before.status.model_copy(update={"candidate": approved}))
    decision = decide(before)
    after = decide(later(before, decision, assessments=(passing(),), now=NOW + timedelta(minutes=5)))
    assert after.status.candidate
    assert (after.status.candidate.step, after.status.phase) == (4, Phase.PAUSED)


def test_nobody_is_promoted_past_a_breach() -> None:
    before = at(2, breach(), control={"promote": Intent(revision=rev("v2"))})
    found = on_trial(before)
    assert (found.step, found.promoting) == (1, False)


def test_one_that_lost_pods_gets_no_more_than_it_carries() -> None:
    before = replace(at(3, breach()), observed=observed({"v1": ready(), "v2": ready(1)}))
    assert before.status.candidate
    big = before.status.candidate.model_copy(update={"size": 10, "demand": 10})
    found = on_trial(replace(before, status=before.status.model_copy(update={"candidate": big})))
    assert (found.step, found.weight) == (2, 10)


def test_one_that_got_less_than_its_step_goes_back_further() -> None:
    assert (on_trial(at(3, breach(), weight=10)).step, on_trial(at(3, breach(), weight=30)).step) == (1, 2)


def test_without_room_stable_gets_its_pods_back() -> None:
    steps = ({"weight": 20, "hold": "1m"}, {"weight": 60, "hold": "1m"})
    before = at(2, breach(), steps=steps, surge="None")
    assert before.status.candidate
    big = before.status.candidate.model_copy(update={"size": 6, "demand": 10})
    decision = decide(replace(before, status=before.status.model_copy(update={"candidate": big})))
    assert (decision.sizes[rev("v1")], decision.sizes[rev("v2")]) == (8, 2)


@pytest.mark.parametrize("says", [breach(who=Who.BOTH), breach(who=Who.UNSURE), waiting(Verdict.NO_DATA)])
def test_what_is_not_blamed_on_it_costs_no_step(says: Assessment) -> None:
    assert on_trial(at(3, says)).step == 3


def test_the_default_is_one() -> None:
    assert spec(during="StepDown").on_breach.step_downs is None
