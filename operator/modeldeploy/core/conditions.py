"""What people and programs are told: phase, message and conditions, derived from the decided status.

`Available`: something serves. `Ready`: the revision in spec serves, and every router knows it. `Reconciling`
and `Stalled` stand only while true, as kstatus expects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from modeldeploy.api.v1alpha1.cause import Cause
from modeldeploy.api.v1alpha1.status import (
    Condition,
    ConditionStatus,
    MetricStatus,
    ModelDeploymentStatus,
    Phase,
)
from modeldeploy.core.adaptation import advice as advice_on_capacity
from modeldeploy.core.causes import DRIFTS
from modeldeploy.core.decision import Severity
from modeldeploy.core.diagnosis import sentence
from modeldeploy.core.draft import SHORT, Draft, clip
from modeldeploy.core.judgement import BEYOND_WARN
from modeldeploy.core.retraining import advice, recommending, standing
from modeldeploy.core.saying import State
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.standing import describe

ONLY_WHEN_TRUE = frozenset(
    {
        "Paused",
        "Promoted",
        "TrafficLimited",
        "MonitoringLimited",
        "DriftDetected",
        "RetrainingRecommended",
        "CapacityShort",
        "Reconciling",
        "Stalled",
    }
)
WORTH_AN_EVENT = frozenset(
    {
        "ApplyFailed",
        "IncumbentNotFound",
        "InsufficientEvidence",
        "InvalidSpec",
        "InvalidTrigger",
        "NameConflict",
        "PodsNotReady",
        "ProgressDeadlineExceeded",
        "ProviderUnable",
    }
)
"""Reasons that are told once more, as an Event, when they come up. What ends a rollout tells itself."""


@dataclass(frozen=True, slots=True)
class Word:
    """One condition without its times."""

    holds: bool
    reason: str
    message: str


def settle(draft: Draft, snapshot: Snapshot) -> Draft:
    """The same with phase, message and conditions as they follow from the rest."""
    snapshot = replace(snapshot, status=draft.status)
    state = describe(draft.status, snapshot)
    words = _words(draft.status, state, snapshot)
    if _is_news(draft.status, "Ready", state.reason, snapshot.generation):
        draft = draft.with_event(Severity.WARNING, state.reason, state.message)
    trigger = words.get("RetrainingReady")
    if trigger and _is_news(draft.status, "RetrainingReady", trigger.reason, snapshot.generation):
        draft = draft.with_event(Severity.WARNING, trigger.reason, trigger.message)
    return draft.with_status(
        observed_generation=snapshot.generation,
        phase=state.phase,
        message=clip(state.message, SHORT),
        conditions=merge(draft.status.conditions, words, snapshot.generation, snapshot.now),
    )


def merge(
    before: Sequence[Condition], words: Mapping[str, Word], generation: int, now: datetime
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
                message=clip(word.message, SHORT),
                last_transition_time=since,
                observed_generation=generation,
            )
        )
    return merged


def _is_news(status: ModelDeploymentStatus, kind: str, reason: str, generation: int) -> bool:
    if reason not in WORTH_AN_EVENT:
        return False
    known = next((condition for condition in status.conditions if condition.type == kind), None)
    return known is None or (known.reason, known.observed_generation) != (reason, generation)


def _words(status: ModelDeploymentStatus, state: State, snapshot: Snapshot) -> dict[str, Word]:
    available, limits = _availability(status, snapshot), snapshot.observed.limits
    moving = not state.ready and not state.stalled
    healthy = available.holds and state.phase in (Phase.HEALTHY, Phase.PROGRESSING)
    words = {
        "Ready": Word(state.ready, state.reason, state.message),
        "Available": available,
        "Progressing": Word(moving and state.phase is not Phase.DEGRADED, state.reason, state.message),
        "Healthy": Word(healthy, state.reason, state.message),
        "Paused": Word(state.paused, state.reason, state.message),
        "Promoted": Word(state.ready, "Promoted", "the revision in spec answers all requests"),
        "Reconciling": Word(moving, state.reason, state.message),
        "Stalled": Word(state.stalled, state.reason, state.message),
        "TrafficLimited": Word(
            bool(limits), next((one.reason for one in limits), ""), "; ".join(one.message for one in limits)
        ),
    }
    words["MonitoringLimited"] = _limited(status)
    advised = advice_on_capacity(status, snapshot)
    if advised:
        words["CapacityShort"] = Word(True, advised.reason, f"{advised.why}; {advised.what}")
    return words | _drift(status, snapshot) | _trigger(snapshot)


def _trigger(snapshot: Snapshot) -> dict[str, Word]:
    """Whether what retrains can be run; no rollout depends on it."""
    spec, fault = snapshot.spec, snapshot.observed.untriggerable
    if spec is None or spec.retraining is None or spec.retraining.trigger is None:
        return {}
    if fault:
        return {"RetrainingReady": Word(holds=False, reason="InvalidTrigger", message=fault)}
    told = "what retrains can be run"
    return {"RetrainingReady": Word(holds=True, reason="TriggerAccepted", message=told)}


def _availability(status: ModelDeploymentStatus, snapshot: Snapshot) -> Word:
    """Whether requests get answers: stable has a ready pod, and a router leads to it."""
    workload = snapshot.observed.workloads.get(status.stable.revision) if status.stable else None
    pods = f"{workload.ready} of {workload.wanted} pods of stable are ready" if workload else "no pod serves"
    if workload is None or workload.ready == 0:
        return Word(holds=False, reason="NoPodReady", message=pods)
    if snapshot.observed.routers.ready == 0:
        why = snapshot.observed.routers.problem or "no router is ready"
        return Word(holds=False, reason="NoRouterReady", message=f"{pods}, but {why}")
    return Word(holds=True, reason="PodsReady", message=pods)


def _limited(status: ModelDeploymentStatus) -> Word:
    """Whether a metric can't be judged as spec asks until somebody mends something."""
    found = [entry for entry in status.metrics if entry.reason not in (None, BEYOND_WARN)]
    return Word(bool(found), next((entry.reason or "" for entry in found), ""), _sentence(found))


def _drift(status: ModelDeploymentStatus, snapshot: Snapshot) -> dict[str, Word]:
    """What speaks about the world rather than about a candidate."""
    spec, episode, cause = snapshot.spec, standing(status), status.cause
    reason = str(Cause.CONCEPT_DRIFT if cause and cause.cause is Cause.CONCEPT_DRIFT else "MetricBreached")
    words = {}
    if episode:
        told = advice(episode, snapshot.observed.untriggerable)
        words["RetrainingRecommended"] = Word(holds=True, reason=reason, message=told)
    if spec is None:
        return words
    if cause and cause.cause in DRIFTS:
        words["DriftDetected"] = Word(True, str(cause.cause), sentence(status, cause))
    model = [] if spec.retraining else recommending(status, spec)
    return {"RetrainingRecommended": Word(bool(model), reason, _sentence(model))} | words


def _sentence(metrics: Sequence[MetricStatus]) -> str:
    return "; ".join(entry.message or entry.name for entry in metrics)
