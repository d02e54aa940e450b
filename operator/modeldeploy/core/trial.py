"""A candidate on trial: its pods start, it gets growing shares of requests, and the metrics judge it."""

from collections.abc import Sequence
from datetime import datetime

from modeldeploy.api.quantity import seconds, spell_duration
from modeldeploy.api.v1alpha1.monitoring import Category, RolloutAction
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Candidate, MetricStatus, Verdict
from modeldeploy.core.assessment import Assessment, Blame
from modeldeploy.core.decision import Severity
from modeldeploy.core.draft import BRIEF, Draft, after, clip
from modeldeploy.core.ending import promote, roll_back
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.steps import position, steps

VALUE = 40
"""Longest value of a metric with its unit, in characters."""
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
    candidate, spec = draft.status.candidate, snapshot.spec
    if candidate is None or spec is None:
        return draft
    if draft.status.stable is None:
        return _first(draft, snapshot, candidate)
    shown = progress(snapshot, candidate.step)
    if candidate.progress != shown:  # the steps were edited
        candidate = candidate.model_copy(update={"progress": shown})
        draft = draft.with_status(candidate=candidate)
    if candidate.step == 0:
        return _starting(draft, snapshot, spec, candidate)
    draft = record(draft, snapshot)
    failed = _failure(draft, snapshot, candidate)
    if failed:
        return roll_back(keep_numbers(draft, snapshot), snapshot, *failed)
    return _advance(draft, snapshot, spec, candidate)


def watch_for_breach(draft: Draft, snapshot: Snapshot) -> Draft:
    """Only the half of a trial that protects users, for when the spec can't be followed any further."""
    candidate = draft.status.candidate
    if candidate is None or candidate.step == 0:
        return draft
    draft = record(draft, snapshot)
    failed = _failure(draft, snapshot, candidate)
    return roll_back(keep_numbers(draft, snapshot), snapshot, *failed) if failed else draft


def record(draft: Draft, snapshot: Snapshot) -> Draft:
    """Keep the verdicts where any has changed (numbers that merely move write nothing); tell new breaches."""
    if snapshot.spec is None:
        return draft
    if not snapshot.assessments:
        return _forget_removed(draft, snapshot.spec)
    seen = {entry.name: entry.verdict for entry in draft.status.metrics}
    found = {entry.name: entry.verdict for entry in snapshot.assessments}
    if list(seen.items()) == list(found.items()):
        return draft
    draft = keep_numbers(draft, snapshot)
    for entry in snapshot.assessments:
        if entry.verdict is Verdict.BREACH and seen.get(entry.name) is not Verdict.BREACH:
            draft = draft.with_event(Severity.WARNING, "MetricBreached", entry.message or entry.name)
    return draft


def keep_numbers(draft: Draft, snapshot: Snapshot) -> Draft:
    """Keep the verdicts with their numbers as they are now: at a transition."""
    if not snapshot.assessments:
        return draft
    metrics = [
        MetricStatus(
            name=entry.name,
            verdict=entry.verdict,
            candidate=clip(entry.candidate, VALUE) if entry.candidate else None,
            stable=clip(entry.stable, VALUE) if entry.stable else None,
            samples=entry.samples,
            message=clip(entry.message, BRIEF),
            at=snapshot.now,
        )
        for entry in snapshot.assessments
    ]
    return draft.with_status(metrics=metrics, verdict=_worst(metrics))


def progress(snapshot: Snapshot, step: int) -> str:
    """Where a rollout stands, as `2/3`; nothing where there are no steps."""
    spec = snapshot.spec
    return f"{position(spec, step)}/{len(steps(spec))}" if spec and steps(spec) else ""


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


def start_deadline(spec: ModelDeploymentSpec, candidate: Candidate) -> datetime:
    """When a candidate whose pods never got ready is given up."""
    span = seconds(spec.server.startup_timeout) + seconds(spec.rollout.progress_deadline)
    return after(candidate.started_at, span)


def step_end(spec: ModelDeploymentSpec, candidate: Candidate) -> datetime:
    """When the step under way has held long enough."""
    number = position(spec, candidate.step)
    return after(candidate.step_started_at, steps(spec)[number - 1].hold if number else 0)


def step_deadline(spec: ModelDeploymentSpec, candidate: Candidate) -> datetime:
    """When a step that its pods, routers or metrics still hold up waits for a human instead."""
    return after(step_end(spec, candidate), seconds(spec.rollout.progress_deadline))


