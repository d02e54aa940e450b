"""Keeping verdicts, and what they are good for: what blames a candidate, what stops it."""

from collections.abc import Sequence
from dataclasses import replace

from modeldeploy.api.v1alpha1.monitoring import Category, RolloutAction
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import (
    MetricStatus,
    Verdict,
)
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.decision import Severity
from modeldeploy.core.draft import BRIEF, Draft, clip
from modeldeploy.core.judgement import BEYOND_WARN
from modeldeploy.core.snapshot import Snapshot

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


def unjudged(snapshot: Snapshot) -> Snapshot:
    """The same without verdicts: they speak of the rollout that ends here, not of what comes now."""
    return replace(snapshot, assessments=())


def record(draft: Draft, snapshot: Snapshot) -> Draft:
    """Keep the verdicts where any has changed (numbers that merely move write nothing); tell new breaches."""
    if snapshot.spec is None:
        return draft
    if not snapshot.assessments:
        return _forget_removed(draft, snapshot.spec)
    seen = {entry.name: (entry.verdict, entry.reason or "") for entry in draft.status.metrics}
    found = {entry.name: (entry.verdict, entry.reason) for entry in snapshot.assessments}
    if list(seen.items()) == list(found.items()):
        return draft
    draft = keep_numbers(draft, snapshot)
    for entry in snapshot.assessments:
        before, reason = seen.get(entry.name, (None, ""))
        if entry.verdict is Verdict.BREACH and before is not Verdict.BREACH:
            draft = draft.with_event(Severity.WARNING, "MetricBreached", entry.message or entry.name)
        if entry.reason == BEYOND_WARN and reason != BEYOND_WARN and before is not Verdict.BREACH:
            draft = draft.with_event(Severity.NORMAL, "MetricBeyondWarn", entry.message)
    return draft


def keep_numbers(draft: Draft, snapshot: Snapshot) -> Draft:
    """Keep the verdicts with their numbers as they are now: at a transition."""
    if not snapshot.assessments:
        return draft
    metrics = [
        MetricStatus(
            name=entry.name,
            verdict=entry.verdict,
            reason=entry.reason or None,
            candidate=clip(entry.candidate, VALUE) if entry.candidate else None,
            stable=clip(entry.stable, VALUE) if entry.stable else None,
            samples=entry.samples,
            message=clip(entry.message, BRIEF),
            at=snapshot.now,
        )
        for entry in snapshot.assessments
    ]
    return draft.with_status(metrics=metrics, verdict=_worst(metrics))


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
