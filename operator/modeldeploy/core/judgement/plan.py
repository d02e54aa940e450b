"""What a metric of the spec means for the statistics: which counts, which limits, how sure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from modeldeploy.api.quantity import fraction, magnitude
from modeldeploy.api.v1alpha1.drift import Drift, ReferenceSource
from modeldeploy.api.v1alpha1.monitoring import Category, Metric, Preset, Proof
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core.judgement.counters import Parts
from modeldeploy.core.judgement.presets import COUNTED_OVER, PRESETS, Kind, Unit
from modeldeploy.core.judgement.queries import BUCKET_FAMILY
from modeldeploy.core.judgement.sources import (
    AMONG,
    ASKED,
    CONTAINER_CPU,
    COUNT,
    COUNTED,
    GRPC,
    PROCESS_CPU,
    SUM,
    TOTAL,
    Family,
    has_mean_only,
)

__all__ = ["Kind", "Limit", "Plan", "plan", "plans", "share", "threshold", "value"]

JUDGED = frozenset({Kind.SHARE, Kind.LATENCY})
"""What has counts to judge by; of all else a number is held against a number."""
COMPARE, LEAST = "compare", "least"
"""Names of the evidence that the candidate has too much of something, or too little, beside stable."""
QUANTILES = {Preset.LATENCY_P50: 0.5, Preset.LATENCY_P95: 0.95, Preset.LATENCY_P99: 0.99}

DETECTABLE = 2.0
"""Times its bound that a candidate isn't at once it has passed, unless its metric says something else."""

FAILED = ("5", f"{AMONG}5", *(f"{GRPC}{status}" for status in (2, 4, 12, 13, 14, 15)))
"""Answers that are the server's fault: HTTP's 5xx; gRPC's UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED,
INTERNAL, UNAVAILABLE and DATA_LOSS (OpenTelemetry, "Semantic conventions for gRPC", server spans' status)."""


@dataclass(frozen=True, slots=True)
class Limit:
    """An absolute bound as a rate that must not be exceeded.

    Attributes:
        name: `max` or `min`.
        rate: The bound; of a `min`, the share of requests *without* the event.
    """

    name: str
    rate: float

    def events(self, events: float, requests: float) -> float:
        """What counts against the bound."""
        return requests - events if self.name == "min" else events


@dataclass(frozen=True)
class Plan:
    """One metric, understood.

    Attributes:
        metric: As in spec.
        kind: What stands behind its number.
        family: The counters it is taken from; None for a user's own query.
        limits: Absolute bounds on a share; of a latency, on the share above its bound.
        ratio: Candidate's rate (or value) over stable's at most, or None.
        least: Candidate's rate (or value) over stable's at least, or None.
        quantile: Of a latency.
        low: Lower bound of a mean or a gauge.
        high: Upper bound of a mean or a gauge, in its own unit; of a latency, in milliseconds.
        drift: Bounds of a distance.
        part: Of a share, what counts among a family's parts; empty where the family has but one.
        edge: Of a share of a histogram, the value below which an observation counts; None of any other.
    """

    metric: Metric
    kind: Kind
    family: Family | None
    limits: tuple[Limit, ...] = ()
    ratio: float | None = None
    quantile: float = 0.0
    low: float | None = None
    high: float | None = None
    least: float | None = None
    part: str = ""
    edge: float | None = None
    drift: Drift | None = None

    @property
    def blames_by_drift(self) -> bool:
        """Whether it holds the candidate against stable, of which inputs say nothing."""
        if self.drift is None or self.metric.category is Category.INPUT:
            return False
        return self.drift.reference.source is ReferenceSource.STABLE

    @property
    def window(self) -> float | None:
        """Seconds over which values are taken, where `monitoring.window` doesn't say."""
        return COUNTED_OVER if self.kind is Kind.COUNT else None

    @property
    def tests(self) -> int:
        """Chances of a false breach that must share alpha; inputs blame nobody."""
        if self.metric.category is Category.INPUT:
            return 0
        judged = len(self.limits) + len(self.comparisons) if self.kind in JUDGED else 0
        return judged + self.blames_by_drift

    @property
    def comparisons(self) -> tuple[str, ...]:
        """Bounds relative to stable, by the names that their evidence has."""
        known = {COMPARE: self.ratio, LEAST: self.least}
        return tuple(name for name, bound in known.items() if bound is not None)

    @property
    def detect(self) -> float:
        """What a pass must exclude, in times of the bound (a rate's odds, a comparison's ratio)."""
        if self.metric.evidence is Proof.NON_INFERIOR:
            return 1.0
        return DETECTABLE if self.metric.detect is None else max(1.0, float(self.metric.detect))

    @cached_property
    def fingerprint(self) -> str:
        """Changes when evidence gathered so far no longer speaks of the same bounds.

        Of drift the counts are kept, and they serve any bounds.
        """
        if self.drift is not None:
            return f"{self.kind} {self.family} {self.drift.reference.source}"
        return (
            f"{self.kind} {self.family} {self.limits} {self.ratio} {self.quantile} {self.low} {self.high} "
            f"{self.least} {self.part} {self.edge} {self.detect}"
        )


def plans(spec: ModelDeploymentSpec) -> tuple[Plan, ...]:
    """The metrics, understood, in spec's order."""
    if has_mean_only(spec):
        return tuple(plan(metric, mean_only=True) for metric in spec.monitoring.metrics)
    return tuple(plan(metric) for metric in spec.monitoring.metrics)


