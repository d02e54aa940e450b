"""More pods, where capacity is what lacks (`spec.adapt`).

Latency or load breaches after the rollout while inputs and outputs are as before: another model would be no
better. What is raised are the bounds of `spec.server.replicas`, and they are kept in status. With
its autoscaler at the upper bound a revision may get more pods; below it the autoscaler doesn't see what
lacks, so that the lower bound is raised.
"""

import math
from datetime import datetime
from typing import NamedTuple

from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.adapt import AdaptMode
from modeldeploy.api.v1alpha1.cause import Cause
from modeldeploy.api.v1alpha1.server import Replicas
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import (
    AdaptationStatus,
    MetricStatus,
    ModelDeploymentStatus,
    Verdict,
)
from modeldeploy.core.decision import Severity
from modeldeploy.core.draft import BRIEF, Draft, after, clip
from modeldeploy.core.saying import told
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.traffic import INCUMBENT

GROWTH = 1.5
"""By how much pods are raised at once."""


def adapted(spec: ModelDeploymentSpec, status: ModelDeploymentStatus) -> ModelDeploymentSpec:
    """The spec with the raised bounds while they hold: never below its own, nor beyond the limit."""
    held, own = status.adaptation, spec.server.replicas
    if held is None or not _holds(spec, held):
        return spec
    limit = spec.adapt.max_replicas or 0
    least = max(own.min, min(held.min, limit))
    most = max(own.max or own.min, least, min(held.max, limit))
    replicas = own.model_copy(update={"min": least, "max": most})
    return spec.model_copy(update={"server": spec.server.model_copy(update={"replicas": replicas})})


def keep(draft: Draft, written: ModelDeploymentSpec | None) -> Draft:
    """The same without what was raised, once the spec as written says something else."""
    held = draft.status.adaptation
    if held is None or written is None or _holds(written, held):
        return draft
    draft = draft.with_status(adaptation=None)
    return draft.with_event(
        Severity.NORMAL, "AdaptationEnded", "the bounds of replicas are those of spec.server.replicas again"
    )


def shortage(status: ModelDeploymentStatus, spec: ModelDeploymentSpec) -> list[MetricStatus]:
    """The breaches of latency or load, if nothing else breaches and no candidate is on trial."""
    if status.candidate or status.rejected or status.stable is None or status.stable.revision == INCUMBENT:
        return []
    cause = status.cause
    if cause is None or cause.cause is not Cause.CAPACITY:
        return []
    named = {metric.name for metric in spec.monitoring.metrics}
    seen = [one for one in status.metrics if one.verdict is Verdict.BREACH and one.name in named]
    return seen if all(one.name in cause.metrics for one in seen) else []


def takes_over(draft: Draft, snapshot: Snapshot) -> bool:
    """Whether what breaches is met by more pods, now or after the cool-down."""
    spec, held = snapshot.spec, draft.status.adaptation
    if spec is None or spec.adapt.mode is not AdaptMode.AUTOMATIC or not shortage(draft.status, spec):
        return False
    return (held is not None and _rests(spec, held) > snapshot.now) or raised(draft, snapshot) is not None


def follow(draft: Draft, snapshot: Snapshot) -> Draft:
    """The same with raised bounds, once per cool-down and only when the pods asked for are ready."""
    spec, held, stable = snapshot.spec, draft.status.adaptation, draft.status.stable
    if spec is None or stable is None:
        return draft
    if held and _rests(spec, held) > snapshot.now:
        return draft.with_due(_rests(spec, held))
    workload, bounds = snapshot.observed.workloads.get(stable.revision), raised(draft, snapshot)
    if bounds is None or workload is None or not workload.is_ready:
        return draft
    own = spec.server.replicas
    why = told(shortage(draft.status, spec))
    adaptation = AdaptationStatus(
        min=bounds.min,
        max=bounds.max or bounds.min,
        own_min=held.own_min if held else own.min,
        own_max=held.own_max if held else own.max,
        times=held.times + 1 if held else 1,
        at=snapshot.now,
        message=clip(why, BRIEF),
    )
    draft = draft.with_status(adaptation=adaptation).with_due(_rests(spec, adaptation))
    said = f"replicas are raised from {_spell(own)} to {_spell(bounds)}: {why}"
    return draft.with_event(Severity.NORMAL, "ReplicasRaised", said)


def raised(draft: Draft, snapshot: Snapshot) -> Replicas | None:
    """The bounds that would be next; None at the limit, or before stable runs."""
    spec, stable = snapshot.spec, draft.status.stable
    workload = snapshot.observed.workloads.get(stable.revision) if stable else None
    if spec is None or workload is None or workload.wanted == 0:
        return None
    own, runs = spec.server.replicas, workload.wanted
    most = own.max or own.min
    limit = spec.adapt.max_replicas or math.ceil(most * GROWTH) + 1
    more = min(limit, max(runs + 1, math.ceil(runs * GROWTH)))
    if runs >= most:
        return _bounds(own, more if own.min == most else own.min, more) if more > most else None
    least = min(most, more)
    return _bounds(own, least, most) if least > own.min else None


class Advice(NamedTuple):
    """What is said while capacity lacks: in a word for programs, why, and what is done or can be."""

    reason: str
    why: str
    what: str


def advice(status: ModelDeploymentStatus, snapshot: Snapshot) -> Advice | None:
    """What is said while capacity lacks; None while it doesn't."""
    spec = snapshot.spec
    short = shortage(status, spec) if spec else []
    if spec is None or not short:
        return None
    why = f"{told(short)}; inputs and outputs are as before"
    held, more = status.adaptation, raised(Draft(status), snapshot)
    if spec.adapt.mode is AdaptMode.AUTOMATIC:
        if held and (more or _rests(spec, held) > snapshot.now):
            return Advice("Raised", why, f"replicas are raised to {_spell(spec.server.replicas)}")
        if more:
            return Advice("Raising", why, "replicas are raised once those asked for are ready")
    if more is None:
        allowed = f"{_spell(spec.server.replicas)} are as many as spec.adapt.maxReplicas allows"
        return Advice("LimitReached", why, f"{allowed}; raise it, or spec.server.resources")
    bounds = f"{{min: {more.min}, max: {more.max}}}"
    automatic = f"spec.adapt: {{mode: Automatic, maxReplicas: {more.max}}}"
    return Advice("Suggested", why, f"set spec.server.replicas: {bounds}, or have it done by {automatic}")


def _holds(spec: ModelDeploymentSpec, held: AdaptationStatus) -> bool:
    own = spec.server.replicas
    return spec.adapt.mode is AdaptMode.AUTOMATIC and (own.min, own.max) == (held.own_min, held.own_max)


def _rests(spec: ModelDeploymentSpec, held: AdaptationStatus) -> datetime:
    """When the next raise may come."""
    return after(held.at, seconds(spec.adapt.cooldown))


def _bounds(own: Replicas, least: int, most: int) -> Replicas:
    return own.model_copy(update={"min": least, "max": most})


def _spell(bounds: Replicas) -> str:
    most = bounds.max or bounds.min
    return f"{bounds.min} to {most} pods" if most > bounds.min else f"{bounds.min} pods"
