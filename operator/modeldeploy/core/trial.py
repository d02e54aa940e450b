"""A candidate on trial: its pods start, it gets growing shares of requests, and the metrics judge it."""

from datetime import datetime

from modeldeploy.api.quantity import seconds, spell_duration
from modeldeploy.api.v1alpha1.spec import Category, ModelDeploymentSpec, RolloutAction
from modeldeploy.api.v1alpha1.status import Candidate, MetricStatus, Verdict
from modeldeploy.core.assessment import Assessment, Blame
from modeldeploy.core.decision import Severity
from modeldeploy.core.draft import Draft, after
from modeldeploy.core.ending import promote, roll_back
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.steps import steps

WORST_FIRST = (
    Verdict.BREACH,
    Verdict.ERROR,
    Verdict.NO_DATA,
    Verdict.INCONCLUSIVE,
    Verdict.PASS,
    Verdict.NOT_APPLICABLE,
)


def run(draft: Draft, snapshot: Snapshot) -> Draft:
    """One look at the candidate: start, judge, advance, promote or roll back."""
    candidate = draft.status.candidate
    if candidate is None or snapshot.spec is None:
        return draft
    if draft.status.stable is None:
        return _first(draft, snapshot, candidate)
    if candidate.step == 0:
        return _starting(draft, snapshot, snapshot.spec, candidate)
    draft = record(draft, snapshot)
    failed = _failure(snapshot, snapshot.spec, candidate)
    if failed:
        return roll_back(draft, snapshot, *failed)
    return _advance(draft, snapshot, snapshot.spec, candidate)


def watch_for_breach(draft: Draft, snapshot: Snapshot) -> Draft:
    """Only the half of a trial that protects users, for when the spec can't be followed any further."""
    candidate = draft.status.candidate
    if candidate is None or snapshot.spec is None or candidate.step == 0:
        return draft
    draft = record(draft, snapshot)
    failed = _failure(snapshot, snapshot.spec, candidate)
    return roll_back(draft, snapshot, *failed) if failed else draft


def record(draft: Draft, snapshot: Snapshot) -> Draft:
    """Keep the verdicts where any has changed; numbers that merely move write nothing."""
    seen = [(entry.name, entry.verdict) for entry in draft.status.metrics]
    found = [(entry.name, entry.verdict) for entry in snapshot.assessments]
    if not found or seen == found:
        return draft
    return keep_numbers(draft, snapshot)


def keep_numbers(draft: Draft, snapshot: Snapshot) -> Draft:
    """Keep the verdicts with their numbers as they are now: at a transition."""
    if not snapshot.assessments:
        return draft
    metrics = [
        MetricStatus(
            name=entry.name,
            verdict=entry.verdict,
            candidate=entry.candidate,
            stable=entry.stable,
            samples=entry.samples,
            message=entry.message,
            at=snapshot.now,
        )
        for entry in snapshot.assessments
    ]
    worst = min(snapshot.assessments, key=lambda entry: WORST_FIRST.index(entry.verdict))
    calm = worst.verdict in (Verdict.PASS, Verdict.NOT_APPLICABLE)
    return draft.with_status(
        metrics=metrics, verdict=str(worst.verdict) if calm else f"{worst.verdict}: {worst.name}"
    )


def progress(snapshot: Snapshot, step: int) -> str:
    """Where a rollout stands, as `2/3`."""
    return f"{step}/{len(steps(snapshot.spec))}" if snapshot.spec else ""


def breaches(snapshot: Snapshot) -> tuple[Assessment, ...]:
    """The breaches that can speak against a candidate: inputs come from callers and never do."""
    return tuple(
        entry
        for entry in snapshot.assessments
        if entry.verdict is Verdict.BREACH and entry.category is not Category.INPUT
    )


def pausing(snapshot: Snapshot) -> tuple[Assessment, ...]:
    """The breaches that hold the step for a human."""
    if snapshot.spec is None or snapshot.spec.on_breach.during_rollout is RolloutAction.NOTIFY:
        return ()
    return breaches(snapshot)


def holding(snapshot: Snapshot) -> tuple[Assessment, ...]:
    """The metrics that a step still waits for."""
    free = (Verdict.PASS, Verdict.NOT_APPLICABLE, Verdict.BREACH)
    return tuple(entry for entry in snapshot.assessments if entry.holds and entry.verdict not in free)


