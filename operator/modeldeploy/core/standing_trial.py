"""What is said of a candidate on trial."""

from modeldeploy.api.v1alpha1.cause import Cause
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import (
    Candidate,
    ModelDeploymentStatus,
    Phase,
    PreviewRoute,
    Verdict,
)
from modeldeploy.core import stepdown
from modeldeploy.core.capacity import answers_alone
from modeldeploy.core.diagnosis import sentence, stops
from modeldeploy.core.draft import after
from modeldeploy.core.saying import State, awaited, told, unanswered
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.steps import position, steps
from modeldeploy.core.waiting import (
    awaits_approval,
    carries,
    holding,
    lacks_requests,
    step_deadline,
    step_end,
)

LACKING = {Verdict.NO_DATA: "no data yet", Verdict.INCONCLUSIVE: "too little evidence yet"}
"""What a step waits for, in words."""
NAMED = frozenset({Cause.ASSIGNMENT_BIASED, Cause.INTERFERENCE})
"""Causes that are told as the reason of a pause; of the others the breach is."""
END = "change spec.model to end it"


def _where(spec: ModelDeploymentSpec, candidate: Candidate) -> str:
    """What the candidate gets, and at which step."""
    at = f"step {position(spec, candidate.step)} of {len(steps(spec))}" if steps(spec) else "no steps left"
    if candidate.weight:
        gets = f"canary {candidate.model_version} at {candidate.weight}%"
    elif candidate.mirror:
        gets = f"shadow {candidate.model_version} with copies of {candidate.mirror}%"
    elif candidate.preview:
        gets = f"preview of {candidate.model_version} by {_way(candidate.preview)}"
    else:
        gets = f"version {candidate.model_version} without traffic"
    return f"{gets}: {at}"


def _way(preview: PreviewRoute) -> str:
    by = [f"header {preview.header}: {preview.value}"] if preview.header else []
    return " or ".join([*by, f"host {preview.hostname}"] if preview.hostname else by)


FOLLOWED = 1.0
"""Seconds within which routers are expected to follow a change."""


def on_trial(
    status: ModelDeploymentStatus, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate
) -> State:
    """Where a candidate stands whose steps have begun."""
    where = _where(spec, candidate) + stepdown.told(spec, candidate)
    stopped = _stopped(status, snapshot, spec, candidate)
    if stopped:
        reason, why = stopped
        return State(Phase.PAUSED, reason, f"{where}; {why}", paused=True)
    if status.successor:
        text = f"{where}; it keeps its share until version {status.successor.model_version} is ready"
        return State(Phase.PROGRESSING, "Progressing", text)
    lacks = _lacks(status, snapshot, candidate)
    asking = any(entry.verdict is Verdict.ERROR for entry in holding(snapshot))
    if lacks and not asking and snapshot.now >= step_deadline(spec, candidate):
        evidence = _evidence_lacks(status, snapshot, candidate)
        reason = "InsufficientEvidence" if lacks == evidence else "ProgressDeadlineExceeded"
        text = f"{where}; still waits for {lacks}. It goes on when that comes; {END}"
        return State(Phase.PAUSED, reason, text, paused=True)
    beyond = told(entry for entry in status.metrics if entry.verdict is Verdict.BREACH)
    if answers_alone(snapshot):
        beyond = f"stable has no ready pod to take requests back{beyond and '; '}{beyond}"
    parts = [where, *([f"waits for {lacks}"] if lacks else []), *([beyond] if beyond else [])]
    return State(Phase.PROGRESSING, "Progressing", "; ".join(parts))


def _stopped(
    status: ModelDeploymentStatus, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate
) -> tuple[str, str] | None:
    """Why the step waits for a human, as (reason, explanation)."""
    if candidate.returned_at:
        beyond = told(
            entry for entry in status.metrics if status.cause and entry.name in status.cause.metrics
        )
        why = "its traffic was returned to see whether stable recovers without it"
        return str(Cause.INTERFERENCE), "; ".join(part for part in (beyond, why) if part)
    found = stops(snapshot)
    if found and status.cause:
        reason = str(found.cause) if found.cause in NAMED else "MetricBreached"
        return reason, f"{sentence(status, status.cause)}. It goes on when that passes; {END}"
    if spec.rollout.control.paused:
        return "PausedByUser", "paused by spec.rollout.control.paused, set it to false to go on"
    if snapshot.observed.unable:
        return "ProviderUnable", snapshot.observed.unable
    if _only_approval_lacks(snapshot, spec, candidate):
        return "AwaitingApproval", _asks(spec, candidate)
    return None


def _asks(spec: ModelDeploymentSpec, candidate: Candidate) -> str:
    """How to approve; an approval that has been used needs a nonce to tell the next from it."""
    used = spec.rollout.control.approve
    again = ", nonce: another" if used and used.revision == candidate.revision else ""
    how = f"spec.rollout.control.approve: {{revision: {candidate.revision}{again}}}"
    return f"waits for a human's approval: {how}"


def _only_approval_lacks(snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate) -> bool:
    over = snapshot.now >= step_end(spec, candidate)
    passed = not holding(snapshot) and not lacks_requests(snapshot, candidate)
    return awaits_approval(spec, candidate) and over and passed


def _lacks(status: ModelDeploymentStatus, snapshot: Snapshot, candidate: Candidate) -> str:
    """What a step waits for besides its hold, the first thing first; empty if nothing."""
    workload, routers = snapshot.observed.workloads.get(candidate.revision), snapshot.observed.routers
    if not carries(workload, candidate):
        problem = workload.problem if workload else None
        return f"its pods ({problem or awaited(workload)})"
    if not routers.follow(status.traffic_generation) and _are_late(status, snapshot):
        return f"the routers ({routers.problem})" if routers.problem else "the routers"
    return _evidence_lacks(status, snapshot, candidate)


def _are_late(status: ModelDeploymentStatus, snapshot: Snapshot) -> bool:
    """Routers follow within some milliseconds: not worth a word, unless it takes longer."""
    changed = status.traffic_changed_at
    return changed is None or snapshot.now >= after(changed, FOLLOWED)


def _evidence_lacks(status: ModelDeploymentStatus, snapshot: Snapshot, candidate: Candidate) -> str:
    floor = lacks_requests(snapshot, candidate)
    failed = {entry.name: entry.message for entry in unanswered(status)}
    parts = []
    for entry in holding(snapshot):
        why = failed.get(entry.name) or LACKING.get(entry.verdict, str(entry.verdict))
        parts.append(f"{entry.name} ({why.removeprefix(f'{entry.name}: ')})")
    return ", ".join([*parts, f"the step's {floor} requests"] if floor else parts)
