"""A candidate on trial: its pods start, it gets growing shares of requests, and the metrics judge it."""

from modeldeploy.api.quantity import spell_duration
from modeldeploy.api.v1alpha1.cause import Cause
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Candidate
from modeldeploy.core import interference, stepdown
from modeldeploy.core.capacity import (
    as_it_is,
    bearable,
    grown,
    has_no_fallback,
    next_share,
    resize,
    stage_now,
)
from modeldeploy.core.cause import Action
from modeldeploy.core.decision import Severity
from modeldeploy.core.diagnosis import diagnosis, stops
from modeldeploy.core.draft import Draft
from modeldeploy.core.ending import promote, roll_back
from modeldeploy.core.sizes import gives_way
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.steps import Stage, position, steps
from modeldeploy.core.verdicts import keep_numbers, record, unjudged
from modeldeploy.core.waiting import (
    awaits_approval,
    carries,
    holding,
    lacks_requests,
    progress,
    start_deadline,
    step_deadline,
    step_end,
)

UNAVAILABLE = "CandidateUnavailable"


def run(draft: Draft, snapshot: Snapshot) -> Draft:
    """One look at the candidate: start, judge, advance, promote or roll back."""
    candidate, spec = draft.status.candidate, snapshot.spec
    if candidate is None or spec is None:
        return draft
    shown = progress(snapshot, candidate.step)
    if candidate.progress != shown:  # the steps were edited
        candidate = candidate.model_copy(update={"progress": shown})
    candidate = resize(candidate, snapshot, spec)
    if candidate != draft.status.candidate:
        draft = draft.with_status(candidate=candidate)
    if draft.status.stable is None:
        return _first(draft, snapshot, spec, candidate)
    if candidate.step == 0:
        return _starting(draft, snapshot, spec, candidate)
    draft = record(draft, snapshot)
    failed = failure(snapshot, candidate)
    if failed:
        return _fall(draft, snapshot, candidate, *failed)
    return _judged(draft, snapshot, spec, candidate)


def _judged(draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate) -> Draft:
    """A candidate that has not failed: it goes on, unless it may be what harms stable."""
    if interference.is_watched(candidate):
        return _watch_stable(draft, snapshot, spec, candidate)
    if interference.is_suspected(snapshot, candidate):
        return interference.return_traffic(draft, snapshot, candidate)
    return _advance(draft, snapshot, spec, candidate)


def _watch_stable(draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate) -> Draft:
    """With its traffic returned the candidate waits for what becomes of stable, then has its share again."""
    if not interference.is_refuted(snapshot, candidate):
        return draft.with_due(interference.deadline(candidate))
    cleared = interference.cleared(candidate)
    stage, workload = stage_now(spec, cleared), snapshot.observed.workloads.get(candidate.revision)
    if not steps(spec):
        return draft.with_status(candidate=cleared)
    if bearable(snapshot, spec, cleared, stage) < stage.weight or not carries(workload, cleared):
        return draft
    return enter(draft, snapshot, spec, cleared, position(spec, cleared.step))


def watch_for_breach(draft: Draft, snapshot: Snapshot) -> Draft:
    """Only the half of a trial that protects users, for when the spec can't be followed any further."""
    candidate = draft.status.candidate
    if candidate is None or candidate.step == 0:
        return draft
    draft = record(draft, snapshot)
    failed = failure(snapshot, candidate)
    return _fall(draft, snapshot, candidate, *failed) if failed else draft


def _fall(draft: Draft, snapshot: Snapshot, candidate: Candidate, reason: str, message: str) -> Draft:
    """What a failure costs: the rollout, or one step of it where spec says so and there is one."""
    draft, spec = keep_numbers(draft, snapshot), snapshot.spec
    number = stepdown.lower(spec, candidate) if spec else None
    unserved = reason == UNAVAILABLE
    if spec is None or number is None or unserved or not stepdown.left(spec, candidate):
        return roll_back(draft, snapshot, reason, message)
    draft, fallen = stepdown.note(draft, snapshot, candidate, number, reason, message)
    draft = enter(draft, unjudged(snapshot), spec, fallen, number)
    entered = draft.status.candidate
    share = bearable(snapshot, spec, entered, stage_now(spec, entered)) if entered else 0
    return shift(draft, snapshot, entered, share) if entered and share < entered.weight else draft