@lru_cache(maxsize=4096)
def plan(metric: Metric, *, mean_only: bool = False) -> Plan:
    """The metric, understood.

    Args:
        metric: As in spec.
        mean_only: Nothing is known of latencies but their mean, which is then held against their bounds.
    """
    low, high = value(metric.min), value(metric.max)
    ratio = _times(metric.compare.max_ratio) if metric.compare else None
    least = _times(metric.compare.min_ratio) if metric.compare else None
    if metric.ratio is not None:
        part = f"{metric.ratio.numerator} / {metric.ratio.denominator}"
        return Plan(metric, Kind.SHARE, None, _limits(low, high), ratio, least=least, part=part)
    if metric.preset is None:
        return Plan(metric, Kind.GAUGE, None, (), ratio, low=low, high=high, least=least)
    if metric.drift is not None:
        return Plan(metric, Kind.DRIFT, BUCKET_FAMILY.get(metric.preset), drift=metric.drift)
    facts = PRESETS[metric.preset]
    family = facts.family
    if facts.unit is Unit.DURATION:
        high = None if high is None else round(high * 1000, 6)
    if facts.kind in {Kind.MEAN, Kind.COUNT} or (mean_only and facts.kind is Kind.LATENCY):
        kind = Kind.MEAN if facts.kind is Kind.LATENCY else facts.kind
        return Plan(metric, kind, family, (), ratio, low=low, high=high, least=least)
    if facts.kind is Kind.LATENCY:
        quantile = QUANTILES[metric.preset]
        limits = () if high is None else (Limit("max", 1.0 - quantile),)
        return Plan(metric, Kind.LATENCY, family, limits, ratio, quantile, high=high)
    part, edge = metric.event or metric.output_class or "", value(metric.below)
    return Plan(metric, Kind.SHARE, family, _limits(low, high), ratio, least=least, part=part, edge=edge)


def _limits(low: float | None, high: float | None) -> tuple[Limit, ...]:
    """Bounds of a share."""
    bounds = [] if high is None else [Limit("max", min(1.0, max(0.0, high)))]
    if low is not None:
        bounds.append(Limit("min", 1.0 - min(1.0, max(0.0, low))))
    return tuple(bounds)


def _times(ratio: int | str | None) -> float | None:
    return None if ratio is None else float(ratio)


def value(bound: int | str | None) -> float | None:
    """A bound as a number; None without one, and for nonsense such as `-5ms`, which `problems` tells."""
    if bound is None:
        return None
    try:
        return magnitude(bound)
    except (ValueError, OverflowError):
        return None


def threshold(spec: ModelDeploymentSpec) -> float:
    """The e-value at which a bound counts as broken: 1 over the metric's share of `rollout.falseRollback`.

    Shared evenly over all tests that can blame a candidate (Bonferroni), so the promise holds however they
    hang together. Inputs come from callers, blame nobody and so cost nothing.
    """
    tests = sum(planned.tests for planned in plans(spec))
    return max(1, tests) / max(1e-6, fraction(spec.rollout.false_rollback))


SECONDS = " seconds"
"""The part that says how long a family's pods were counted, summed over them; no label begins so."""


def share(family: Family, parts: Parts, part: str = "") -> tuple[float, float]:
    """Events and requests (or a sum and a count) among a family's increments.

    A ratio's two counters are incremented one after the other by the server, so a scrape in between can catch
    the event without its request; it is then left for the next look to even out.

    Args:
        family: Whose increments they are.
        parts: By part.
        part: What counts as an event, where the family has several: feedback and classes.
    """
    read = _READ.get(family, _sum_and_count)
    return read(parts, part)


def _answers(parts: Parts, _part: str) -> tuple[float, float]:
    requests = sum(count for name, count in parts.items() if not name.startswith((GRPC, AMONG, SECONDS)))
    return min(requests, sum(parts.get(name, 0.0) for name in FAILED)), requests


def _sum_and_count(parts: Parts, _part: str) -> tuple[float, float]:
    return _ending(parts, SUM) + parts.get(TOTAL, 0.0), _ending(parts, COUNTED) + parts.get(COUNT, 0.0)


def _per_second(parts: Parts, _part: str) -> tuple[float, float]:
    return _answers(parts, "")[1], parts.get(SECONDS, 0.0)


def _cores(parts: Parts, _part: str) -> tuple[float, float]:
    return parts.get(CONTAINER_CPU, parts.get(PROCESS_CPU, 0.0)), parts.get(SECONDS, 0.0)


def _level(parts: Parts, _part: str) -> tuple[float, float]:
    seconds = parts.get(SECONDS, 0.0)
    return sum(parts.values()) - seconds, seconds


def _missing(parts: Parts, _part: str) -> tuple[float, float]:
    requests = _ending(parts, "_values_total")
    return min(requests, _ending(parts, "_null_total") + _ending(parts, "_missing_total")), requests


def _labels(parts: Parts, _part: str) -> tuple[float, float]:
    labelled = _ending(parts, "_labelled_total")
    return min(labelled, _ending(parts, "_correct_total")), labelled


def _feedback(parts: Parts, part: str) -> tuple[float, float]:
    asked = parts.get(ASKED, 0.0)
    return min(asked, parts.get(part, 0.0)), asked


def _class(parts: Parts, part: str) -> tuple[float, float]:
    return parts.get(part, 0.0), sum(parts.values())


def _ending(parts: Parts, suffix: str) -> float:
    return sum(value for part, value in parts.items() if part.endswith(suffix))


_READ: Mapping[Family, Callable[[Parts, str], tuple[float, float]]] = {
    Family.REQUESTS: _answers,
    Family.THROUGHPUT: _per_second,
    Family.CPU: _cores,
    Family.IN_FLIGHT: _level,
    Family.MEMORY: _level,
    Family.GPU: _level,
    Family.RESTARTS: _level,
    Family.NULLS: _missing,
    Family.MISSING: _missing,
    Family.FEEDBACK: _feedback,
    Family.CLASSES: _class,
    Family.LABELS: _labels,
}
