"""What holds after every decision, whatever came before it."""

import json
from dataclasses import replace

from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.adapt import AdaptMode
from modeldeploy.api.v1alpha1.base import dump
from modeldeploy.api.v1alpha1.episode import TriggerOutcome
from modeldeploy.api.v1alpha1.monitoring import RolloutAction, WatchAction
from modeldeploy.api.v1alpha1.retraining import RetrainingMode
from modeldeploy.api.v1alpha1.rollout import Surge
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import (
    Candidate,
    Condition,
    ConditionStatus,
    ModelDeploymentStatus,
    Outcome,
    Verdict,
)
from modeldeploy.core.adaptation import adapted
from modeldeploy.core.cause import Who
from modeldeploy.core.decision import Decision
from modeldeploy.core.ending import AFTERWARDS
from modeldeploy.core.retraining import standing
from modeldeploy.core.rollout import Situation, decide, situation
from modeldeploy.core.sizes import demand
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.steps import steps
from modeldeploy.core.traffic import INCUMBENT, Split, shares

LARGEST = 64 * 1024
CONCLUDED = (Verdict.PASS, Verdict.NOT_APPLICABLE)


def check(before: Snapshot, decision: Decision) -> None:
    """All of them."""
    weights_are_whole(decision)
    times_move_only_on_flips(before.status, decision.status)
    events_come_with_changes(before, decision)
    status_is_small(decision.status)
    looks_ahead(before, decision)
    again_changes_nothing(before, decision)
    conditions_are_true(before, decision.status)
    roles_are_distinct(decision)
    one_episode_at_a_time(before, decision)
    what_is_run_stands_in_status(before, decision)
    if before.spec and before.spec.suspend:
        suspended_changes_words_only(before, decision)
        return
    weight_goes_to_ready_pods(before, decision)
    no_more_weight_than_pods(before, decision)
    nothing_returns_to_nobody(before, decision)
    stable_is_kept_whole(before, decision)
    last_answers_are_waited_for(before, decision)
    generation_counts_changes(before, decision)
    intents_act_once(before, decision)
    rejected_is_not_tried_again(before, decision)
    steps_follow_one_another(before, decision)
    a_step_down_protects_users(before, decision)
    stable_goes_back_once_and_for_a_reason(before, decision)
    replicas_are_raised_within_limits(before, decision)
    a_new_trial_inherits_nothing(before, decision)
    a_shadow_answers_nobody(before, decision)
    only_evidence_advances(before, decision)
    promotion_starts_no_pod(before, decision)
    what_is_suspected_gets_nothing(before, decision)


def suspended_changes_words_only(before: Snapshot, decision: Decision) -> None:
    assert decision.retired == frozenset()
    if "StatusRecovered" in reasons(decision):
        return
    words = {"message": "", "phase": before.status.phase, "conditions": [], "observed_generation": 0}
    assert decision.status.model_copy(update=words) == before.status.model_copy(update=words)


def one_episode_at_a_time(before: Snapshot, decision: Decision) -> None:
    """It lasts until it is told to be over, and the next one waits for the cool-down."""
    was = before.status.retraining
    stood, stands = standing(before.status), standing(decision.status)
    if stood and before.spec and before.spec.retraining:
        over = "RetrainingClosed" in reasons(decision)
        assert over != (stands is not None and stands.id == stood.id)
        assert not (over and stands)
    if stands and not stood:
        assert "RetrainingRecommended" in reasons(decision)
        assert before.spec
        assert before.spec.retraining
        if was and was.last:
            rested = stands.started_at - was.last.ended_at
            assert rested.total_seconds() >= seconds(before.spec.retraining.cooldown)
            assert stands.id != was.last.id
    flagged = any(one.type == "RetrainingRecommended" for one in decision.status.conditions)
    if before.spec is None or before.spec.retraining:
        assert flagged == bool(stands)