def _first(draft: Draft, snapshot: Snapshot, candidate: Candidate) -> Draft:
    """A first deployment has nothing to compare with: it is served as soon as it is ready."""
    workload = snapshot.observed.workloads.get(candidate.revision)
    if workload is not None and workload.is_ready:
        return promote(draft, snapshot, "FirstDeployment", "the first version is ready")
    return draft.with_due(start_deadline(snapshot, candidate))


def _starting(draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate) -> Draft:
    workload = snapshot.observed.workloads.get(candidate.revision)
    deadline = start_deadline(snapshot, candidate)
    if workload is not None and workload.is_ready:
        return _enter(draft, snapshot, spec, candidate, 1)
    if snapshot.now < deadline:
        return draft.with_due(deadline)
    problem = (
        (workload.problem if workload else None) or snapshot.observed.failure or "its pods are not ready"
    )
    waited = spell_duration((snapshot.now - candidate.started_at).total_seconds())
    return roll_back(draft, snapshot, "ProgressDeadlineExceeded", f"not ready after {waited}: {problem}")


def start_deadline(snapshot: Snapshot, candidate: Candidate) -> datetime:
    """When a candidate whose pods never got ready is given up."""
    assert snapshot.spec is not None  # noqa: S101
    spec = snapshot.spec
    span = seconds(spec.server.startup_timeout) + seconds(spec.rollout.progress_deadline)
    return after(candidate.started_at, span)


def _failure(snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate) -> tuple[str, str] | None:
    """Why the candidate must lose its traffic now, as (reason, message)."""
    workload = snapshot.observed.workloads.get(candidate.revision)
    if workload is None or workload.ready == 0 or workload.fatal:
        why = (workload.problem if workload else None) or "none of its pods is ready"
        return "CandidateUnavailable", why
    if spec.on_breach.during_rollout is not RolloutAction.ROLLBACK:
        return None
    for breach in breaches(snapshot):
        if breach.blame is Blame.CANDIDATE:
            return "MetricBreached", breach.message or breach.name
    return None


def _advance(draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate) -> Draft:
    serving = snapshot.observed.routers.serving
    if serving is None or serving < draft.status.traffic_generation:
        return draft  # the routers' next report wakes us
    plan = steps(spec)
    step = plan[min(candidate.step, len(plan)) - 1] if plan else None
    if step is not None and candidate.weight != step.weight:
        return _enter(draft, snapshot, spec, candidate, min(candidate.step, len(plan)))
    if pausing(snapshot):
        return draft
    if step is not None:
        end = after(candidate.step_started_at, seconds(step.hold))
        if snapshot.now < end:
            return draft.with_due(end)
    if holding(snapshot) or (spec.monitoring.metrics and not snapshot.assessments):
        return draft
    return _enter(draft, snapshot, spec, candidate, candidate.step + 1)


def _enter(
    draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate, number: int
) -> Draft:
    """Go to a step (from 1), or promote behind the last one; never onto pods that aren't ready."""
    workload = snapshot.observed.workloads.get(candidate.revision)
    if workload is None or not workload.is_ready:
        return draft
    plan = steps(spec)
    draft = keep_numbers(draft, snapshot)
    stable = draft.status.stable
    if number > len(plan) or stable is None:
        passed = "it passed every step" if plan else "its strategy asks for no trial"
        return promote(draft, snapshot, "Passed" if plan else "Immediate", passed)
    weight = plan[number - 1].weight
    entered = candidate.model_copy(
        update={
            "weight": weight,
            "step": number,
            "progress": progress(snapshot, number),
            "step_started_at": snapshot.now,
        }
    )
    rest = stable.model_copy(update={"weight": 100 - weight})
    draft = draft.with_weights(rest, entered, snapshot.now)
    draft = draft.with_due(after(snapshot.now, seconds(plan[number - 1].hold)))
    return draft.with_event(
        Severity.NORMAL,
        "StepStarted",
        f"version {candidate.model_version} gets {weight}% of traffic (step {number} of {len(plan)})",
    )
