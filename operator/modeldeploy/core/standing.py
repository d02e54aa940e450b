"""Where an object stands, in one phase, one reason and one sentence: all conditions follow from it."""

from modeldeploy.api.quantity import spell_duration
from modeldeploy.api.v1alpha1.cause import Cause
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import (
    Candidate,
    ModelDeploymentStatus,
    Phase,
    Rejected,
    Stable,
    Undone,
    Verdict,
)
from modeldeploy.core import adaptation, afterwards
from modeldeploy.core.causes import mend_of
from modeldeploy.core.saying import State, awaited, serving, told, unanswered
from modeldeploy.core.sizes import gives_way
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.standing_trial import on_trial
from modeldeploy.core.traffic import INCUMBENT, has_incumbent
from modeldeploy.core.waiting import (
    carries,
    start_deadline,
)


def describe(status: ModelDeploymentStatus, snapshot: Snapshot) -> State:
    """Where the object stands, the gravest thing first."""
    blocked = _blocked(status, snapshot)
    if blocked:
        return blocked
    if snapshot.spec and snapshot.spec.suspend:
        return _suspended(status, snapshot)
    if status.candidate and snapshot.spec:
        if status.candidate.step:
            return on_trial(status, snapshot, snapshot.spec, status.candidate)
        return _starting(status, snapshot, snapshot.spec, status.candidate)
    return _at_rest(status, snapshot)


def _at_rest(status: ModelDeploymentStatus, snapshot: Snapshot) -> State:
    """Where an object stands that has no candidate."""
    if status.stable is None:
        return State(Phase.PENDING, "Progressing", "waiting to start")
    if status.rejected:
        return _rolled_back(status, snapshot, status.stable, status.rejected)
    if status.undone:
        return _undone(snapshot, status.stable, status.undone)
    return _settled(status, snapshot, status.stable)


def _blocked(status: ModelDeploymentStatus, snapshot: Snapshot) -> State | None:
    observed = snapshot.observed
    meanwhile = f"; {serving(status.stable, snapshot)}" if status.stable else ""
    phase = Phase.DEGRADED if status.stable else Phase.PENDING
    if snapshot.invalid or snapshot.spec is None:
        wrong = snapshot.invalid or "spec cannot be read"
        return State(phase, "InvalidSpec", f"{wrong}{meanwhile}", stalled=True)
    if observed.rejection:
        return State(phase, "InvalidSpec", f"{observed.rejection}{meanwhile}", stalled=True)
    lost = _incumbent_lost(status, snapshot, snapshot.spec)
    if lost:
        return State(phase, "IncumbentNotFound", f"{lost}{meanwhile}", stalled=True)
    if observed.conflict:
        return State(phase, "NameConflict", f"{observed.conflict}{meanwhile}", stalled=True)
    if observed.failure:
        return State(phase, "ApplyFailed", f"{observed.failure}; it will be tried again{meanwhile}")
    return None


def _incumbent_lost(
    status: ModelDeploymentStatus, snapshot: Snapshot, spec: ModelDeploymentSpec
) -> str | None:
    """Why what answers today, or should, can't be led to, with the mend."""
    stable = status.stable
    if stable and stable.revision != INCUMBENT:
        return None
    if stable and not has_incumbent(spec):
        return (
            "the incumbent is stable, but spec no longer names it; "
            "put spec.traffic.incumbent back until a version is promoted"
        )
    return snapshot.observed.incumbent


def _starting(
    status: ModelDeploymentStatus, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate
) -> State:
    workload = snapshot.observed.workloads.get(candidate.revision)
    phase = Phase.PROGRESSING if status.stable else Phase.PENDING
    problem = workload.problem if workload else None
    text = f"version {candidate.model_version}: {problem or awaited(workload)}"
    if status.stable:
        text += f"; {serving(status.stable, snapshot)}"
        text += _giving_way(spec, candidate, status.stable)
    elif snapshot.now >= start_deadline(spec, candidate):
        span = (start_deadline(spec, candidate) - candidate.started_at).total_seconds()
        text += f"; not ready within {spell_duration(span)}, mend spec.model or spec.server"
        return State(phase, "ProgressDeadlineExceeded", text, stalled=True)
    if status.stable and spec.rollout.control.paused and carries(workload, candidate):
        text += "; paused by spec.rollout.control.paused, set it to false to go on"
        return State(Phase.PAUSED, "PausedByUser", text, paused=True)
    return State(phase, "PodsNotReady" if problem else "Progressing", text)


