"""Where an object stands, in one phase, one reason and one sentence: all conditions follow from it."""

from collections.abc import Iterable
from dataclasses import dataclass

from modeldeploy.api.quantity import spell_duration
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import (
    Candidate,
    MetricStatus,
    ModelDeploymentStatus,
    Phase,
    Rejected,
    Stable,
    Verdict,
)
from modeldeploy.core.snapshot import Snapshot, Workload
from modeldeploy.core.steps import position, steps
from modeldeploy.core.trial import holding, lacks_requests, pausing, start_deadline, step_deadline

LACKING = {Verdict.NO_DATA: "no data yet", Verdict.INCONCLUSIVE: "too little evidence yet"}
"""What a step waits for, in words."""


@dataclass(frozen=True, slots=True)
class State:
    """Where the object stands.

    Attributes:
        phase: In one word.
        reason: Why, in one word.
        message: Why, in a sentence.
        ready: The revision in spec serves, and every router knows it.
        stalled: Nothing will change until somebody edits something.
        paused: A step waits for a human.
    """

    phase: Phase
    reason: str
    message: str
    ready: bool = False
    stalled: bool = False
    paused: bool = False


def describe(status: ModelDeploymentStatus, snapshot: Snapshot) -> State:
    """Where the object stands, the gravest thing first."""
    blocked = _blocked(status, snapshot)
    if blocked:
        return blocked
    if status.candidate and snapshot.spec:
        if status.candidate.step:
            return _on_trial(status, snapshot, snapshot.spec, status.candidate)
        return _starting(status, snapshot, snapshot.spec, status.candidate)
    if status.stable is None:
        return State(Phase.PENDING, "Progressing", "waiting to start")
    if status.rejected:
        return _rolled_back(status, snapshot, status.stable, status.rejected)
    return _settled(status, snapshot, status.stable)


def _blocked(status: ModelDeploymentStatus, snapshot: Snapshot) -> State | None:
    observed = snapshot.observed
    serving = f"; {_serving(status.stable, snapshot)}" if status.stable else ""
    phase = Phase.DEGRADED if status.stable else Phase.PENDING
    if snapshot.invalid or snapshot.spec is None:
        wrong = snapshot.invalid or "spec cannot be read"
        return State(phase, "InvalidSpec", f"{wrong}{serving}", stalled=True)
    if observed.rejection:
        return State(phase, "InvalidSpec", f"{observed.rejection}{serving}", stalled=True)
    if observed.conflict:
        return State(phase, "NameConflict", f"{observed.conflict}{serving}", stalled=True)
    if observed.failure:
        return State(phase, "ApplyFailed", f"{observed.failure}; it will be tried again{serving}")
    return None


def _starting(
    status: ModelDeploymentStatus, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate
) -> State:
    workload = snapshot.observed.workloads.get(candidate.revision)
    phase = Phase.PROGRESSING if status.stable else Phase.PENDING
    problem = workload.problem if workload else None
    text = f"version {candidate.model_version}: {problem or _awaited(workload)}"
    if status.stable:
        text += f"; {_serving(status.stable, snapshot)}"
    elif snapshot.now >= start_deadline(spec, candidate):
        span = (start_deadline(spec, candidate) - candidate.started_at).total_seconds()
        text += f"; not ready within {spell_duration(span)}, mend spec.model or spec.server"
        return State(phase, "ProgressDeadlineExceeded", text, stalled=True)
    return State(phase, "PodsNotReady" if problem else "Progressing", text)


def _on_trial(
    status: ModelDeploymentStatus, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate
) -> State:
    at = f"step {position(spec, candidate.step)} of {len(steps(spec))}" if steps(spec) else "no steps left"
    where = f"canary {candidate.model_version} at {candidate.weight}%: {at}"
    breaching = {entry.name for entry in pausing(snapshot)}
    if breaching:
        told = _told(entry for entry in status.metrics if entry.name in breaching)
        text = f"{where}; {told}. It goes on when that passes; change spec.model to end it"
        return State(Phase.PAUSED, "MetricBreached", text, paused=True)
    lacks = _lacks(status, snapshot, candidate)
    asking = any(entry.verdict is Verdict.ERROR for entry in holding(snapshot))
    if lacks and not asking and snapshot.now >= step_deadline(spec, candidate):
        evidence = _evidence_lacks(status, snapshot, candidate)
        reason = "InsufficientEvidence" if lacks == evidence else "ProgressDeadlineExceeded"
        text = f"{where}; still waits for {lacks}. It goes on when that comes; change spec.model to end it"
        return State(Phase.PAUSED, reason, text, paused=True)
    beyond = _told(entry for entry in status.metrics if entry.verdict is Verdict.BREACH)
    parts = [where, *([f"waits for {lacks}"] if lacks else []), *([beyond] if beyond else [])]
    return State(Phase.PROGRESSING, "Progressing", "; ".join(parts))


