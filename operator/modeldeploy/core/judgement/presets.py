"""What each preset is: which counters, how they become a number, its unit, and what it speaks of."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from modeldeploy.api.v1alpha1.monitoring import Category, Preset
from modeldeploy.core.judgement.sources import Family


class Kind(StrEnum):
    """What stands behind a metric's number."""

    SHARE = "share"
    """Events among requests."""
    LATENCY = "latency"
    """A quantile, judged as the share of requests above the bound."""
    MEAN = "mean"
    """A sum and a count: a number without a known spread."""
    COUNT = "count"
    """Events within the window, each of which counts by itself."""
    GAUGE = "gauge"
    """A number that a user's query yields."""
    DRIFT = "drift"
    """The distance of a histogram from a reference's."""


class Unit(StrEnum):
    """What a bound is written in, and a value is shown in."""

    DURATION = "duration"
    PERCENT = "percent"
    BYTES = "bytes"
    NUMBER = "number"


class Facts(NamedTuple):
    """One preset.

    Attributes:
        categories: What it may be said to speak of, its usual one first.
        family: The counters it is taken from.
        kind: What stands behind its number.
        unit: Of its bounds.
        noun: What is counted.
    """

    categories: tuple[Category, ...]
    family: Family
    kind: Kind
    unit: Unit
    noun: str


_SOFTWARE, _INPUT, _OUTPUT = (Category.SOFTWARE,), (Category.INPUT,), (Category.OUTPUT,)
_USERS = (Category.OUTPUT, Category.QUALITY)
_LATENCY = Facts(_SOFTWARE, Family.LATENCY, Kind.LATENCY, Unit.DURATION, "requests")

PRESETS: Mapping[Preset, Facts] = {
    Preset.LATENCY_P50: _LATENCY,
    Preset.LATENCY_P95: _LATENCY,
    Preset.LATENCY_P99: _LATENCY,
    Preset.LATENCY_MEAN: Facts(_SOFTWARE, Family.LATENCY_MEAN, Kind.MEAN, Unit.DURATION, "requests"),
    Preset.ERROR_RATIO: Facts(_SOFTWARE, Family.REQUESTS, Kind.SHARE, Unit.PERCENT, "requests"),
    Preset.THROUGHPUT: Facts(_SOFTWARE, Family.THROUGHPUT, Kind.MEAN, Unit.NUMBER, "pod-seconds"),
    Preset.IN_FLIGHT: Facts(_SOFTWARE, Family.IN_FLIGHT, Kind.MEAN, Unit.NUMBER, "pod-seconds"),
    Preset.CPU: Facts(_SOFTWARE, Family.CPU, Kind.MEAN, Unit.NUMBER, "pod-seconds"),
    Preset.MEMORY: Facts(_SOFTWARE, Family.MEMORY, Kind.MEAN, Unit.BYTES, "seconds"),
    Preset.GPU: Facts(_SOFTWARE, Family.GPU, Kind.MEAN, Unit.PERCENT, "pod-seconds"),
    Preset.RESTARTS: Facts(_SOFTWARE, Family.RESTARTS, Kind.COUNT, Unit.NUMBER, "restarts"),
    Preset.INPUT_SIZE: Facts(_INPUT, Family.SIZE, Kind.MEAN, Unit.NUMBER, "inputs"),
    Preset.INPUT_VOLUME: Facts(_INPUT, Family.VOLUME, Kind.MEAN, Unit.NUMBER, "inputs"),
    Preset.MISSING_RATIO: Facts(_INPUT, Family.MISSING, Kind.SHARE, Unit.PERCENT, "values"),
    Preset.BRIGHTNESS: Facts(_INPUT, Family.BRIGHTNESS, Kind.MEAN, Unit.NUMBER, "inputs"),
    Preset.NULL_RATIO: Facts(_OUTPUT, Family.NULLS, Kind.SHARE, Unit.PERCENT, "answers"),
    Preset.FEEDBACK_RATIO: Facts(_USERS, Family.FEEDBACK, Kind.SHARE, Unit.PERCENT, "requests"),
    Preset.CONFIDENCE: Facts(_OUTPUT, Family.CONFIDENCE, Kind.MEAN, Unit.PERCENT, "answers"),
    Preset.LOW_CONFIDENCE_RATIO: Facts(
        _OUTPUT, Family.CONFIDENCE_BUCKETS, Kind.SHARE, Unit.PERCENT, "answers"
    ),
    Preset.CLASS_RATIO: Facts(_OUTPUT, Family.CLASSES, Kind.SHARE, Unit.PERCENT, "answers"),
    Preset.ACCURACY: Facts(
        (Category.QUALITY, Category.OUTPUT), Family.LABELS, Kind.SHARE, Unit.PERCENT, "labels"
    ),
}
"""Every preset of the API."""

LEVELS = frozenset({Family.IN_FLIGHT, Family.MEMORY, Family.GPU})
"""Families of gauges: what stands there now is the value, and a smaller one is no reset."""
TIMED = frozenset({Family.THROUGHPUT, Family.CPU, Family.RESTARTS})
"""Families whose counters' growth is held against the time it took, by pod."""
COUNTED_OVER = 3600.0
"""Seconds over which what counts by itself is counted."""
LARGEST = frozenset({Family.MEMORY})
"""Levels of which the largest pod counts, which is the one that will be killed; of others the mean."""

LATENCIES = frozenset({Family.LATENCY, Family.LATENCY_MEAN})
"""Families in milliseconds."""