def _first(draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate) -> Draft:
    """A first deployment has nothing to compare with: it is served as soon as it is ready."""
    if carries(snapshot.observed.workloads.get(candidate.revision), candidate):
        return promote(draft, snapshot, "FirstDeployment", "the first version is ready")
    return draft.with_due(start_deadline(spec, candidate))


def _starting(draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate) -> Draft:
    workload = snapshot.observed.workloads.get(candidate.revision)
    deadline = start_deadline(spec, candidate)
    if carries(workload, candidate):
        if spec.rollout.control.paused:
            return draft
        alone = gives_way(spec, candidate) == 0
        if candidate.promoting or alone or not steps(spec):
            return _grow_or_promote(draft, snapshot, spec, candidate)
        return enter(draft, snapshot, spec, candidate, 1)
    if snapshot.now < deadline:
        return draft.with_due(deadline)
    problem = (
        (workload.problem if workload else None) or snapshot.observed.failure or "its pods are not ready"
    )
    waited = spell_duration((snapshot.now - candidate.started_at).total_seconds())
    return roll_back(draft, snapshot, "ProgressDeadlineExceeded", f"not ready after {waited}: {problem}")


def failure(snapshot: Snapshot, candidate: Candidate) -> tuple[str, str] | None:
    """Why the candidate must lose its traffic now, as (reason, message).

    While stable has no ready pod traffic can't go back: nothing fails until it can.
    """
    spec, workload = snapshot.spec, snapshot.observed.workloads.get(candidate.revision)
    if has_no_fallback(snapshot):
        return None
    if workload is None or workload.ready == 0 or workload.fatal:
        return UNAVAILABLE, (workload.problem if workload else None) or "none of its pods is ready"
    if spec is None or spec.on_breach.during_rollout not in stepdown.ENDING:
        return None
    found = diagnosis(snapshot)
    messages = {entry.name: entry.message or entry.name for entry in snapshot.assessments}
    if found.action is Action.ROLL_BACK:
        reason = "MetricBreached" if found.cause is Cause.CANDIDATE else str(found.cause)
        return reason, messages[found.metrics[0]]
    if interference.is_shown(snapshot, candidate):
        return str(found.cause), interference.told(messages[found.metrics[0]])
    return None


def _advance(draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate) -> Draft:
    waiting = draft.with_due(step_end(spec, candidate)).with_due(step_deadline(spec, candidate))
    stage = stage_now(spec, candidate)
    share = bearable(snapshot, spec, candidate, stage)
    if share < candidate.weight:
        if share == stage.weight and not candidate.promoting:  # edited, or stable's pods are back
            return enter(draft, snapshot, spec, candidate, position(spec, candidate.step))
        return shift(waiting, snapshot, candidate, share)
    routed = snapshot.observed.routers.follow(draft.status.traffic_generation)
    if routed and has_no_fallback(snapshot) and share not in (stage.weight, candidate.weight):
        return shift(waiting, snapshot, candidate, share)
    # what the provider can't do is never followed, and may be asked for no more
    stuck = not routed and not (snapshot.observed.unable and differs(stage, candidate))
    workload = snapshot.observed.workloads.get(candidate.revision)
    stopped = stops(snapshot) or spec.rollout.control.paused or not carries(workload, candidate)
    lacks_pods = share != stage.weight and not candidate.promoting
    if stuck or stopped or lacks_pods:
        return waiting
    return _go_on(draft, waiting, snapshot, spec, candidate)


def _go_on(
    draft: Draft, waiting: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate
) -> Draft:
    """With nothing in the way: what a human or the step asks for, or the next one."""
    if candidate.promoting:
        return _grow_or_promote(waiting, snapshot, spec, candidate)
    if differs(stage_now(spec, candidate), candidate):  # edited, or lost pods are back
        return enter(draft, snapshot, spec, candidate, position(spec, candidate.step))
    return _next(waiting, snapshot, spec, candidate) if _is_over(snapshot, spec, candidate) else waiting


def _is_over(snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate) -> bool:
    """Whether the step under way has held, passed, and been approved."""
    judged = snapshot.assessments or not spec.monitoring.metrics
    return bool(
        snapshot.now >= step_end(spec, candidate)
        and judged
        and not holding(snapshot)
        and not lacks_requests(snapshot, candidate)
        and not awaits_approval(spec, candidate)
    )