def _first(draft: Draft, snapshot: Snapshot, candidate: Candidate) -> Draft:
    """A first deployment has nothing to compare with: it is served as soon as it is ready."""
    workload = snapshot.observed.workloads.get(candidate.revision)
    if workload is not None and workload.is_ready:
        return promote(draft, snapshot, "FirstDeployment", "the first version is ready")
    return draft.with_due(start_deadline(snapshot.spec, candidate)) if snapshot.spec else draft


def _starting(draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate) -> Draft:
    workload = snapshot.observed.workloads.get(candidate.revision)
    deadline = start_deadline(spec, candidate)
    if workload is not None and workload.is_ready:
        return _enter(draft, snapshot, spec, candidate, 1)
    if snapshot.now < deadline:
        return draft.with_due(deadline)
    problem = (
        (workload.problem if workload else None) or snapshot.observed.failure or "its pods are not ready"
    )
    waited = spell_duration((snapshot.now - candidate.started_at).total_seconds())
    return roll_back(draft, snapshot, "ProgressDeadlineExceeded", f"not ready after {waited}: {problem}")


def _failure(draft: Draft, snapshot: Snapshot, candidate: Candidate) -> tuple[str, str] | None:
    """Why the candidate must lose its traffic now, as (reason, message).

    While stable has no ready pod traffic can't go back: nothing fails until it can.
    """
    workloads, stable, spec = snapshot.observed.workloads, draft.status.stable, snapshot.spec
    workload = workloads.get(candidate.revision)
    fallback = workloads.get(stable.revision) if stable else None
    if fallback is None or fallback.ready == 0:
        return None
    if workload is None or workload.ready == 0 or workload.fatal:
        return "CandidateUnavailable", (workload.problem if workload else None) or "none of its pods is ready"
    if spec is None or spec.on_breach.during_rollout is not RolloutAction.ROLLBACK:
        return None
    for breach in breaches(snapshot):
        if breach.blame is Blame.CANDIDATE:
            return "MetricBreached", breach.message or breach.name
    return None


def _advance(draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate) -> Draft:
    plan, number = steps(spec), position(spec, candidate.step)
    end = step_end(spec, candidate)
    waiting = draft.with_due(end).with_due(step_deadline(spec, candidate))
    workload = snapshot.observed.workloads.get(candidate.revision)
    routed = snapshot.observed.routers.follow(draft.status.traffic_generation)
    weight = plan[number - 1].weight if plan else candidate.weight
    stopped = pausing(snapshot) and weight >= candidate.weight
    if workload is None or not workload.is_ready or not routed or stopped:
        return waiting
    if weight != candidate.weight:  # the steps were edited
        return _enter(draft, snapshot, spec, candidate, number)
    judged = snapshot.assessments or not spec.monitoring.metrics
    if snapshot.now < end or not judged or holding(snapshot) or lacks_requests(snapshot, candidate):
        return waiting
    return _enter(draft, snapshot, spec, candidate, number + 1)


def lacks_requests(snapshot: Snapshot, candidate: Candidate) -> int | None:
    """The step's `minRequests` while the candidate hasn't answered so many, else None."""
    if snapshot.spec is None or not steps(snapshot.spec):
        return None
    floor = steps(snapshot.spec)[position(snapshot.spec, candidate.step) - 1].min_requests
    return floor if floor and snapshot.answered < floor else None


def _enter(
    draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate, number: int
) -> Draft:
    """Go to a step (from 1), or promote behind the last one. Only for a candidate whose pods are ready."""
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
    draft = draft.with_due(step_end(spec, entered)).with_due(step_deadline(spec, entered))
    return draft.with_event(
        Severity.NORMAL,
        "StepStarted",
        f"version {candidate.model_version} gets {weight}% of traffic (step {number} of {len(plan)})",
    )


def _forget_removed(draft: Draft, spec: ModelDeploymentSpec) -> Draft:
    """Before a look there is nothing new to keep, but what spec no longer names must not go on speaking."""
    named = {metric.name for metric in spec.monitoring.metrics}
    kept = [entry for entry in draft.status.metrics if entry.name in named]
    if len(kept) == len(draft.status.metrics):
        return draft
    return draft.with_status(metrics=kept, verdict=_worst(kept))


def _worst(metrics: Sequence[MetricStatus]) -> str | None:
    if not metrics:
        return None
    worst = min(metrics, key=lambda entry: WORST_FIRST.index(entry.verdict))
    calm = worst.verdict in (Verdict.PASS, Verdict.NOT_APPLICABLE)
    return str(worst.verdict) if calm else f"{worst.verdict}: {worst.name}"
