"""Keeping verdicts, and what they are good for: what blames a candidate, what stops it."""

from collections.abc import Sequence
from dataclasses import replace

from modeldeploy.api.quantity import spell_duration
from modeldeploy.api.v1alpha1.monitoring import Category, Metric
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import (
    MetricStatus,
    Verdict,
)
from modeldeploy.core import diagnosis
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.decision import Severity
from modeldeploy.core.draft import BRIEF, Draft, clip
from modeldeploy.core.judgement import BEYOND_WARN, bounds, span, statistic
from modeldeploy.core.snapshot import Snapshot

VALUE = 40
"""Longest value of a metric with its unit, in characters."""
BOUND, QUERY = 128, 512
"""Longest bound and question, likewise."""
WORST_FIRST = (
    Verdict.BREACH,
    Verdict.ERROR,
    Verdict.NO_DATA,
    Verdict.INCONCLUSIVE,
    Verdict.PASS,
    Verdict.NOT_APPLICABLE,
)


def unjudged(snapshot: Snapshot) -> Snapshot:
    """The same without verdicts: they speak of the rollout that ends here, not of what comes now."""
    return replace(snapshot, assessments=(), off_weight=None)


def record(draft: Draft, snapshot: Snapshot) -> Draft:
    """Keep the verdicts where any has changed (numbers that merely move write nothing); tell new breaches."""
    if snapshot.spec is None:
        return draft
    if not snapshot.assessments:
        return _forget_removed(draft, snapshot.spec)
    seen = [(entry.name, entry.verdict, entry.reason or "", entry.moved) for entry in draft.status.metrics]
    found = [(entry.name, entry.verdict, entry.reason, entry.movement) for entry in snapshot.assessments]
    if seen != found:
        draft = _tell(keep_numbers(draft, snapshot), snapshot, draft.status.metrics)
    return diagnosis.keep(draft, snapshot)


def _tell(draft: Draft, snapshot: Snapshot, seen: Sequence[MetricStatus]) -> Draft:
    """Tell what has moved since: breaches, shifts within the bounds, and what is beyond a warning."""
    known = {entry.name: entry for entry in seen}
    for entry in snapshot.assessments:
        before = known.get(entry.name)
        had_breached = before is not None and before.verdict is Verdict.BREACH
        if entry.verdict is Verdict.BREACH:
            if not had_breached:
                draft = draft.with_event(Severity.WARNING, "MetricBreached", entry.message or entry.name)
        elif entry.moved and not (before and before.moved):
            draft = draft.with_event(Severity.WARNING, "MetricShifted", entry.message or entry.name)
        if entry.reason == BEYOND_WARN and not had_breached and not (before and before.reason == BEYOND_WARN):
            draft = draft.with_event(Severity.NORMAL, "MetricBeyondWarn", entry.message)
    return draft


def keep_numbers(draft: Draft, snapshot: Snapshot) -> Draft:
    """Keep the verdicts with their numbers as they are now: at a transition."""
    if not snapshot.assessments or snapshot.spec is None:
        return draft
    written = {metric.name: metric for metric in snapshot.spec.monitoring.metrics}
    metrics = [
        MetricStatus(
            name=entry.name,
            verdict=entry.verdict,
            reason=entry.reason or None,
            candidate=clip(entry.candidate, VALUE) if entry.candidate else None,
            stable=clip(entry.stable, VALUE) if entry.stable else None,
            samples=entry.samples,
            message=clip(entry.message, BRIEF),
            moved=entry.movement,
            **_evidence(entry, written.get(entry.name), snapshot.spec),
            at=snapshot.now,
        )
        for entry in snapshot.assessments
    ]
    return draft.with_status(metrics=metrics, verdict=_worst(metrics))


def _evidence(entry: Assessment, metric: Metric | None, spec: ModelDeploymentSpec) -> dict[str, str]:
    """What a verdict stands on, for those who want to check it."""
    if metric is None:
        return {}
    basis, shift = entry.basis, entry.shift
    if shift is not None and entry.verdict is not Verdict.BREACH:
        judged = f"{shift.statistic}: {shift.value:.3g} of {shift.bound:.3g}"
    else:
        judged = statistic(metric, on_trial=entry.on_trial)
        judged += f": {basis.value:.3g} of {basis.needed:.3g}" if basis else ""
    return {
        "bound": clip(bounds(metric), BOUND),
        "statistic": judged,
        "span": spell_duration(basis.span) if basis else span(metric, spec),
        "query": clip(entry.query, QUERY),
    }


def breaches(snapshot: Snapshot) -> tuple[Assessment, ...]:
    """The breaches that can speak against a candidate: inputs come from callers and never do."""
    return tuple(
        entry
        for entry in snapshot.assessments
        if entry.verdict is Verdict.BREACH and entry.category is not Category.INPUT
    )


def _forget_removed(draft: Draft, spec: ModelDeploymentSpec) -> Draft:
    """Before a look there is nothing new to keep, but what spec no longer names must not go on speaking."""
    named = {metric.name for metric in spec.monitoring.metrics}
    kept = [entry for entry in draft.status.metrics if entry.name in named]
    if len(kept) == len(draft.status.metrics):
        return draft
    draft = draft.with_status(metrics=kept, verdict=_worst(kept))
    cause = draft.status.cause
    return draft.with_status(cause=None) if cause and not set(cause.metrics) & named else draft


def _worst(metrics: Sequence[MetricStatus]) -> str | None:
    if not metrics:
        return None
    worst = min(metrics, key=lambda entry: WORST_FIRST.index(entry.verdict))
    calm = worst.verdict in (Verdict.PASS, Verdict.NOT_APPLICABLE)
    return str(worst.verdict) if calm else f"{worst.verdict}: {worst.name}"