def what_is_run_stands_in_status(before: Snapshot, decision: Decision) -> None:
    """Never in Manual, never while suspended, never again once it is done."""
    if decision.run is None:
        return
    spec, known = before.spec, standing(decision.status)
    assert spec
    assert spec.retraining
    assert spec.retraining.mode is RetrainingMode.AUTOMATIC
    assert not spec.suspend
    assert before.invalid is None
    assert known == decision.run.episode
    trigger = decision.run.episode.trigger
    assert trigger
    assert trigger.outcome is not TriggerOutcome.DONE
    assert trigger.attempts == decision.run.attempt - 1
    assert trigger.next_at is None or trigger.next_at <= before.now


def weights_are_whole(decision: Decision) -> None:
    weights = shares(decision.status)
    assert sum(weights.values()) == (100 if decision.status.stable else 0)
    assert weights.keys() - {INCUMBENT} <= decision.running
    assert not decision.running & decision.retired
    assert not decision.leaving & decision.sizes.keys(), "what leaves is sized no more"


def weight_goes_to_ready_pods(before: Snapshot, decision: Decision) -> None:
    had, gets = shares(before.status), shares(decision.status)
    workloads, was_stable = before.observed.workloads, before.status.stable
    for revision, weight in gets.items():
        if weight <= had.get(revision, 0) or "StatusRecovered" in reasons(decision):
            continue
        workload = workloads.get(revision)
        if was_stable is None or revision != was_stable.revision:
            assert workload is not None
            assert workload.ready > 0
            carries = workload.ready * 100 >= weight * demanded(before, decision)
            assert carries or revision == INCUMBENT or gives_way(before), f"{revision} gets {weight}%"
        elif str(Outcome.ROLLED_BACK) in reasons(decision):
            assert workload is not None
            assert workload.ready > 0, "traffic returned to a revision without a ready pod"


def no_more_weight_than_pods(before: Snapshot, decision: Decision) -> None:
    """Pods that go take their share of requests with them, while stable can answer it."""
    candidate = decision.status.candidate
    found = candidate and before.observed.workloads.get(candidate.revision)
    if candidate is None or gives_way(before) or before.spec is None or not stable_answers(before):
        return
    if situation(before) is Situation.TRIAL or decision.status.successor:
        assert (found.ready if found else 0) * 100 >= candidate.weight * candidate.demand


def nothing_returns_to_nobody(before: Snapshot, decision: Decision) -> None:
    """While stable has no ready pod and the candidate answers, only a human takes requests off it."""
    candidate = before.status.candidate
    found = candidate and before.observed.workloads.get(candidate.revision)
    if candidate is None or not candidate.weight or not found or not found.ready or stable_answers(before):
        return
    taken = shares(decision.status).get(candidate.revision, 0) < candidate.weight
    assert not taken or reasons(decision) & {"IntentAccepted", "Promoted", "Superseded"}
    if taken and "IntentAccepted" not in reasons(decision):
        heir = decision.status.candidate or decision.status.stable
        assert heir
        assert heir.weight == 100, "whoever takes its place answers all"


def stable_is_kept_whole(before: Snapshot, decision: Decision) -> None:
    stable, candidate = decision.status.stable, decision.status.candidate
    if stable and candidate and before.spec and not gives_way(before) and stable.revision != INCUMBENT:
        assert decision.sizes[stable.revision] >= candidate.demand


def gives_way(before: Snapshot) -> bool:
    """Whether spec says that there is no room, which costs what it says."""
    return before.spec is not None and before.spec.rollout.surge is Surge.NONE


def stable_answers(before: Snapshot) -> bool:
    found = before.observed.workloads.get(before.status.stable.revision) if before.status.stable else None
    return found is not None and found.ready > 0


def demanded(before: Snapshot, decision: Decision) -> int:
    """Pods that all requests need: as known in the rollout, else what stable runs."""
    candidate = decision.status.candidate or before.status.candidate
    if candidate:
        return candidate.demand
    return demand(before, before.spec) if before.spec else 1


def last_answers_are_waited_for(before: Snapshot, decision: Decision) -> None:
    assert shares(before.status).keys() - {INCUMBENT} <= decision.running