def differs(stage: Stage, candidate: Candidate) -> bool:
    """Whether the candidate's traffic is another than its step asks for."""
    wanted = (stage.weight, stage.mirror, stage.preview)
    return wanted != (candidate.weight, candidate.mirror, candidate.preview)


def _next(draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate) -> Draft:
    """Get the pods that the next share needs, then go there."""
    number = position(spec, candidate.step) + 1
    if number > len(steps(spec)):
        return _grow_or_promote(draft, snapshot, spec, candidate)
    bigger = grown(spec, candidate, next_share(spec, candidate))
    if not carries(snapshot.observed.workloads.get(candidate.revision), bigger):
        return draft.with_status(candidate=bigger)
    return enter(draft, snapshot, spec, bigger, number)


def _grow_or_promote(
    draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate
) -> Draft:
    bigger = grown(spec, candidate, 100)
    if bigger is not candidate:
        return draft.with_status(candidate=bigger)
    if spec.rollout.control.paused:
        return draft
    return _promote(keep_numbers(draft.without_due(), snapshot), snapshot, spec, candidate)


def _promote(draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate) -> Draft:
    undone = draft.status.undone
    if undone and undone.to == candidate.revision:
        return promote(draft, snapshot, "Undone", "a human went back to it")
    if candidate.promoting:
        return promote(draft, snapshot, "PromotedByUser", "a human promoted it")
    if not steps(spec):
        return promote(draft, snapshot, "Immediate", "its strategy asks for no trial")
    if gives_way(spec, candidate) == 0:
        return promote(draft, snapshot, "SurgeNone", "there was no room to try it beside stable")
    return promote(draft, snapshot, "Passed", "it passed every step")


def ease(draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate) -> Draft:
    """No more requests than the ready pods carry, and all while nobody else answers; else nothing new."""
    share = bearable(snapshot, spec, candidate, as_it_is(candidate))
    return draft if share == candidate.weight else shift(draft, snapshot, candidate, share)


def shift(draft: Draft, snapshot: Snapshot, candidate: Candidate, share: int) -> Draft:
    """Another share than the step's: what ready pods can carry."""
    stable = draft.status.stable
    if stable is None:
        return draft
    shifted = candidate.model_copy(update={"weight": share})
    rest = stable.model_copy(update={"weight": 100 - share})
    draft = draft.with_weights(rest, shifted, snapshot.now)
    why = (
        f"its ready pods carry no more than {share}%"
        if share < candidate.weight
        else f"stable version {stable.model_version} has no ready pod"
    )
    return draft.with_event(
        Severity.WARNING,
        "WeightShifted",
        f"version {candidate.model_version} gets {share}% instead of {candidate.weight}% of traffic: {why}",
    )


def enter(
    draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate, number: int
) -> Draft:
    """Go to a step (from 1). Only for a candidate with the ready pods that the step needs."""
    plan, stable = steps(spec), draft.status.stable
    if stable is None:
        return draft
    draft = keep_numbers(draft.without_due(), snapshot)
    stage = plan[number - 1]
    entered = candidate.model_copy(
        update={
            "weight": stage.weight,
            "mirror": stage.mirror,
            "preview": stage.preview,
            "step": number,
            "progress": progress(snapshot, number),
            "step_started_at": snapshot.now,
            "cleared": candidate.cleared and number == candidate.step,
        }
    )
    rest = stable.model_copy(update={"weight": 100 - stage.weight})
    draft = draft.with_weights(rest, entered, snapshot.now)
    draft = draft.with_due(step_end(spec, entered)).with_due(step_deadline(spec, entered))
    return draft.with_event(
        Severity.NORMAL,
        "StepStarted",
        f"version {candidate.model_version} {spell(stage)} (step {number} of {len(plan)})",
    )


def spell(stage: Stage) -> str:
    """What a candidate gets in a step, in words."""
    if stage.weight:
        gets = f"gets {stage.weight}% of traffic"
    elif stage.mirror:
        gets = f"gets copies of {stage.mirror}% of traffic"
    elif stage.preview:
        gets = "can be previewed"
    else:
        gets = "gets no traffic"
    return f"{gets} and waits for approval" if stage.approval else gets
