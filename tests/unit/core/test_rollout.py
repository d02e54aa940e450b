"""`decide`: every situation, and what must never happen."""

from dataclasses import replace
from datetime import timedelta

import pytest

from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus, Outcome, Phase, Verdict
from modeldeploy.core.rollout import Situation, decide, situation
from modeldeploy.core.snapshot import Routers, Snapshot, Workload
from modeldeploy.core.traffic import shares
from unit.core.build import (
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
    previous,
    ready,
    rejected,
    rev,
    snapshot,
    stable,
    starting,
    status,
    unreadable,
    unready,
    waiting,
)

pytestmark = pytest.mark.unit

BOTH = {"v1": ready(), "v2": ready()}
KEPT = status(stable=stable("v1"), previous=previous("v0"))
SITUATIONS = {
    "first deployment": (snapshot("v1", status(), observed({})), Situation.START),
    "first deployment under way": (
        snapshot("v1", status(stable=None, candidate=starting("v1")), observed({})),
        Situation.TRIAL,
    ),
    "nothing to do": (snapshot("v1"), Situation.SETTLED),
    "a new version": (snapshot("v2"), Situation.START),
    "a new version under way": (snapshot("v2", status(candidate=candidate())), Situation.TRIAL),
    "a third version": (snapshot("v3", status(candidate=candidate())), Situation.SUPERSEDED),
    "a second version before the first was ready": (
        snapshot("v2", status(stable=None, candidate=starting("v1")), observed({})),
        Situation.SUPERSEDED,
    ),
    "back to stable in mid-rollout": (snapshot("v1", status(candidate=candidate())), Situation.RETURNED),
    "rolled back": (snapshot("v2", status(rejected=rejected("v2"))), Situation.REJECTED),
    "another one after a rollback": (snapshot("v3", status(rejected=rejected("v2"))), Situation.START),
    "back to stable after a rollback": (snapshot("v1", status(rejected=rejected("v2"))), Situation.SETTLED),
    "back to the previous version": (
        snapshot("v0", KEPT, observed({"v0": ready(), "v1": ready()})),
        Situation.GOING_BACK,
    ),
    "back to a previous version that is not ready": (
        snapshot("v0", KEPT, observed({"v0": unready(1), "v1": ready()})),
        Situation.START,
    ),
    "back to a previous version without pods": (snapshot("v0", KEPT, observed()), Situation.START),
    "a spec that cannot be read": (unreadable(snapshot("v2")), Situation.INVALID),
    "a spec with a query that does not parse": (replace(snapshot("v2"), invalid="no"), Situation.INVALID),
    "pods that the API server refuses": (snapshot("v2", seen=observed(rejection="no")), Situation.INVALID),
    "refused pods in mid-rollout": (
        snapshot("v3", status(candidate=candidate()), observed(BOTH, rejection="no")),
        Situation.INVALID,
    ),
}


@pytest.mark.parametrize(("before", "expected"), SITUATIONS.values(), ids=SITUATIONS)
def test_situation(before: Snapshot, expected: Situation) -> None:
    assert situation(before) is expected


@pytest.mark.parametrize("before", [entry[0] for entry in SITUATIONS.values()], ids=SITUATIONS)
def test_deciding_again_on_its_own_result_changes_nothing(before: Snapshot) -> None:
    once = decide(before)
    again = decide(later(before, once))
    assert (again.status, again.events) == (once.status, ())
    assert (again.running, again.retired) == (once.running, once.retired)


@pytest.mark.parametrize("before", [entry[0] for entry in SITUATIONS.values()], ids=SITUATIONS)
def test_nothing_that_runs_is_retired(before: Snapshot) -> None:
    decision = decide(before)
    assert not decision.running & decision.retired


def test_first_deployment_starts_pods_before_it_gets_traffic() -> None:
    decision = decide(snapshot("v1", status(), observed({})))
    assert decision.running == {rev("v1")}
    assert shares(decision.status) == {}
    assert decision.status.traffic_generation == 0
    assert [event.reason for event in decision.events] == ["RolloutStarted"]


def test_first_deployment_serves_as_soon_as_it_is_ready() -> None:
    under_way = status(stable=None, candidate=starting("v1"))
    decision = decide(snapshot("v1", under_way, observed({"v1": ready()}, routers=Routers(ready=2))))
    assert shares(decision.status) == {rev("v1"): 100}
    assert decision.status.traffic_generation == 1
    assert decision.status.candidate is None
    assert [entry.outcome for entry in decision.status.history] == [Outcome.PROMOTED]