def generation_counts_changes(before: Snapshot, decision: Decision) -> None:
    was, now = before.status, decision.status
    assert now.traffic_generation >= was.traffic_generation
    grew = now.traffic_generation > was.traffic_generation
    changed = not Split.of(now).routes_like(Split.of(was))
    ended_and_back = bool(reasons(decision) & {str(outcome) for outcome in Outcome})
    assert grew or not changed
    assert changed or not grew or ended_and_back


def intents_act_once(before: Snapshot, decision: Decision) -> None:
    """Each is answered at once, and never again."""
    if before.spec is None or before.target is None:
        return
    control = before.spec.rollout.control
    known = {(one.intent, one.revision, one.nonce): one for one in before.status.control}
    found = {(one.intent, one.revision, one.nonce): one for one in decision.status.control}
    told = [event for event in decision.events if event.reason in ("IntentAccepted", "IntentRefused")]
    news = 0
    for name in ("abort", "undo", "retry", "approve", "promote"):
        intent = getattr(control, name)
        if intent is None:
            continue
        answer = found[name, intent.revision, intent.nonce]
        assert answer.message
        known_answer = known.get((name, intent.revision, intent.nonce))
        assert known_answer in (None, answer)
        news += known_answer is None
    assert len(told) == news


def roles_are_distinct(decision: Decision) -> None:
    status = decision.status
    tracks = (status.stable, status.candidate, status.successor, status.previous)
    roles = [role.revision for role in tracks if role]
    roles += [entry.revision for entry in status.draining]
    assert len(roles) == len(set(roles))
    assert status.stable is None or status.stable.revision in decision.running | {INCUMBENT}
    assert INCUMBENT not in decision.sizes.keys() | decision.retired


def rejected_is_not_tried_again(before: Snapshot, decision: Decision) -> None:
    rejected, target = before.status.rejected, before.target
    asked = "IntentAccepted" in reasons(decision)
    if rejected and target and rejected.revision == target.revision and not before.status.candidate:
        assert asked or decision.status.candidate is None
        assert asked or decision.status.rejected == rejected


def steps_follow_one_another(before: Snapshot, decision: Decision) -> None:
    was, now = before.status.candidate, decision.status.candidate
    if now is None or before.spec is None or was is None or not same_trial(was, now):
        return
    last = len(steps(before.spec))
    back = now.stepped_down != was.stepped_down
    assert back or now.step in (was.step, was.step + 1, min(was.step, last))
    shifted = now.step == was.step and reasons(decision) & {"WeightShifted", "TrafficReturned"}
    stayed = shifted or (now.step, gets(now)) == (was.step, gets(was))
    assert now.step_started_at == (was.step_started_at if stayed else before.now)


def a_step_down_protects_users(before: Snapshot, decision: Decision) -> None:
    """It takes a breach of the candidate's, as often as spec allows; then one ends the rollout."""
    was, now, spec = before.status.candidate, decision.status.candidate, before.spec
    blamed = any(
        one.moved and one.who in (Who.CANDIDATE, Who.WORSE) and one.name != "missing"
        for one in before.assessments
    )
    if was is None or spec is None:
        return
    allowed = 0
    if spec.on_breach.during_rollout is RolloutAction.STEP_DOWN:
        allowed = spec.on_breach.step_downs or 1
    fell = was.stepped_down.times if was.stepped_down else 0
    if now and same_trial(was, now) and now.stepped_down != was.stepped_down:
        assert now.stepped_down
        assert now.stepped_down.times == fell + 1 <= allowed
        assert now.stepped_down.at == now.step_started_at == before.now
        assert blamed
        assert now.step < was.step
        assert (now.weight, now.mirror) < (was.weight, was.mirror)
        assert not now.approved
        assert decision.status.history[0].outcome is Outcome.STEPPED_DOWN
        assert decision.status.metrics == []
    ended = decision.status.history[:1] if decision.status.history != before.status.history else []
    if allowed > fell and ended and ended[0].reason == "MetricBreached" and now is None:
        plan = steps(spec)[: max(0, min(was.step, len(steps(spec))) - 1)]
        assert all((one.weight, one.mirror) >= (was.weight, was.mirror) for one in plan)