def _giving_way(spec: ModelDeploymentSpec, candidate: Candidate, stable: Stable) -> str:
    """What surge: None costs, while it does."""
    left = gives_way(spec, candidate)
    if left is None or stable.revision == INCUMBENT:
        return ""
    if left == 0:
        return "; stable gave way entirely (surge: None), NOBODY ANSWERS until the new pods are ready"
    return f"; stable gives way (surge: None) and runs {left} of {candidate.demand} pods"


def _suspended(status: ModelDeploymentStatus, snapshot: Snapshot) -> State:
    served = serving(status.stable, snapshot) if status.stable else "nothing serves yet"
    text = f"{served}; nothing is changed while spec.suspend is true"
    return State(Phase.PAUSED, "Suspended", text, stalled=True, paused=True)


def _undone(snapshot: Snapshot, stable: Stable, undone: Undone) -> State:
    text = (
        f"a human went back from the version in spec; {serving(stable, snapshot)}. Change spec.model to "
        "bring another in, or try this one again with "
        f"spec.rollout.control.retry: {{revision: {undone.revision}}}"
    )
    return State(Phase.HEALTHY, "Undone", text, stalled=True)


def _rolled_back(
    status: ModelDeploymentStatus, snapshot: Snapshot, stable: Stable, rejected: Rejected
) -> State:
    retried = status.undone.revision if status.undone else rejected.revision
    how = "was aborted" if rejected.reason == "Aborted" else "was rolled back"
    text = (
        f"version {rejected.model_version} {how}: {rejected.message}; {serving(stable, snapshot)}. "
        "Change spec.model or spec.server to try another, or try this one again with "
        f"spec.rollout.control.retry: {{revision: {retried}}}"
    )
    returning = any(entry.revision == rejected.revision for entry in status.draining)
    phase = Phase.ROLLING_BACK if returning else Phase.DEGRADED
    reason = "Aborted" if rejected.reason == "Aborted" else "RolledBack"
    return State(phase, reason, text, stalled=not returning)


def _settled(status: ModelDeploymentStatus, snapshot: Snapshot, stable: Stable) -> State:
    workload, routers = snapshot.observed.workloads.get(stable.revision), snapshot.observed.routers
    if workload is None or workload.ready == 0:
        text = f"version {stable.model_version}: {(workload and workload.problem) or awaited(workload)}"
        return State(Phase.DEGRADED, "PodsNotReady", text)
    if not routers.follow(status.traffic_generation):
        text = f"version {stable.model_version} runs; waiting for the routers"
        text += f": {routers.problem}" if routers.problem else ""
        return State(Phase.PROGRESSING, "RoutersNotReady", text)
    served = serving(stable, snapshot)
    if workload.problem:
        served += f" with {workload.ready} of {workload.wanted} pods: {workload.problem}"
    served = "; ".join([served, *(entry.message for entry in unanswered(status) if entry.message)])
    beyond = told(entry for entry in status.metrics if entry.verdict is Verdict.BREACH)
    if beyond and status.cause and status.cause.cause is Cause.CAPACITY:
        advised = adaptation.advice(status, snapshot)
        mend = advised.what if advised else mend_of(Cause.CAPACITY)
        beyond += f"; inputs and outputs are as before: {mend}"
    if beyond:
        why_not = afterwards.why_not(snapshot)
        beyond += f"; not rolled back: {why_not}" if why_not else ""
        return State(Phase.DEGRADED, "MetricBreached", f"{served}; {beyond}", ready=True)
    return State(Phase.HEALTHY, "Promoted", served, ready=True)