def _rolled_back(
    status: ModelDeploymentStatus, snapshot: Snapshot, stable: Stable, rejected: Rejected
) -> State:
    text = (
        f"version {rejected.model_version} was rolled back: {rejected.message}; "
        f"{_serving(stable, snapshot)}. Change spec.model or spec.server to try another"
    )
    returning = any(entry.revision == rejected.revision for entry in status.draining)
    phase = Phase.ROLLING_BACK if returning else Phase.DEGRADED
    return State(phase, "RolledBack", text, stalled=not returning)


def _settled(status: ModelDeploymentStatus, snapshot: Snapshot, stable: Stable) -> State:
    workload, routers = snapshot.observed.workloads.get(stable.revision), snapshot.observed.routers
    if workload is None or workload.ready == 0:
        text = f"version {stable.model_version}: {(workload and workload.problem) or _awaited(workload)}"
        return State(Phase.DEGRADED, "PodsNotReady", text)
    if not routers.follow(status.traffic_generation):
        text = f"version {stable.model_version} runs; waiting for the routers"
        text += f": {routers.problem}" if routers.problem else ""
        return State(Phase.PROGRESSING, "RoutersNotReady", text)
    served = _serving(stable, snapshot)
    if workload.problem:
        served += f" with {workload.ready} of {workload.wanted} pods: {workload.problem}"
    served = "; ".join([served, *(entry.message for entry in _unanswered(status) if entry.message)])
    beyond = _told(entry for entry in status.metrics if entry.verdict is Verdict.BREACH)
    if beyond:
        return State(Phase.DEGRADED, "MetricBreached", f"{served}; {beyond}", ready=True)
    return State(Phase.HEALTHY, "Promoted", served, ready=True)


def _serving(stable: Stable, snapshot: Snapshot) -> str:
    """What users get meanwhile."""
    workload = snapshot.observed.workloads.get(stable.revision)
    if workload and workload.ready:
        return f"version {stable.model_version} serves"
    return f"version {stable.model_version} should serve, but {_awaited(workload)}"


def _awaited(workload: Workload | None) -> str:
    if workload is None:
        return "its Deployment is being created"
    count = f"{workload.ready} of {workload.wanted} pods are ready"
    return f"{count}, {workload.awaiting}" if workload.awaiting else count


def _lacks(status: ModelDeploymentStatus, snapshot: Snapshot, candidate: Candidate) -> str:
    """What a step waits for besides its hold, the first thing first; empty if nothing."""
    workload, routers = snapshot.observed.workloads.get(candidate.revision), snapshot.observed.routers
    if workload is None or not workload.is_ready:
        problem = workload.problem if workload else None
        return f"its pods ({problem or _awaited(workload)})"
    if not routers.follow(status.traffic_generation):
        return f"the routers ({routers.problem})" if routers.problem else "the routers"
    return _evidence_lacks(status, snapshot, candidate)


def _evidence_lacks(status: ModelDeploymentStatus, snapshot: Snapshot, candidate: Candidate) -> str:
    floor = lacks_requests(snapshot, candidate)
    failed = {entry.name: entry.message for entry in _unanswered(status)}
    parts = []
    for entry in holding(snapshot):
        why = failed.get(entry.name) or LACKING.get(entry.verdict, str(entry.verdict))
        parts.append(f"{entry.name} ({why.removeprefix(f'{entry.name}: ')})")
    return ", ".join([*parts, f"the step's {floor} requests"] if floor else parts)


def _unanswered(status: ModelDeploymentStatus) -> list[MetricStatus]:
    """The metrics whose question gets no usable answer, with what was said when that began."""
    return [entry for entry in status.metrics if entry.verdict is Verdict.ERROR]


def _told(metrics: Iterable[MetricStatus]) -> str:
    """The metrics as they were recorded: numbers that merely move change no message."""
    return "; ".join(entry.message or f"{entry.name} is beyond its bound" for entry in metrics)