def test_first_deployment_with_a_bad_image_is_never_rolled_back_but_told() -> None:
    under_way = status(stable=None, candidate=starting("v1", started=ago(hours=1)))
    bad = unready(0, "its image cannot be pulled")
    decision = decide(snapshot("v1", under_way, observed({"v1": bad})))
    assert decision.status.candidate
    assert decision.status.rejected is None
    assert decision.status.message == (
        "version v1: its image cannot be pulled; not ready within 35m, mend spec.model or spec.server"
    )


def test_a_second_version_replaces_a_first_one_that_never_got_ready() -> None:
    under_way = status(stable=None, candidate=starting("v1"))
    before = snapshot("v2", under_way, observed({"v1": unready()}, routers=Routers()))
    decision = decide(before)
    assert decision.running == {rev("v2")}
    assert decision.retired == {rev("v1")}, "its resources may be what the new one waits for"
    assert [entry.outcome for entry in decision.status.history] == [Outcome.SUPERSEDED]


def test_a_new_version_starts_without_traffic() -> None:
    decision = decide(snapshot("v2"))
    assert decision.running == {rev("v1"), rev("v2")}
    assert shares(decision.status) == {rev("v1"): 100}
    assert decision.status.traffic_generation == TRAFFIC
    assert decision.status.phase is Phase.PROGRESSING


@pytest.mark.parametrize("workload", [unready(0), unready(1), replace(ready(), settled=False), None])
def test_no_weight_on_a_revision_that_is_not_ready(workload: Workload | None) -> None:
    seen = {"v1": ready()} | ({"v2": workload} if workload else {})
    decision = decide(snapshot("v2", status(candidate=starting("v2")), observed(seen)))
    assert shares(decision.status) == {rev("v1"): 100}


def test_an_old_draining_revision_that_is_wanted_again_is_not_retired() -> None:
    leaving = status(draining=[draining("v2")])
    decision = decide(snapshot("v2", leaving, observed({"v1": ready(), "v2": unready(1)})))
    assert rev("v2") in decision.running
    assert decision.status.draining == []


class TestThirdVersion:
    before = snapshot(
        "v3",
        status(candidate=candidate("v2", 50, 2), metrics=[]),
        observed(BOTH),
        says=[breach()],
    )

    def test_returns_traffic_to_stable_in_the_same_decision(self) -> None:
        decision = decide(self.before)
        assert shares(decision.status) == {rev("v1"): 100}
        assert decision.status.traffic_generation == TRAFFIC + 1
        assert decision.running == {rev("v1"), rev("v2"), rev("v3")}
        assert decision.retired == frozenset()

    def test_starts_from_the_first_step(self) -> None:
        now = decide(self.before).status
        assert now.candidate is not None
        assert (now.candidate.revision, now.candidate.step, now.candidate.weight) == (rev("v3"), 0, 0)
        assert now.candidate.started_at == NOW
        assert [(entry.revision, entry.outcome) for entry in now.history] == [(rev("v2"), Outcome.SUPERSEDED)]

    def test_inherits_no_verdict_even_when_its_pods_are_ready_at_once(self) -> None:
        seen = observed({**BOTH, "v3": ready()})
        now = decide(replace(self.before, observed=seen)).status
        assert now.candidate is not None
        assert (now.candidate.revision, now.candidate.weight) == (rev("v3"), 10)
        assert now.metrics == []
        assert now.rejected is None

    def test_is_the_previous_one_and_warm_so_it_takes_over_at_once(self) -> None:
        kept = self.before.status.model_copy(update={"previous": previous("v0")})
        seen = observed({"v0": ready(), **BOTH})
        decision = decide(snapshot("v0", kept, seen, says=[breach()]))
        assert shares(decision.status) == {rev("v0"): 100}
        assert decision.status.candidate is None
        assert [entry.outcome for entry in decision.status.history] == [Outcome.PROMOTED, Outcome.SUPERSEDED]
        assert decision.running == {rev("v0"), rev("v1"), rev("v2")}


