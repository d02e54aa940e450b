"""What holds after every decision, whatever came before it."""

import json
from dataclasses import replace

from modeldeploy.api.v1alpha1.base import dump
from modeldeploy.api.v1alpha1.monitoring import RolloutAction
from modeldeploy.api.v1alpha1.status import (
    Candidate,
    Condition,
    ConditionStatus,
    ModelDeploymentStatus,
    Outcome,
    Verdict,
)
from modeldeploy.core.decision import Decision
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.steps import steps
from modeldeploy.core.traffic import shares

LARGEST = 64 * 1024
CONCLUDED = (Verdict.PASS, Verdict.NOT_APPLICABLE)


def check(before: Snapshot, decision: Decision) -> None:
    """All of them."""
    weights_are_whole(decision)
    weight_goes_to_ready_pods(before, decision)
    last_answers_are_waited_for(before, decision)
    generation_counts_changes(before.status, decision.status)
    roles_are_distinct(decision)
    rejected_is_not_tried_again(before, decision)
    steps_follow_one_another(before, decision)
    only_evidence_advances(before, decision)
    conditions_are_true(before, decision.status)
    times_move_only_on_flips(before.status, decision.status)
    events_come_with_changes(before, decision)
    status_is_small(decision.status)
    looks_ahead(before, decision)
    again_changes_nothing(before, decision)


def weights_are_whole(decision: Decision) -> None:
    weights = shares(decision.status)
    assert sum(weights.values()) == (100 if decision.status.stable else 0)
    assert weights.keys() <= decision.running
    assert not decision.running & decision.retired


def weight_goes_to_ready_pods(before: Snapshot, decision: Decision) -> None:
    had, gets = shares(before.status), shares(decision.status)
    workloads, was_stable = before.observed.workloads, before.status.stable
    for revision, weight in gets.items():
        if weight <= had.get(revision, 0) or "StatusRecovered" in reasons(decision):
            continue
        workload = workloads.get(revision)
        if was_stable is None or revision != was_stable.revision:
            assert workload is not None
            assert workload.ready * 100 >= weight * demanded(before, decision), f"{revision} gets {weight}%"
        elif str(Outcome.ROLLED_BACK) in reasons(decision):
            assert workload is not None
            assert workload.ready > 0, "traffic returned to a revision without a ready pod"


def demanded(before: Snapshot, decision: Decision) -> int:
    """Pods that all requests need: as known in the rollout, else what spec asks for at least."""
    candidate = decision.status.candidate or before.status.candidate
    floor = before.spec.server.replicas.min if before.spec else 1
    return candidate.demand if candidate else floor


def last_answers_are_waited_for(before: Snapshot, decision: Decision) -> None:
    assert shares(before.status).keys() <= decision.running


def generation_counts_changes(before: ModelDeploymentStatus, after: ModelDeploymentStatus) -> None:
    assert after.traffic_generation >= before.traffic_generation
    grew = after.traffic_generation > before.traffic_generation
    assert grew == (shares(after) != shares(before))


def roles_are_distinct(decision: Decision) -> None:
    status = decision.status
    roles = [role.revision for role in (status.stable, status.candidate, status.previous) if role]
    roles += [entry.revision for entry in status.draining]
    assert len(roles) == len(set(roles))
    assert status.stable is None or status.stable.revision in decision.running


def rejected_is_not_tried_again(before: Snapshot, decision: Decision) -> None:
    rejected, target = before.status.rejected, before.target
    if rejected and target and rejected.revision == target.revision and not before.status.candidate:
        assert decision.status.candidate is None
        assert decision.status.rejected == rejected


def steps_follow_one_another(before: Snapshot, decision: Decision) -> None:
    was, now = before.status.candidate, decision.status.candidate
    if now is None or before.spec is None:
        return
    if was is None or not same_trial(was, now):
        assert now.step in (0, 1)
        assert now.started_at == before.now
        return
    last = len(steps(before.spec))
    assert now.step in (was.step, was.step + 1, min(was.step, last))
    shifted = now.step == was.step and "WeightShifted" in reasons(decision)
    stayed = shifted or (now.step, now.weight) == (was.step, was.weight)
    assert now.step_started_at == (was.step_started_at if stayed else before.now)


