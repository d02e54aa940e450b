"""Any history of edits, failures, delays and losses: the invariants hold, and peace ends in Ready."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from modeldeploy.api.v1alpha1.rollout import Intent
from modeldeploy.api.v1alpha1.status import Condition, ConditionStatus, ModelDeploymentStatus, Verdict
from modeldeploy.core.cause import Who
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Workload
from modeldeploy.core.traffic import INCUMBENT
from unit.core import invariants
from unit.core.build import rev
from unit.core.cluster import CATEGORIES, VERSIONS, WRITTEN, Cluster, Opinion

SPANS = [timedelta(seconds=1), timedelta(seconds=10), timedelta(minutes=1), timedelta(hours=2)]
revisions = st.sampled_from([rev(version) for version in VERSIONS])
versions = st.sampled_from(VERSIONS)


class Operation(RuleBasedStateMachine):
    """A ModelDeployment in a cluster where anything may happen.

    Every change wakes the operator, as the watch does, except while it is away.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster()
        self.away = False
        self.ended: frozenset[str] = frozenset()
        self.lost: frozenset[str] = frozenset()
        self.never_forgot = True

    @rule(minutes=st.integers(1, 8))
    def all_goes_well(self, minutes: int) -> None:
        """The ordinary course of things, so that histories get somewhere."""
        self.away = False
        self.cluster.heal_pods()
        for _ in range(minutes):
            for router in self.cluster.routers:
                router.ready = router.asked = True
                self.cluster.follow(router)
            self.cluster.now += timedelta(minutes=1)
            self.wake()
            self.cluster.approve_if_asked()

    @rule(version=versions, minutes=st.integers(0, 4))
    def a_version_is_brought_in(self, version: str, minutes: int) -> None:
        self.cluster.refused = self.cluster.conflict = self.cluster.failure = None
        self.cluster.edit(version)
        self.all_goes_well(minutes=1)
        self.all_goes_well(minutes=minutes)

    @rule(version=versions, minutes=st.integers(2, 4), who=st.sampled_from(Who))
    def a_bad_version_is_brought_in(self, version: str, minutes: int, who: Who) -> None:
        good = self.cluster.opinions[version]
        self.cluster.opinions[version] = Opinion(good.verdicts | {"nulls": Verdict.BREACH}, who)
        self.a_version_is_brought_in(version=version, minutes=minutes)
        self.cluster.opinions[version] = good

    @rule(
        version=versions,
        written=st.sampled_from([name for name in WRITTEN if name.startswith("stepping down")]),
        minutes=st.integers(1, 3),
    )
    def a_version_turns_bad_on_its_way(self, version: str, written: str, minutes: int) -> None:
        self.rewrite(written)
        self.a_version_is_brought_in(version=version, minutes=minutes)
        self.metric_turns(version, "nulls", Verdict.BREACH, Who.CANDIDATE)
        self.all_goes_well(minutes=minutes)
        self.metric_turns(version, "nulls", Verdict.PASS, Who.CANDIDATE)

    @rule(
        version=versions,
        written=st.sampled_from([name for name in WRITTEN if name.startswith("going back")]),
        metric=st.sampled_from(["p95", *sorted(CATEGORIES)]),
        minutes=st.integers(1, 30),
    )
    def a_version_turns_bad_afterwards(self, version: str, written: str, metric: str, minutes: int) -> None:
        self.rewrite(written)
        self.a_version_is_brought_in(version=version, minutes=4)
        stable = self.cluster.status.stable
        if stable and stable.revision != INCUMBENT:
            self.metric_turns(stable.model_version, metric, Verdict.BREACH, Who.STABLE, recovered=None)
            self.all_goes_well(minutes=minutes)
            self.metric_turns(stable.model_version, metric, Verdict.PASS, Who.STABLE, recovered=None)

    @rule(version=st.one_of(versions, versions, st.none()))
    def edit(self, version: str | None) -> None:
        self.cluster.edit(version)
        self.wake()

    @rule(written=st.sampled_from(sorted(WRITTEN)))
    def rewrite(self, written: str) -> None:
        self.cluster.written = written
        self.cluster.generation += 1
        self.wake()

    @rule(revision=revisions, lost=st.integers(0, 6), fatal=st.booleans(), settled=st.booleans())
    def pods_change(self, revision: str, lost: int, fatal: bool, settled: bool) -> None:  # noqa: FBT001
        if revision in self.cluster.pods:
            wanted = self.cluster.pods[revision].wanted
            ready = max(0, wanted - lost)
            problem = "it crashes" if ready < wanted else None
            found = Workload(wanted, ready, settled, problem=problem, fatal=fatal and ready < wanted)
            self.cluster.pods[revision] = found
            self.wake()

    @rule(lost=st.integers(1, 6), track=st.sampled_from(["stable", "candidate"]))
    def pods_of_a_track_are_lost(self, lost: int, track: str) -> None:
        role = getattr(self.cluster.status, track)
        if role:
            self.pods_change(revision=role.revision, lost=lost, fatal=False, settled=True)

    @rule(pods=st.integers(1, 4))
    def load_grows(self, pods: int) -> None:
        stable = self.cluster.status.stable
        for _ in range(pods if stable else 0):
            self.cluster.load_grows(stable.revision if stable else "")
        self.wake()

    @rule(
        name=st.sampled_from(["abort", "undo", "retry", "approve", "promote"]),
        revision=st.one_of(revisions, st.sampled_from([INCUMBENT, "rev9"])),
        nonce=st.sampled_from([None, "again", "once more"]),
    )
    def a_human_wants(self, name: str, revision: str, nonce: str | None) -> None:
        self.cluster.intents[name] = Intent(revision=revision, nonce=nonce)
        self.cluster.generation += 1
        self.wake()

    @rule(name=st.sampled_from(["abort", "approve", "promote"]), nonce=st.integers(0, 99))
    def a_human_wants_of_the_candidate(self, name: str, nonce: int) -> None:
        candidate = self.cluster.status.candidate
        if candidate:
            self.a_human_wants(name=name, revision=candidate.revision, nonce=str(nonce))

    @rule(what=st.sampled_from(["paused", "suspended"]), so=st.booleans())
    def a_human_holds(self, what: str, so: bool) -> None:  # noqa: FBT001
        setattr(self.cluster, what, so)
        self.cluster.generation += 1
        self.wake()

    @rule(led_by=st.booleans(), there=st.booleans())
    def incumbent(self, led_by: bool, there: bool) -> None:  # noqa: FBT001
        self.cluster.led_by = led_by or self.cluster.led_by
        self.cluster.incumbent = Workload(1, 1) if there and self.cluster.led_by else None
        self.cluster.generation += 1
        self.wake()

    @rule(version=st.one_of(versions, st.none()))
    def baseline(self, version: str | None) -> None:
        self.cluster.baseline = version
        self.wake()

    @rule(answered=st.sampled_from([0, 499, 1000]))
    def requests(self, answered: int) -> None:
        self.cluster.answered = answered
        self.wake()

    @rule(revision=revisions)
    def deployment_is_deleted(self, revision: str) -> None:
        self.cluster.pods.pop(revision, None)
        self.lost |= {revision}
        self.wake()

    @rule(index=st.integers(0, 1))
    def router_follows(self, index: int) -> None:
        self.cluster.follow(self.cluster.routers[index])
        self.wake()

    @rule(index=st.integers(0, 1), ready=st.booleans(), asked=st.booleans())
    def router_changes(self, index: int, ready: bool, asked: bool) -> None:  # noqa: FBT001
        router = self.cluster.routers[index]
        if ready and not router.ready:  # it is Ready only with its configuration
            self.cluster.follow(router)
        router.ready, router.asked = ready, asked
        self.wake()

    @rule(
        version=versions,
        metric=st.sampled_from(sorted(CATEGORIES)),
        verdict=st.sampled_from(Verdict),
        who=st.sampled_from(Who),
        recovered=st.sampled_from([None, True, False]),
    )
    def metric_turns(
        self,
        version: str,
        metric: str,
        verdict: Verdict,
        who: Who,
        recovered: bool | None = None,  # noqa: FBT001
    ) -> None:
        verdicts = self.cluster.opinions[version].verdicts | {metric: verdict}
        self.cluster.opinions[version] = Opinion(verdicts, who, recovered)
        self.wake()

    @rule(share=st.sampled_from([None, "the candidate answers 15.0% of 4000 requests at a weight of 5%"]))
    def requests_go_another_way(self, share: str | None) -> None:
        self.cluster.off_weight = share
        self.wake()

    @rule(span=st.sampled_from(SPANS))
    def time_passes(self, span: timedelta) -> None:
        self.cluster.now += span
        self.wake()

    @rule(what=st.sampled_from(["refused", "conflict", "failure"]), gone=st.booleans())
    def obstacle(self, what: str, gone: bool) -> None:  # noqa: FBT001
        setattr(self.cluster, what, None if gone else f"{what} for a reason")
        self.wake()

    @rule(
        written=st.sampled_from(["retrained by hand", "retrained by itself"]),
        metric=st.sampled_from(["nulls", "missing"]),
        hook=st.sampled_from([True, False, None]),
        span=st.sampled_from(SPANS),
        noticed=st.booleans(),
    )
    def the_world_changes(
        self,
        written: str,
        metric: str,
        hook: bool | None,  # noqa: FBT001
        span: timedelta,
        noticed: bool,  # noqa: FBT001
    ) -> None:
        """What serves no longer fits, for a while."""
        stable = self.cluster.status.stable
        if stable is None or stable.revision == INCUMBENT:
            return
        self.cluster.hook = hook
        self.never_forgot = self.never_forgot and hook is not None
        self.rewrite(written)
        for verdict in (Verdict.BREACH, Verdict.PASS):
            self.metric_turns(stable.model_version, metric, verdict, Who.BOTH)
            known = self.cluster.status.retraining
            if noticed and known and known.episode:
                self.cluster.acknowledged = known.episode.id
            self.wake()
            self.time_passes(span)

    @rule()
    def operator_goes(self) -> None:
        self.away = True

    @rule(blind=st.booleans())
    def operator_comes(self, blind: bool) -> None:  # noqa: FBT001
        self.away = False
        self.wake(blind=blind)

    @rule()
    def status_write_is_lost(self) -> None:
        """Somebody wrote first: the decision is thrown away."""
        decide(self.cluster.snapshot())

    @rule()
    def status_is_lost(self) -> None:
        if self.cluster.pods or self.cluster.recorded:
            self.cluster.now += timedelta(seconds=30)  # a restore takes longer than traffic changes
            self.cluster.kept = {}
            self.wake()

    @invariant()
    def a_trigger_that_works_runs_once(self) -> None:
        """But for operators that died before they knew."""
        if self.never_forgot:
            assert len(self.cluster.triggered) == len(set(self.cluster.triggered))

    @invariant()
    def nothing_that_gets_requests_is_gone(self) -> None:
        """Tables of routers name no revision that the operator itself has retired."""
        for router in self.cluster.routers:
            assert not (router.ready and router.table.keys() & self.ended)

    def teardown(self) -> None:
        self.cluster.mend()
        status = self.cluster.settle()
        ready = condition(status, "Ready")
        target = rev(self.cluster.version or "")
        assert status.stable
        if status.rejected or status.undone:
            assert ready.reason in ("RolledBack", "Aborted", "Undone")
            assert condition(status, "Stalled").status is ConditionStatus.TRUE
            speaks_of = (
                status.undone.revision if status.undone else status.rejected and status.rejected.revision
            )
            assert speaks_of == target
        else:
            assert ready.status is ConditionStatus.TRUE, status.message
            assert status.stable.revision == target
        assert self.cluster.pods.keys() == {status.stable.revision} - {INCUMBENT}

    def wake(self, *, blind: bool = False) -> None:
        if self.away:
            return
        before = self.cluster.snapshot(blind=blind)
        decision = decide(before)
        invariants.check(before, decision)
        self.cluster.act(decision)
        self.ended = (self.ended | decision.retired) - decision.running
        running = decision.running - {INCUMBENT} if not self.cluster.suspended else frozenset()
        assert running <= self.cluster.pods.keys() | self.lost


def condition(status: ModelDeploymentStatus, name: str) -> Condition:
    return next(one for one in status.conditions if one.type == name)


TestOperation = pytest.mark.unit(Operation.TestCase)
Operation.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
