"""The history of drift's windows, read when nothing is remembered: coarsely, and the last minutes finely."""

from dataclasses import replace

from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.drift import ReferenceSource
from modeldeploy.api.v1alpha1.monitoring import Metric
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core.drift.clumps import Clumps
from modeldeploy.core.drift.measure import Drifting
from modeldeploy.core.judgement.drifting import windows
from modeldeploy.core.judgement.plan import plan
from modeldeploy.core.judgement.state import Evidence

FINE = 600.0
"""Seconds before now that history is read at every tick, so that it is known how values clump."""
FEWEST = 8
COARSE = 24
"""Looks in which the rest of a window is read."""


def lacks_history(evidence: Evidence, spec: ModelDeploymentSpec, at: float) -> bool:
    """Whether a window reaches back to before anything was remembered."""
    since = at - windows(spec).current
    return any(
        (evidence.judged(plan(metric)).drifting or Drifting()).begun > since for metric in _with_history(spec)
    )


def history_steps(spec: ModelDeploymentSpec, at: float) -> tuple[tuple[float, float, float], ...]:
    """From when until when a window's history is read, and how many seconds apart; the last at each tick."""
    interval, current = seconds(spec.monitoring.interval), windows(spec).current
    fine = min(current, max(FINE, FEWEST * interval))
    step = max(interval, current / COARSE)
    parts = [(at - fine, at, interval)]
    if step < current - fine:
        parts.insert(0, (at - current, at - fine, step))
    return tuple(parts)


def history_spec(spec: ModelDeploymentSpec, step: float) -> ModelDeploymentSpec:
    """The same with the metrics alone that have a history, looked at every `step` seconds."""
    update = {"metrics": _with_history(spec), "interval": f"{step:.3f}s"}
    return spec.model_copy(update={"monitoring": spec.monitoring.model_copy(update=update)})


def without_clumps(evidence: Evidence) -> Evidence:
    """The same with nothing known of clumps: looks far apart say nothing of them."""
    metrics = {
        name: replace(judged, drifting=replace(judged.drifting, mine=Clumps(), theirs=Clumps()))
        for name, judged in evidence.metrics.items()
        if judged.drifting is not None
    }
    return replace(evidence, metrics=metrics)


def with_history(evidence: Evidence, read: Evidence, spec: ModelDeploymentSpec) -> Evidence:
    """The evidence with the windows as they were read, up to the same look."""
    since = read.at - windows(spec).current
    metrics = dict(evidence.metrics)
    for metric in _with_history(spec):
        judged, found = metrics.get(metric.name), read.metrics.get(metric.name)
        if judged is not None and found is not None and found.drifting is not None:
            metrics[metric.name] = replace(judged, drifting=replace(found.drifting, begun=since))
    return replace(evidence, metrics=metrics)


def _with_history(spec: ModelDeploymentSpec) -> list[Metric]:
    """Drifts whose window is not that of a trial."""
    return [
        metric
        for metric in spec.monitoring.metrics
        if metric.drift is not None and metric.drift.reference.source is not ReferenceSource.STABLE
    ]
