"""Numbers as people read them, with their units."""

from datetime import UTC, datetime

from modeldeploy.api.quantity import spell_duration
from modeldeploy.api.v1alpha1.drift import Drift, ReferenceSource, Statistic
from modeldeploy.api.v1alpha1.monitoring import Metric
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core.drift.course import How, Shift
from modeldeploy.core.drift.window import WINDOWS
from modeldeploy.core.judgement import histogram
from modeldeploy.core.judgement.plan import Kind, Plan, plan
from modeldeploy.core.judgement.presets import LATENCIES, PRESETS, Unit
from modeldeploy.core.judgement.state import Track

_SHORT = {
    Statistic.PSI: "PSI",
    Statistic.JENSEN_SHANNON: "Jensen-Shannon distance",
    Statistic.KOLMOGOROV_SMIRNOV: "Kolmogorov-Smirnov distance",
    Statistic.MEAN_SHIFT: "mean shift",
}
_SOURCES = {
    ReferenceSource.TRAINING: "training",
    ReferenceSource.STABLE: "stable",
    ReferenceSource.PREVIOUS: "the previous version",
    ReferenceSource.LAST_WEEK: "last week",
}
_FACTOR = 1024.0


def noun(planned: Plan) -> str:
    """What the metric counts."""
    if planned.metric.ratio is not None:
        return "requests"
    return PRESETS[planned.metric.preset].noun if planned.metric.preset else "looks"


def behind(planned: Plan, track: Track) -> str:
    """What stands behind its number: `of 412 answers`; empty for a number that stands alone."""
    if planned.kind is Kind.GAUGE:
        return ""
    if planned.kind is Kind.COUNT:
        return f"{noun(planned)} within the last hour"
    word = "of"
    if planned.kind is Kind.MEAN:
        word = "on average over" if planned.family in LATENCIES else "over"
    return f"{word} {track.recent.requests:.0f} {noun(planned)}"


def number(value: float) -> str:
    """A plain number, to four digits: `1200`, `0.4123`."""
    return f"{value:,.0f}".replace(",", "") if abs(value) >= 1000 else f"{value:.4g}"  # noqa: PLR2004 - four digits


def percent(share: float) -> str:
    """A share: `24.3%`, `0.12%`."""
    points = 100.0 * share
    return f"{points:.2f}%" if 0.0 < points < 1.0 else f"{points:.1f}%"


def milliseconds(value: float) -> str:
    """A latency in milliseconds: `8.4 ms`, `412 ms`, `2.31 s`."""
    if value >= 1000:  # noqa: PLR2004 - a second
        return f"{value / 1000:.2f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"  # noqa: PLR2004 - two digits


def measured(planned: Plan, track: Track | None) -> float | None:
    """A revision's value over the last `window`; None without one.

    A share as a fraction, a latency in milliseconds, anything else in its own unit.
    """
    if track is None:
        return None
    if planned.kind is Kind.GAUGE:
        return track.number
    if planned.kind is Kind.COUNT:
        return track.recent.events if track.recent.requests else None
    if planned.kind is Kind.LATENCY:
        return histogram.quantile(track.profile, planned.quantile)
    asked = track.recent.requests
    return track.recent.events / asked if asked else None


def value_of(planned: Plan, track: Track | None) -> str | None:
    """The same with its unit, for people."""
    value = measured(planned, track)
    return None if value is None else spell(planned, value)


def spell(planned: Plan, value: float) -> str:
    """A metric's value with its unit: `24.3%`, `412 ms`, `18.2`."""
    if planned.family in LATENCIES:
        return milliseconds(value)
    unit = PRESETS[planned.metric.preset].unit if planned.metric.preset else Unit.NUMBER
    if unit is Unit.BYTES:
        return memory(value)
    return percent(value) if unit is Unit.PERCENT or planned.kind is Kind.SHARE else number(value)


def memory(value: float) -> str:
    """Bytes: `412 Mi`, `1.3 Gi`."""
    if value >= _FACTOR**3:
        return f"{value / _FACTOR**3:.2f} Gi"
    return f"{value / _FACTOR**2:.0f} Mi"


def bounds(metric: Metric) -> str:
    """The bounds as the user wrote them: `max 5%, max ratio 1.2`, `PSI warn 0.1, fail 0.25`."""
    if metric.drift is not None:
        return f"{short(metric.drift)} {drift_bounds(metric.drift)}"
    parts = [
        f"{word} {bound}" for word, bound in (("min", metric.min), ("max", metric.max)) if bound is not None
    ]
    if metric.compare is not None and metric.compare.max_ratio is not None:
        parts.append(f"at most {metric.compare.max_ratio} times stable")
    if metric.compare is not None and metric.compare.min_ratio is not None:
        parts.append(f"at least {metric.compare.min_ratio} times stable")
    return ", ".join(parts)


def spell_shift(planned: Plan, shift: Shift) -> str:
    """How a metric came to where it is: `rose suddenly at 12:04 UTC on 2026-11-22 from 0.4%`."""
    way = {1: ("rose", "risen"), -1: ("fell", "fallen")}[shift.side]
    at = datetime.fromtimestamp(shift.since, UTC).strftime("%H:%M UTC on %Y-%m-%d")
    was = "" if shift.was is None else f" from {spell(planned, shift.was)}"
    if shift.how is How.SUDDEN:
        return f"it {way[0]} suddenly at {at}{was}"
    return f"it has {way[1]} gradually since {at}{was}"


def statistic(metric: Metric, *, on_trial: bool = False) -> str:
    """What finds a breach of the metric."""
    if metric.drift is not None:
        return f"{short(metric.drift)}, with an e-detector of two samples"
    kind = plan(metric).kind
    if kind is Kind.MEAN:
        return "mean over the window"
    if kind is Kind.COUNT:
        return "count over the last hour"
    if kind is Kind.GAUGE:
        return "latest value"
    return "e-process of a mixture" if on_trial else "Shiryaev-Roberts e-detector"


def reference(metric: Metric) -> str:
    """What it is held against once no rollout runs: `max 5%`, `training (fail 0.25)`."""
    if metric.drift is not None:
        return f"{source(metric.drift)} ({drift_bounds(metric.drift)})"
    return bounds(metric.model_copy(update={"compare": None}))


def span(metric: Metric, spec: ModelDeploymentSpec) -> str:
    """What the metric's value is taken over: `2m`, for a drift `1d`."""
    if metric.drift is None:
        return spec.monitoring.window
    return spell_duration(WINDOWS[spec.monitoring.expected_change].current)


def short(drift: Drift) -> str:
    """The statistic of a drift: `PSI`."""
    return _SHORT[drift.statistic]


def source(drift: Drift) -> str:
    """What a drift is measured from: `training`."""
    return _SOURCES[drift.reference.source]


def drift_bounds(drift: Drift) -> str:
    """The bounds of a drift: `warn 0.1, fail 0.25`."""
    return f"{'' if drift.warn is None else f'warn {drift.warn:g}, '}fail {drift.fail:g}"
