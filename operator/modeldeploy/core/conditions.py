"""What people and programs are told: phase, message and conditions, derived from the decided status.

`Available`: something serves. `Ready`: the revision in spec serves, and every router knows it. `Reconciling` and
`Stalled` stand only while true, as kstatus expects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from modeldeploy.api.v1alpha1.spec import Category, WatchAction
from modeldeploy.api.v1alpha1.status import (
    Condition,
    ConditionStatus,
    ModelDeploymentStatus,
    Phase,
    Verdict,
)
from modeldeploy.core.draft import Draft
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.steps import steps
from modeldeploy.core.trial import holding, pausing, start_deadline

ONLY_WHEN_TRUE = frozenset(
    {"Paused", "Promoted", "DriftDetected", "RetrainingRecommended", "Reconciling", "Stalled"}
)


@dataclass(frozen=True, slots=True)
class Word:
    """One condition without its times."""

    holds: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class State:
    """Where the object stands: the one value that all conditions are derived from.

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


def settle(draft: Draft, snapshot: Snapshot) -> Draft:
    """The same with phase, message and conditions as they follow from the rest."""
    state = describe(draft.status, snapshot)
    words = _words(draft.status, state, snapshot)
    return draft.with_status(
        observed_generation=snapshot.generation,
        phase=state.phase,
        message=state.message,
        conditions=merge(draft.status.conditions, words, snapshot.generation, snapshot.now),
    )


def merge(
    before: Sequence[Condition], words: dict[str, Word], generation: int, now: datetime
) -> list[Condition]:
    """Conditions with their times: `lastTransitionTime` moves only when a status flips."""
    known = {condition.type: condition for condition in before}
    merged = []
    for name, word in words.items():
        if name in ONLY_WHEN_TRUE and not word.holds:
            continue
        status = ConditionStatus.TRUE if word.holds else ConditionStatus.FALSE
        old = known.get(name)
        since = old.last_transition_time if old and old.status is status else now.replace(microsecond=0)
        merged.append(
            Condition(
                type=name,
                status=status,
                reason=word.reason,
                message=word.message,
                last_transition_time=since,
                observed_generation=generation,
            )
        )
    return merged


def describe(status: ModelDeploymentStatus, snapshot: Snapshot) -> State:
    """Where the object stands, the gravest thing first."""
    blocked = _blocked(status, snapshot)
    if blocked:
        return blocked
    if status.candidate:
        return _on_trial(status, snapshot)
    if status.rejected and status.stable:
        text = (
            f"version {status.rejected.model_version} was rolled back: {status.rejected.message}; "
            f"{status.stable.model_version} serves. Edit spec.model or spec.server to try another"
        )
        phase = Phase.ROLLING_BACK if status.draining else Phase.DEGRADED
        return State(phase, "RolledBack", text, stalled=not status.draining)
    return _settled(status, snapshot)


def _blocked(status: ModelDeploymentStatus, snapshot: Snapshot) -> State | None:
    observed = snapshot.observed
    serving = f"; version {status.stable.model_version} goes on serving" if status.stable else ""
    phase = Phase.DEGRADED if status.stable else Phase.PENDING
    if snapshot.invalid or snapshot.spec is None:
        return State(phase, "InvalidSpec", f"{snapshot.invalid}{serving}", stalled=True)
    if observed.rejection:
        return State(phase, "InvalidSpec", f"{observed.rejection}{serving}", stalled=True)
    if observed.conflict:
        return State(phase, "NameConflict", observed.conflict, stalled=True)
    if observed.failure:
        return State(phase, "ApplyFailed", f"{observed.failure}{serving}")
    return None


