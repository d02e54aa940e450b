"""From the window of a drift to its verdict, and to the sentence that explains it."""

from modeldeploy.api.quantity import spell_duration
from modeldeploy.api.v1alpha1.drift import Drift, ReferenceSource
from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.cause import Who
from modeldeploy.core.drift.measure import INSENSITIVE, Drifting, Measured
from modeldeploy.core.judgement.drifting import key, windows
from modeldeploy.core.judgement.plan import Plan
from modeldeploy.core.judgement.roles import Roles
from modeldeploy.core.judgement.state import Judged
from modeldeploy.core.judgement.wording import drift_bounds, noun, number, short, source

BEYOND_WARN = "BeyondWarn"


def assessed(
    planned: Plan, judged: Judged, roles: Roles, spec: ModelDeploymentSpec, now: float, stale_after: float
) -> Assessment:
    """The verdict on a drift; times in seconds since 1970, spans in seconds."""
    metric, state = planned.metric, judged.drifting or Drifting()
    if state.key != key(planned, roles, windows(spec)):
        state = Drifting()
    verdict, message, reason = _verdict(planned, judged, state, roles, now, stale_after)
    size = state.measured.size
    return Assessment(
        metric.name,
        metric.category,
        verdict,
        _whose(planned, roles),
        candidate=None if size is None else number(round(size, 4)),
        samples=round(state.measured.n),
        message=f"{metric.name}{message}"[:1024],
        holds=planned.blames_by_drift and verdict is not Verdict.NOT_APPLICABLE,
        reason=reason,
    )


def _whose(planned: Plan, roles: Roles) -> Who:
    """Held against the concurrent stable it is the candidate's alone; against the past, anybody's."""
    if roles.candidate is None:
        return Who.STABLE
    is_input = planned.metric.category is Category.INPUT
    beside = planned.drift is not None and planned.drift.reference.source is ReferenceSource.STABLE
    if planned.blames_by_drift or (is_input and beside):
        return Who.CANDIDATE
    return Who.BOTH if is_input else Who.UNSURE


def _verdict(
    planned: Plan, judged: Judged, state: Drifting, roles: Roles, now: float, stale_after: float
) -> tuple[Verdict, str, str]:
    """Verdict, message without the metric's name, and reason."""
    drift, measured = planned.drift, state.measured
    if drift is None or roles.subject is None:
        return Verdict.NOT_APPLICABLE, ": nothing serves yet", ""
    if drift.reference.source is ReferenceSource.STABLE and roles.candidate is None:
        return Verdict.NOT_APPLICABLE, ": compared with stable while a rollout runs", ""
    said = _said(planned, drift, measured)
    if state.failed:
        return Verdict.BREACH, said, ""
    unknown = _unknown(judged, measured, now, stale_after)
    if unknown is not None:
        return unknown
    waiting = _waiting(planned, drift, measured)
    if waiting:
        return Verdict.INCONCLUSIVE, waiting, ""
    return Verdict.PASS, said, BEYOND_WARN if state.warned else ""


def _unknown(
    judged: Judged, measured: Measured, now: float, stale_after: float
) -> tuple[Verdict, str, str] | None:
    """Why there is nothing to tell: no reference, no answer, no data, or buckets that would not show it."""
    trouble = measured.trouble
    if trouble is not None and trouble.reason != INSENSITIVE:
        return (
            Verdict.ERROR if trouble.reason else Verdict.NOT_APPLICABLE,
            f": {trouble.message}",
            trouble.reason,
        )
    if judged.failure is not None:
        return Verdict.ERROR, f": {judged.failure}", ""
    seen_at = max((track.seen_at or 0.0 for track in judged.tracks.values()), default=0.0)
    if judged.absence is not None and now - seen_at > stale_after:
        since = f" for {spell_duration(now - seen_at)}" if seen_at else ""
        return Verdict.NO_DATA, f": no data{since}, {judged.absence}", ""
    if trouble is not None:
        return Verdict.INCONCLUSIVE, f": {trouble.message}", trouble.reason
    return None


def _said(planned: Plan, drift: Drift, measured: Measured) -> str:
    """` PSI 0.31 of 4120 inputs against training (fail 0.25)`."""
    size = "unknown" if measured.size is None else f"{measured.size:.2f}"
    what = f"{short(drift)} {size} of {measured.n:.0f} {noun(planned)}"
    return f" {what} against {source(drift)} ({drift_bounds(drift)})"


def _waiting(planned: Plan, drift: Drift, measured: Measured) -> str | None:
    """Why nothing can be told yet; None if it can."""
    counted = f"{measured.n:.0f} {noun(planned)}"
    if measured.size is None:
        return f": {counted}, and nothing of {source(drift)} to compare with yet"
    if measured.is_learning:
        return f": {counted}; how they clump is not known yet"
    if measured.needed is not None and measured.n < measured.needed:
        return f": {measured.n:.0f} of {measured.needed} {noun(planned)} needed"
    is_open = measured.size >= drift.fail and not measured.is_sure
    return f"{_said(planned, drift, measured)}; not beyond chance yet" if is_open else None