class TestReturned:
    """Spec names stable again in mid-rollout."""

    before = snapshot("v1", status(candidate=candidate()), observed(BOTH), says=[breach()])

    def test_is_one_traffic_change(self) -> None:
        decision = decide(self.before)
        assert shares(decision.status) == {rev("v1"): 100}
        assert decision.status.traffic_generation == TRAFFIC + 1
        assert decision.status.candidate is None
        assert [entry.outcome for entry in decision.status.history] == [Outcome.ABORTED]

    def test_does_not_blame_stable_for_the_candidates_metrics(self) -> None:
        now = decide(self.before).status
        assert now.metrics == []
        assert "RetrainingRecommended" not in {condition.type for condition in now.conditions}

    def test_before_the_candidate_had_traffic_changes_no_weight(self) -> None:
        decision = decide(snapshot("v1", status(candidate=starting("v2")), observed(BOTH)))
        assert decision.status.traffic_generation == TRAFFIC
        assert decision.retired == {rev("v2")}
        assert decision.status.draining == []


def test_abort_with_nothing_in_progress_leaves_everything_alone() -> None:
    settled = decide(snapshot("v1"))
    again = decide(later(snapshot("v1"), settled))
    assert again.status == settled.status
    assert again.running == {rev("v1")}


class TestRejected:
    before = snapshot("v2", status(rejected=rejected("v2"), draining=[draining("v2")]), observed(BOTH))

    def test_is_not_tried_again(self) -> None:
        decision = decide(replace(self.before, now=NOW + timedelta(days=9)))
        assert decision.status.candidate is None
        assert shares(decision.status) == {rev("v1"): 100}

    def test_drains_and_ends(self) -> None:
        assert rev("v2") in decide(self.before).running
        decision = decide(replace(self.before, now=NOW + timedelta(seconds=30)))
        assert decision.retired == {rev("v2")}
        assert decision.status.draining == []

    def test_is_forgotten_when_spec_names_stable_again(self) -> None:
        assert decide(snapshot("v1", self.before.status)).status.rejected is None


class TestGoingBack:
    before = snapshot("v0", KEPT, observed({"v0": ready(), "v1": ready()}), says=[breach()])

    def test_is_one_traffic_change_without_a_trial(self) -> None:
        decision = decide(self.before)
        assert shares(decision.status) == {rev("v0"): 100}
        assert decision.status.traffic_generation == TRAFFIC + 1
        assert decision.status.candidate is None
        assert decision.status.metrics == []

    def test_keeps_what_it_replaced_warm(self) -> None:
        now = decide(self.before).status
        assert now.previous is not None
        assert now.previous.revision == rev("v1")

    def test_goes_through_a_trial_when_the_pods_are_gone(self) -> None:
        now = decide(snapshot("v0", KEPT, observed())).status
        assert now.previous is None
        assert now.candidate is not None
        assert now.candidate.step == 0


class TestInvalid:
    on_trial = status(candidate=candidate(), previous=previous())
    seen = observed({"v0": ready(), **BOTH})

    def test_edit_touches_nothing_that_serves(self) -> None:
        before = unreadable(snapshot("v2", self.on_trial, self.seen, now=NOW + timedelta(minutes=30)))
        decision = decide(before)
        assert shares(decision.status) == shares(self.on_trial)
        assert decision.running == {rev("v0"), rev("v1"), rev("v2")}
        assert decision.retired == frozenset()
        assert decision.status.candidate == self.on_trial.candidate

    def test_refused_pods_do_not_advance_the_trial(self) -> None:
        seen = replace(self.seen, rejection="spec.server.podTemplate: unknown field")
        before = snapshot("v3", self.on_trial, seen, says=[passing()], now=NOW + timedelta(minutes=30))
        now = decide(before).status
        assert now.candidate == self.on_trial.candidate
        assert now.conditions[0].reason == "InvalidSpec"

    def test_a_breach_still_ends_the_trial(self) -> None:
        seen = replace(self.seen, rejection="spec.server.podTemplate: unknown field")
        decision = decide(snapshot("v3", self.on_trial, seen, says=[breach()]))
        assert shares(decision.status) == {rev("v1"): 100}

    def test_a_candidate_without_pods_ends_the_trial_even_if_spec_cannot_be_read(self) -> None:
        seen = observed({"v1": ready(), "v2": unready(0, "it crashes")})
        decision = decide(unreadable(snapshot("v2", self.on_trial, seen)))
        assert shares(decision.status) == {rev("v1"): 100}

    def test_lets_nothing_drained_go_because_nobody_knows_how_long(self) -> None:
        leaving = status(draining=[draining("v0", since=ago(days=1))])
        decision = decide(unreadable(snapshot("v1", leaving, observed({"v0": ready(), "v1": ready()}))))
        assert rev("v0") in decision.running