def _on_trial(status: ModelDeploymentStatus, snapshot: Snapshot) -> State:
    candidate, spec = status.candidate, snapshot.spec
    assert candidate is not None  # noqa: S101
    assert spec is not None  # noqa: S101
    workload = snapshot.observed.workloads.get(candidate.revision)
    version = candidate.model_version
    if candidate.step == 0:
        phase = Phase.PROGRESSING if status.stable else Phase.PENDING
        problem = workload.problem if workload else None
        text = f"version {version}: {problem}" if problem else f"version {version}: waiting for its pods"
        late = status.stable is None and snapshot.now >= start_deadline(snapshot, candidate)
        reason = "ProgressDeadlineExceeded" if late else "PodsNotReady" if problem else "Progressing"
        return State(phase, reason, text, stalled=late)
    where = f"canary {version} at {candidate.weight}%: step {candidate.step} of {len(steps(spec))}"
    breach = pausing(snapshot)
    if breach:
        told = "; ".join(entry.message or entry.name for entry in breach)
        return State(Phase.PAUSED, "MetricBreached", f"{where}; waits for you: {told}", paused=True)
    waiting = [f"{entry.name} {entry.verdict}" for entry in holding(snapshot)]
    tail = f"; waits for {', '.join(waiting)}" if waiting else ""
    return State(Phase.PROGRESSING, "Progressing", where + tail)


def _settled(status: ModelDeploymentStatus, snapshot: Snapshot) -> State:
    stable = status.stable
    if stable is None:
        return State(Phase.PENDING, "Progressing", "waiting to start")
    workload = snapshot.observed.workloads.get(stable.revision)
    if workload is None or workload.ready == 0:
        problem = (workload.problem if workload else None) or "none of its pods is ready"
        return State(Phase.DEGRADED, "PodsNotReady", f"version {stable.model_version}: {problem}")
    routers = snapshot.observed.routers
    if routers.serving is None or routers.serving < status.traffic_generation:
        text = f"version {stable.model_version} runs; waiting for the routers"
        return State(
            Phase.PROGRESSING, "RoutersNotReady", f"{text}: {routers.problem}" if routers.problem else text
        )
    breached = [entry.name for entry in status.metrics if entry.verdict is Verdict.BREACH]
    served = f"version {stable.model_version} serves"
    if breached:
        return State(
            Phase.DEGRADED,
            "MetricBreached",
            f"{served}; beyond their bounds: {', '.join(breached)}",
            ready=True,
        )
    return State(Phase.HEALTHY, "Promoted", served, ready=True)


def _words(status: ModelDeploymentStatus, state: State, snapshot: Snapshot) -> dict[str, Word]:
    serving = snapshot.observed.workloads.get(status.stable.revision) if status.stable else None
    available = serving is not None and serving.ready > 0
    what = f"{serving.ready} of {serving.wanted} pods ready" if serving else "no pod serves"
    moving = not state.ready and not state.stalled
    healthy = available and state.phase in (Phase.HEALTHY, Phase.PROGRESSING)
    words = {
        "Ready": Word(state.ready, state.reason, state.message),
        "Available": Word(available, "PodsReady" if available else "NoPodReady", what),
        "Progressing": Word(moving and state.phase is not Phase.DEGRADED, state.reason, state.message),
        "Healthy": Word(healthy, state.reason, state.message),
        "Paused": Word(state.paused, state.reason, state.message),
        "Promoted": Word(state.ready, "Promoted", "the revision in spec answers all requests"),
        "Reconciling": Word(moving, state.reason, state.message),
        "Stalled": Word(state.stalled, state.reason, state.message),
    }
    return words | _drift(status, snapshot)


def _drift(status: ModelDeploymentStatus, snapshot: Snapshot) -> dict[str, Word]:
    """What speaks about the world rather than about a candidate."""
    spec = snapshot.spec
    if spec is None:
        return {}
    categories = {metric.name: metric.category for metric in spec.monitoring.metrics}
    breached = [entry for entry in status.metrics if entry.verdict is Verdict.BREACH]
    inputs = [entry.message for entry in breached if categories.get(entry.name) is Category.INPUT]
    told = "; ".join(inputs)
    watched = status.candidate is None and status.rejected is None
    model = [entry.message for entry in breached if categories.get(entry.name) is not Category.SOFTWARE]
    flag = watched and bool(model) and spec.on_breach.after_rollout is WatchAction.FLAG_RETRAINING
    return {
        "DriftDetected": Word(bool(inputs), "DataDrift", told),
        "RetrainingRecommended": Word(flag, "MetricBreached", "; ".join(model)),
    }
