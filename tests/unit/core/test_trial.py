"""A candidate on trial: when it gets more traffic, when it waits, and when it loses all."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.api.v1alpha1.status import Outcome, Phase, Verdict
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.cause import Who
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Routers, Snapshot, Workload
from modeldeploy.core.traffic import shares
from unit.core.build import (
    ERRORS,
    MISSING,
    NOW,
    NULLS,
    TRAFFIC,
    ago,
    breach,
    candidate,
    later,
    observed,
    passing,
    previous,
    ready,
    rev,
    snapshot,
    stable,
    starting,
    status,
    unready,
    waiting,
)

pytestmark = pytest.mark.unit

BOTH = {"v1": ready(), "v2": ready()}
STAYS = {rev("v1"): 90, rev("v2"): 10}
GOES_ON = {rev("v1"): 50, rev("v2"): 50}
RETURNS = {rev("v1"): 100}


def held(*says: Assessment, step: int = 1, minutes: float = 2, **written: Any) -> Snapshot:
    """A candidate whose step has held for long enough."""
    weight = {1: 10, 2: 50}[step]
    on_trial = candidate(weight=weight, step=step, started=ago(minutes=20), since=ago(minutes=minutes))
    return snapshot("v2", status(candidate=on_trial), observed(BOTH), says=says, **written)


VERDICTS = {
    "passes": ([passing()], {}, GOES_ON),
    "does not apply": ([waiting(Verdict.NOT_APPLICABLE)], {}, GOES_ON),
    "has too few samples": ([waiting(Verdict.INCONCLUSIVE)], {}, STAYS),
    "has no data, or NaN": ([waiting(Verdict.NO_DATA)], {}, STAYS),
    "has no data and is ignored then": ([waiting(Verdict.NO_DATA, holds=False)], {}, GOES_ON),
    "cannot be asked: the store is away": ([waiting(Verdict.ERROR)], {}, STAYS),
    "was not looked at yet": ([], {}, STAYS),
    "breaches": ([breach()], {}, RETURNS),
    "breaches, another passes": (
        [passing("errors"), breach()],
        {"metrics": [ERRORS, NULLS]},
        RETURNS,
    ),
    "breaches for stable too": ([breach(who=Who.BOTH)], {"minutes": 11}, STAYS),
    "breaches for stable too, soon after the step began": ([breach(who=Who.BOTH)], {}, RETURNS),
    "breaches for stable too, but the candidate is worse": ([breach(who=Who.WORSE)], {}, RETURNS),
    "breaches without a count behind it": ([breach(who=Who.UNSURE)], {}, STAYS),
    "breaches on inputs": ([breach("missing", Category.INPUT, Who.BOTH)], {"metrics": [MISSING]}, GOES_ON),
    "breaches on inputs of the candidate alone": (
        [breach("missing", Category.INPUT)],
        {"metrics": [MISSING]},
        STAYS,
    ),
    "breaches, and people want to be asked": ([breach()], {"during": "Pause"}, STAYS),
    "breaches, and people want to be told only": ([breach()], {"during": "Notify"}, GOES_ON),
    "passes, another waits": (
        [passing("errors"), waiting(Verdict.NO_DATA)],
        {"metrics": [ERRORS, NULLS]},
        STAYS,
    ),
}


@pytest.mark.parametrize(("says", "written", "expected"), VERDICTS.values(), ids=VERDICTS)
def test_metric(says: Sequence[Assessment], written: dict[str, Any], expected: dict[str, int]) -> None:
    assert shares(decide(held(*says, **written)).status) == expected


def test_nothing_watched_advances_by_time_alone() -> None:
    before = held(metrics=[])
    assert shares(decide(before).status) == GOES_ON
    early = replace(before, now=before.now - timedelta(seconds=61))
    assert shares(decide(early).status) == STAYS


@pytest.mark.parametrize("seconds", [0, 59])
def test_a_step_holds_however_well_it_looks(seconds: int) -> None:
    before = snapshot("v2", status(candidate=candidate()), observed(BOTH), says=[passing()])
    decision = decide(replace(before, now=NOW + timedelta(seconds=seconds)))
    assert shares(decision.status) == STAYS
    assert decision.requeue_at == NOW + timedelta(minutes=1)


@pytest.mark.parametrize("minutes", [0, 9])
def test_a_breach_does_not_wait_for_the_hold(minutes: int) -> None:
    before = snapshot("v2", status(candidate=candidate()), observed(BOTH), says=[breach()])
    assert shares(decide(replace(before, now=NOW + timedelta(minutes=minutes))).status) == RETURNS


def test_a_breach_does_not_wait_for_the_routers() -> None:
    before = held(breach())
    behind = replace(before.observed, routers=Routers(ready=0))
    assert shares(decide(replace(before, observed=behind)).status) == RETURNS


@pytest.mark.parametrize("routers", [Routers(), Routers(ready=2), Routers(ready=1, serving=TRAFFIC - 1)])
def test_no_step_is_taken_before_the_routers_follow_the_last_one(routers: Routers) -> None:
    before = held(passing())
    decision = decide(replace(before, observed=replace(before.observed, routers=routers)))
    assert shares(decision.status) == STAYS
    assert "waits for the routers" in decision.status.message


@pytest.mark.parametrize("workload", [unready(1), replace(ready(), settled=False)])
def test_no_step_is_taken_while_a_pod_is_missing(workload: Workload) -> None:
    before = held(passing())
    decision = decide(replace(before, observed=observed({"v1": ready(), "v2": workload})))
    assert shares(decision.status) == STAYS
    assert "waits for its pods" in decision.status.message


def test_step_after_step_to_promotion() -> None:
    before = snapshot("v2", status(candidate=starting("v2")), observed(BOTH), says=[passing()])
    seen = [shares(before.status)]
    for _ in range(4):
        decision = decide(before)
        seen.append(shares(decision.status))
        followed = replace(before.observed, routers=Routers(2, decision.status.traffic_generation))
        before = later(before, decision, observed=followed, now=before.now + timedelta(minutes=1))
    assert seen == [RETURNS, STAYS, GOES_ON, {rev("v2"): 100}, {rev("v2"): 100}]
    assert before.status.traffic_generation == TRAFFIC + 3
    assert before.status.phase is Phase.HEALTHY


class TestPromotion:
    decision = decide(held(passing(), step=2))

    def test_hands_over_all_traffic_and_keeps_both_running(self) -> None:
        assert shares(self.decision.status) == {rev("v2"): 100}
        assert self.decision.running == {rev("v1"), rev("v2")}
        assert self.decision.retired == frozenset()

    def test_keeps_the_replaced_one_warm(self) -> None:
        kept = self.decision.status.previous
        assert kept is not None
        assert (kept.revision, kept.until) == (rev("v1"), NOW + timedelta(hours=1))

    def test_leaves_evidence_and_nothing_else_behind(self) -> None:
        now = self.decision.status
        assert now.candidate is None
        assert now.metrics == []
        assert now.verdict is None
        entry = now.history[0]
        assert (entry.outcome, entry.reason) == (Outcome.PROMOTED, "Passed")
        assert [metric.verdict for metric in entry.evidence] == [Verdict.PASS]

    def test_of_the_last_of_three_lets_the_oldest_drain(self) -> None:
        before = held(passing(), step=2)
        old = before.status.model_copy(update={"previous": previous("v0")})
        now = decide(replace(before, status=old)).status
        assert [entry.revision for entry in now.draining] == [rev("v0")]


class TestRollback:
    before = held(breach(), step=2)
    decision = decide(before)

    def test_moves_all_traffic_in_one_change(self) -> None:
        assert shares(self.decision.status) == RETURNS
        assert self.decision.status.traffic_generation == TRAFFIC + 1
        assert self.decision.running == {rev("v1"), rev("v2")}

    def test_says_why_everywhere(self) -> None:
        now = self.decision.status
        assert now.phase is Phase.ROLLING_BACK
        assert now.verdict == "Breach: nulls"
        assert now.message == (
            "version v2 was rolled back: nulls 24% of 412 answers (max 5%); version v1 serves. "
            "Change spec.model or spec.server to try another, or try this one again with "
            "spec.rollout.control.retry: {revision: revv2}"
        )
        assert [(event.reason, event.message) for event in self.decision.events] == [
            ("MetricBreached", "nulls 24% of 412 answers (max 5%)"),
            (
                "RolledBack",
                "version v2 ended at 50% of traffic: nulls 24% of 412 answers (max 5%); all traffic to v1",
            ),
        ]

    def test_keeps_the_evidence(self) -> None:
        evidence = self.decision.status.history[0].evidence[0]
        assert (evidence.verdict, evidence.candidate, evidence.stable, evidence.samples) == (
            Verdict.BREACH,
            "24%",
            "1%",
            412,
        )

    def test_waits_until_stable_has_a_pod_to_return_to(self) -> None:
        seen = observed({"v1": unready(0), "v2": ready()})
        waits = decide(replace(self.before, observed=seen))
        assert shares(waits.status) == GOES_ON
        assert waits.status.phase is Phase.PAUSED
        back = decide(later(self.before, waits))
        assert shares(back.status) == RETURNS

    @pytest.mark.parametrize(
        "workload",
        [None, unready(0), unready(1, "it crashes", fatal=True)],
        ids=["deleted", "no pod ready", "crashes again and again"],
    )
    @pytest.mark.parametrize("during", ["Rollback", "Pause", "Notify"])
    def test_of_a_candidate_without_pods_whatever_breaches_lead_to(
        self, workload: Workload | None, during: str
    ) -> None:
        seen = observed({"v1": ready()} | ({"v2": workload} if workload else {}))
        now = decide(replace(held(passing(), during=during), observed=seen)).status
        assert shares(now) == RETURNS
        assert now.history[0].reason == "CandidateUnavailable"

    def test_does_not_follow_from_an_outage_of_all_pods(self) -> None:
        seen = observed({"v1": unready(0), "v2": unready(0)})
        assert decide(replace(held(passing()), observed=seen)).status.candidate


class TestDeadline:
    """35 minutes: startupTimeout 20m and progressDeadline 15m."""

    seen = observed({"v1": ready(), "v2": unready(0, "its image cannot be pulled")})

    def test_is_waited_for(self) -> None:
        before = snapshot("v2", status(candidate=starting("v2")), self.seen, now=NOW + timedelta(minutes=34))
        decision = decide(before)
        assert decision.status.candidate
        assert decision.requeue_at == NOW + timedelta(minutes=35)

    def test_gives_up_a_candidate_that_never_got_ready(self) -> None:
        before = snapshot("v2", status(candidate=starting("v2")), self.seen, now=NOW + timedelta(minutes=35))
        decision = decide(before)
        now = decision.status
        assert now.rejected is not None
        assert now.rejected.reason == "ProgressDeadlineExceeded"
        assert now.rejected.message == "not ready after 35m: its image cannot be pulled"
        assert now.traffic_generation == TRAFFIC
        assert decision.retired == {rev("v2")}

    @pytest.mark.parametrize(
        ("says", "reason"),
        [
            ([waiting(Verdict.INCONCLUSIVE)], "InsufficientEvidence"),
            ([waiting(Verdict.NO_DATA)], "InsufficientEvidence"),
            ([waiting(Verdict.ERROR)], "Progressing"),
        ],
    )
    def test_of_a_step_without_evidence_asks_a_human(self, says: list[Assessment], reason: str) -> None:
        before = held(*says)
        decision = decide(replace(before, now=NOW + timedelta(minutes=14)))
        assert shares(decision.status) == STAYS
        assert decision.status.conditions[0].reason == reason
        assert (decision.status.phase is Phase.PAUSED) == (reason != "Progressing")

    def test_of_a_step_is_looked_at_when_it_comes(self) -> None:
        assert decide(held(waiting(Verdict.NO_DATA))).requeue_at == NOW + timedelta(minutes=14)


class TestMinRequests:
    steps = ({"weight": 10, "hold": "1m", "minRequests": 500}, {"weight": 50, "hold": "1m"})

    def test_are_waited_for(self) -> None:
        before = held(passing(), steps=self.steps)
        decision = decide(replace(before, answered=499))
        assert shares(decision.status) == STAYS
        assert "500 requests" in decision.status.message

    def test_are_enough(self) -> None:
        assert shares(decide(replace(held(passing(), steps=self.steps), answered=500)).status) == GOES_ON


class TestEditedSteps:
    """The plan of a rollout under way changes."""

    def test_weight_of_the_step_under_way_is_followed_and_holds_anew(self) -> None:
        decision = decide(held(passing(), steps=[{"weight": 20, "hold": "1m"}]))
        assert shares(decision.status) == {rev("v1"): 80, rev("v2"): 20}
        assert decision.status.candidate is not None
        assert decision.status.candidate.step_started_at == NOW
        assert decision.status.candidate.progress == "1/1"

    def test_more_weight_is_refused_while_a_breach_pauses(self) -> None:
        before = held(breach(who=Who.BOTH), minutes=11, steps=[{"weight": 20, "hold": "1m"}])
        assert shares(decide(before).status) == STAYS

    def test_less_weight_is_followed_while_a_breach_pauses(self) -> None:
        before = held(breach(who=Who.BOTH), minutes=11, steps=[{"weight": 1, "hold": "1m"}])
        assert shares(decide(before).status) == {rev("v1"): 99, rev("v2"): 1}

    def test_what_the_provider_cannot_do_is_left_once_it_is_not_asked_for(self) -> None:
        steps = [{"shadow": {"percent": 50}, "hold": "1m"}, {"weight": 10, "hold": "1m"}]
        before = held(passing(), steps=steps)
        copies = candidate(weight=0).model_copy(update={"mirror": 50})
        behind = replace(before.observed, routers=Routers(ready=1), unable="no copies here")
        stuck = replace(before, status=status(candidate=copies), observed=behind)
        assert decide(stuck).status.candidate == copies
        edited = held(passing(), steps=steps[1:])
        now = decide(replace(edited, status=stuck.status, observed=behind)).status
        assert shares(now) == {rev("v1"): 90, rev("v2"): 10}

    def test_fewer_steps_than_were_taken_promote(self) -> None:
        decision = decide(held(passing(), step=2, steps=[{"weight": 50, "hold": "1m"}]))
        assert shares(decision.status) == {rev("v2"): 100}

    def test_more_steps_are_taken(self) -> None:
        plan = [{"weight": weight, "hold": "1m"} for weight in (10, 50, 75)]
        decision = decide(held(passing(), step=2, steps=plan))
        assert shares(decision.status) == {rev("v1"): 25, rev("v2"): 75}

    def test_no_steps_at_all_promote(self) -> None:
        decision = decide(held(passing(), strategy="Immediate"))
        assert shares(decision.status) == {rev("v2"): 100}


class TestRecording:
    def test_writes_nothing_while_only_numbers_move(self) -> None:
        watched = decide(snapshot("v1", says=[passing()]))
        moved = replace(passing(), candidate="2%", samples=999, message="nulls 2%")
        again = decide(later(snapshot("v1"), watched, assessments=(moved,), now=NOW + timedelta(minutes=1)))
        assert again.status == watched.status

    def test_a_paused_message_does_not_move_with_its_number(self) -> None:
        before = held(breach(who=Who.BOTH), minutes=11)
        paused = decide(before)
        moved = replace(breach(who=Who.BOTH), message="nulls 25% of 500 answers (max 5%)")
        assert decide(later(before, paused, assessments=(moved,))).status == paused.status

    def test_names_the_worst_verdict(self) -> None:
        says = [passing("errors"), waiting(Verdict.NO_DATA)]
        now = decide(snapshot("v1", says=says, metrics=[ERRORS, NULLS])).status
        assert now.verdict == "NoData: nulls"

    @pytest.mark.parametrize("during", ["Rollback", "Pause", "Notify"])
    def test_tells_a_breach_once(self, during: str) -> None:
        before = held(breach(who=Who.BOTH), during=during)
        first = decide(before)
        assert [event.reason for event in first.events].count("MetricBreached") == 1
        again = decide(later(before, first))
        assert "MetricBreached" not in [event.reason for event in again.events]

    def test_shows_a_breach_that_is_only_told(self) -> None:
        on_trial = status(candidate=candidate())
        now = decide(snapshot("v2", on_trial, observed(BOTH), says=[breach()], during="Notify")).status
        assert now.message == "canary v2 at 10%: step 1 of 2; nulls 24% of 412 answers (max 5%)"
        assert now.phase is Phase.PROGRESSING

    def test_stable_is_judged_on_after_the_rollout(self) -> None:
        now = decide(snapshot("v1", status(stable=stable()), says=[breach()])).status
        assert shares(now) == RETURNS
        assert now.verdict == "Breach: nulls"