def stable_goes_back_once_and_for_a_reason(before: Snapshot, decision: Decision) -> None:
    """To what was kept and can carry everything; with nothing behind it there is no swinging to and fro."""
    was, now, rejected = before.status.stable, decision.status.stable, decision.status.rejected
    if rejected is None or rejected.reason != AFTERWARDS or before.status.rejected == rejected:
        return
    assert before.spec
    assert before.spec.on_breach.after_rollout is WatchAction.ROLLBACK
    assert was
    assert now
    assert before.status.previous
    assert (rejected.revision, now.revision) == (was.revision, before.status.previous.revision)
    assert decision.status.previous is None
    assert before.status.candidate is None
    assert decision.status.candidate is None
    assert any(one.verdict is Verdict.BREACH and one.name != "missing" for one in before.assessments)
    assert not any(one.moved and one.name == "missing" for one in before.assessments)
    if now.revision != INCUMBENT:
        found = before.observed.workloads[now.revision]
        assert found.ready >= demand(before, before.spec)
        assert decision.sizes[now.revision] <= found.wanted
    assert decision.status.traffic_generation == before.status.traffic_generation + 1


def replicas_are_raised_within_limits(before: Snapshot, decision: Decision) -> None:
    """Never below spec nor beyond the limit, one raise per cool-down, and only while a spec says so."""
    was, now, spec = before.status.adaptation, decision.status.adaptation, before.spec
    if spec is None:
        return
    own, effective = spec.server.replicas, adapted(spec, decision.status).server.replicas
    limit = max(spec.adapt.max_replicas or 0, own.max or own.min)
    assert own.min <= effective.min
    assert (own.max or own.min) <= (effective.max or effective.min)
    if now:
        assert effective.min <= (effective.max or effective.min) <= limit
    if now and was and now.at != was.at:
        assert (now.at - was.at).total_seconds() >= seconds(spec.adapt.cooldown)
    if now and now != was:
        assert spec.adapt.mode is AdaptMode.AUTOMATIC
        assert before.status.candidate is None
        breached = {one.name for one in before.assessments if one.verdict is Verdict.BREACH}
        assert breached == {"p95"}


def gets(candidate: Candidate) -> tuple[object, ...]:
    return candidate.weight, candidate.mirror, candidate.preview


def a_new_trial_inherits_nothing(before: Snapshot, decision: Decision) -> None:
    was, now, successor = before.status.candidate, decision.status.candidate, before.status.successor
    if now is None or (was and same_trial(was, now)):
        return
    began = successor.started_at if successor and successor.revision == now.revision else before.now
    assert now.step in (0, 1)
    assert now.started_at in {began, before.now}
    assert now.approved == 0
    assert decision.status.verdict is None
    assert decision.status.metrics == []


def a_shadow_answers_nobody(before: Snapshot, decision: Decision) -> None:
    now, spec = decision.status.candidate, before.spec
    if now is None or spec is None or not stable_answers(before) or decision.status.successor:
        return
    plan = steps(spec)
    if now.step and plan and situation(before) is not Situation.INVALID:
        assert now.weight <= plan[min(now.step, len(plan)) - 1].weight
    if not now.step:
        assert gets(now) == (0, 0, None)


def only_evidence_advances(before: Snapshot, decision: Decision) -> None:
    was, now, spec = before.status.candidate, decision.status.candidate, before.spec
    if was is None or was.step == 0 or spec is None:
        return
    went_on = now is not None and same_trial(was, now) and now.step > was.step
    promoted = "Promoted" in reasons(decision) and is_stable(decision.status, was.revision)
    if not (went_on or promoted):
        return
    assert before.observed.routers.follow(before.status.traffic_generation)
    assert not spec.rollout.control.paused
    asked = {one.intent for one in decision.status.control if one.accepted and one.revision == was.revision}
    if was.promoting or "promote" in asked:
        return
    plan = steps(spec)
    stage = plan[min(was.step, len(plan)) - 1] if plan else None
    if stage and stage.min_requests:
        assert before.answered >= stage.min_requests
    if stage and stage.approval:
        assert was.approved == min(was.step, len(plan)) or "approve" in asked
    if stage is None or stage.has_traffic:
        judged_well(before, spec)
    if promoted and plan:
        assert was.step >= len(plan)