def only_evidence_advances(before: Snapshot, decision: Decision) -> None:
    was, now, spec = before.status.candidate, decision.status.candidate, before.spec
    if was is None or was.step == 0 or spec is None:
        return
    went_on = now is not None and same_trial(was, now) and now.step > was.step
    promoted = "Promoted" in reasons(decision) and is_stable(decision.status, was.revision)
    if not (went_on or promoted):
        return
    assert before.observed.routers.follow(before.status.traffic_generation)
    assert len(before.assessments) == len(spec.monitoring.metrics)
    told_only = spec.on_breach.during_rollout is RolloutAction.NOTIFY
    for entry in before.assessments:
        harmless = entry.verdict is Verdict.BREACH and (told_only or entry.name == "missing")
        assert entry.verdict in CONCLUDED or harmless, f"advanced on {entry.name} {entry.verdict}"
    if promoted and steps(spec):
        assert was.step >= len(steps(spec))


def conditions_are_true(before: Snapshot, status: ModelDeploymentStatus) -> None:
    holds = {one.type: one.status is ConditionStatus.TRUE for one in status.conditions}
    reason = {one.type: one.reason for one in status.conditions}
    assert len(holds) == len(status.conditions)
    assert {"Ready", "Available", "Progressing", "Healthy"} <= holds.keys()
    assert [holds["Ready"], holds.get("Reconciling", False), holds.get("Stalled", False)].count(True) == 1
    stable = before.observed.workloads.get(status.stable.revision) if status.stable else None
    serves = stable is not None and stable.ready > 0
    assert holds["Available"] == (serves and before.observed.routers.ready > 0)
    target, observed = before.target, before.observed
    obstacle = before.invalid or observed.rejection or observed.conflict or observed.failure
    expected = (
        not obstacle
        and serves
        and target is not None
        and is_stable(status, target.revision)
        and status.candidate is None
        and observed.routers.follow(status.traffic_generation)
    )
    assert holds["Ready"] == expected
    if not obstacle and status.rejected and not status.candidate:
        assert reason["Ready"] == "RolledBack"
        leaving = status.rejected.revision in {entry.revision for entry in status.draining}
        assert holds.get("Stalled", False) is not leaving
    assert holds.get("Paused", False) == (status.phase == "Paused")
    assert status.observed_generation == before.generation
    assert status.message
    assert "None" not in status.message


def times_move_only_on_flips(before: ModelDeploymentStatus, after: ModelDeploymentStatus) -> None:
    old: dict[str, Condition] = {one.type: one for one in before.conditions}
    for one in after.conditions:
        known = old.get(one.type)
        if known and known.status is one.status:
            assert one.last_transition_time == known.last_transition_time


def events_come_with_changes(before: Snapshot, decision: Decision) -> None:
    assert not decision.events or decision.status != before.status
    assert len(set(decision.events)) == len(decision.events)


def status_is_small(status: ModelDeploymentStatus) -> None:
    kept = dump(status)
    assert len(json.dumps(kept)) < LARGEST
    assert ModelDeploymentStatus.model_validate(kept) == status


def looks_ahead(before: Snapshot, decision: Decision) -> None:
    assert decision.requeue_at is None or decision.requeue_at > before.now


def again_changes_nothing(before: Snapshot, decision: Decision) -> None:
    """Deciding on the own result; what was judged stays judged as long as the same revision is looked at."""
    same = looked_at(before.status) == looked_at(decision.status)
    kept = ModelDeploymentStatus.model_validate(dump(decision.status))
    again = decide(replace(before, status=kept, assessments=before.assessments if same else ()))
    assert again.status == decision.status
    assert again.events == ()
    assert (again.running, again.retired) == (decision.running, decision.retired)
    assert again.requeue_at == decision.requeue_at


def looked_at(status: ModelDeploymentStatus) -> tuple[str | None, str | None]:
    candidate, stable = status.candidate, status.stable
    return (stable.revision if stable else None, candidate.revision if candidate else None)


def same_trial(was: Candidate, now: Candidate | None) -> bool:
    return now is not None and (was.revision, was.started_at) == (now.revision, now.started_at)


def is_stable(status: ModelDeploymentStatus, revision: str) -> bool:
    return status.stable is not None and status.stable.revision == revision


def reasons(decision: Decision) -> set[str]:
    return {event.reason for event in decision.events}