class TestDraining:
    leaving = status(draining=[draining("v0", since=NOW)])
    seen = observed({"v0": ready(), "v1": ready()})

    def test_lasts_for_the_drain_time(self) -> None:
        decision = decide(snapshot("v1", self.leaving, self.seen, now=NOW + timedelta(seconds=29)))
        assert rev("v0") in decision.running
        assert decision.requeue_at == NOW + timedelta(seconds=30)

    def test_ends_then(self) -> None:
        decision = decide(snapshot("v1", self.leaving, self.seen, now=NOW + timedelta(seconds=30)))
        assert decision.retired == {rev("v0")}
        assert decision.requeue_at is None

    @pytest.mark.parametrize("serving", [None, 0, TRAFFIC - 1])
    def test_lasts_until_the_routers_follow(self, serving: int | None) -> None:
        seen = replace(self.seen, routers=Routers(ready=1, serving=serving))
        decision = decide(snapshot("v1", self.leaving, seen, now=NOW + timedelta(days=1)))
        assert rev("v0") in decision.running
        assert decision.retired == frozenset()


class TestPrevious:
    def test_stays_warm_until_its_time(self) -> None:
        decision = decide(snapshot("v1", KEPT, observed({"v0": ready(), "v1": ready()})))
        assert decision.running == {rev("v0"), rev("v1")}
        assert decision.requeue_at == NOW + timedelta(hours=1)

    def test_ends_then(self) -> None:
        later_on = NOW + timedelta(hours=1)
        decision = decide(snapshot("v1", KEPT, observed({"v0": ready(), "v1": ready()}), now=later_on))
        assert decision.status.previous is None
        assert decision.leaving == {rev("v0")}
        assert decision.requeue_at == later_on + timedelta(seconds=30)

    def test_is_not_kept_at_all_but_still_drains(self) -> None:
        last = status(candidate=candidate(weight=50, step=2, since=ago(hours=1)))
        before = snapshot("v2", last, observed(BOTH), says=[passing()], keepPrevious="0s", drain="30s")
        decision = decide(before)
        assert shares(decision.status) == {rev("v2"): 100}
        assert decision.status.previous is None
        assert [entry.revision for entry in decision.status.draining] == [rev("v1")]
        assert decision.retired == frozenset()


def test_an_orphaned_workload_is_retired_only_behind_the_routers() -> None:
    seen = observed({"v1": ready(), "v9": ready()})
    assert decide(snapshot("v1", seen=seen)).retired == {rev("v9")}
    behind = replace(seen, routers=Routers(ready=1, serving=TRAFFIC - 1))
    assert decide(snapshot("v1", seen=behind)).retired == frozenset()


def test_a_deleted_deployment_of_stable_is_still_wanted() -> None:
    decision = decide(snapshot("v1", seen=observed({}, revisions=["v1"])))
    assert decision.running == {rev("v1")}
    assert decision.status.stable == stable("v1")


def test_immediate_takes_all_traffic_when_its_pods_are_ready() -> None:
    waits = decide(snapshot("v2", strategy="Immediate"))
    assert shares(waits.status) == {rev("v1"): 100}
    decision = decide(later(snapshot("v2", seen=observed(BOTH), strategy="Immediate"), waits))
    assert shares(decision.status) == {rev("v2"): 100}
    assert decision.status.previous is not None


def test_a_restart_neither_repeats_nor_skips_nor_resets_a_step() -> None:
    before = snapshot("v2", status(candidate=starting("v2")), observed(BOTH), says=[waiting(Verdict.NO_DATA)])
    entered = decide(before)
    restarted = later(before, entered, now=NOW + timedelta(seconds=50), assessments=())
    assert decide(restarted).status.candidate == entered.status.candidate
    assert decide(restarted).events == ()


def test_a_lost_status_write_is_decided_anew_to_the_same_end() -> None:
    before = snapshot("v2", status(candidate=candidate()), observed(BOTH), says=[breach()])
    assert decide(before) == decide(before)


def test_an_empty_status_is_a_first_deployment_only_without_children() -> None:
    found = decide(snapshot("v1", ModelDeploymentStatus(), observed()))
    assert shares(found.status) == {rev("v1"): 100}
    assert [event.reason for event in found.events] == ["StatusRecovered"]


def test_metrics_that_spec_no_longer_names_stop_speaking() -> None:
    watched = decide(snapshot("v1", says=[breach()], metrics=[NULLS]))
    assert watched.status.phase is Phase.DEGRADED
    decision = decide(later(snapshot("v1", metrics=[]), watched))
    assert decision.status.metrics == []
    assert decision.status.verdict is None
    assert decision.status.phase is Phase.HEALTHY