def judged_well(before: Snapshot, spec: ModelDeploymentSpec) -> None:
    assert len(before.assessments) == len(spec.monitoring.metrics)
    told_only = spec.on_breach.during_rollout is RolloutAction.NOTIFY
    assert told_only or before.off_weight is None
    for entry in before.assessments:
        of_the_world = entry.name == "missing" and entry.who is not Who.CANDIDATE
        harmless = entry.verdict is Verdict.BREACH and (told_only or of_the_world)
        assert entry.verdict in CONCLUDED or harmless, f"advanced on {entry.name} {entry.verdict}"


def what_is_suspected_gets_nothing(before: Snapshot, decision: Decision) -> None:
    """While stable is watched without it a candidate has no traffic; only as asked, and never for long."""
    was, now = before.status.candidate, decision.status.candidate
    if now is None or now.returned_at is None:
        return
    assert (now.weight, now.mirror) == (0, 0)
    if was is None or was.returned_at is None:
        assert before.spec
        assert before.spec.on_breach.during_rollout in (RolloutAction.ROLLBACK, RolloutAction.STEP_DOWN)
        assert "TrafficReturned" in reasons(decision)
        assert decision.requeue_at
    assert not now.cleared


def promotion_starts_no_pod(before: Snapshot, decision: Decision) -> None:
    stable = decision.status.stable
    if "Promoted" not in reasons(decision) or stable is None or stable.revision == INCUMBENT:
        return
    assert before.spec
    if decision.status.candidate is None and not gives_way(before):
        found = before.observed.workloads[stable.revision]
        assert decision.sizes[stable.revision] <= found.wanted
    assert stable.revision not in decision.retired


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
    suspended = before.spec is not None and before.spec.suspend
    expected = (
        not obstacle
        and not suspended
        and serves
        and target is not None
        and is_stable(status, target.revision)
        and status.candidate is None
        and status.rejected is None  # the way back that a human asked for has failed
        and observed.routers.follow(status.traffic_generation)
    )
    assert holds["Ready"] == expected
    incumbent = observed.incumbent and (status.stable is None or is_stable(status, INCUMBENT))
    if not obstacle and not suspended and not incumbent and status.rejected and not status.candidate:
        assert reason["Ready"] == ("Aborted" if status.rejected.reason == "Aborted" else "RolledBack")
        leaving = status.rejected.revision in {entry.revision for entry in status.draining}
        assert holds.get("Stalled", False) is not leaving
    assert holds.get("Paused", False) == (status.phase == "Paused")
    assert status.observed_generation == before.generation
    assert status.message
    assert "None" not in status.message.replace("surge: None", "")


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
    if before.baseline and before.status.stable is None and decision.status.stable:
        return  # with the baseline in place spec's own version is next
    same = looked_at(before.status) == looked_at(decision.status)
    kept = ModelDeploymentStatus.model_validate(dump(decision.status))
    seen = before if same else replace(before, assessments=(), off_weight=None)
    again = decide(replace(seen, status=kept))
    assert again.status == decision.status
    assert again.events == ()
    assert (again.running, again.retired) == (decision.running, decision.retired)
    assert (again.requeue_at, again.run) == (decision.requeue_at, decision.run)


def looked_at(status: ModelDeploymentStatus) -> tuple[object, ...]:
    candidate, stable = status.candidate, status.stable
    on_trial = (candidate.revision, candidate.judged_since) if candidate else None
    return (stable.revision if stable else None, on_trial)


def same_trial(was: Candidate, now: Candidate | None) -> bool:
    return now is not None and (was.revision, was.started_at) == (now.revision, now.started_at)


def is_stable(status: ModelDeploymentStatus, revision: str) -> bool:
    return status.stable is not None and status.stable.revision == revision


def reasons(decision: Decision) -> set[str]:
    return {event.reason for event in decision.events}
