"""Whole rollouts of candidates that are no worse, many at once: what their counters show, drawn by numpy.

Each is an hour of seven metrics after half an hour of stable alone, with all that usually goes wrong: events
in clumps, a daily cycle, weights that rise, containers that restart, scrapes that are missed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modeldeploy.core.judgement import Row
from modeldeploy.core.judgement.sources import Family
from unit.core.judgement.simulation import CANDIDATE, EDGES, SEVEN, STABLE

Array = NDArray[np.float64]

INTERVAL, HISTORY, SECONDS = 10.0, 1800.0, 3600.0
BEFORE = int(HISTORY / INTERVAL)
LOOKS = int(SECONDS / INTERVAL)
STEPS = (0.05, 0.2, 0.5)
"""The candidate's weights, a third of the hour each."""

METRICS = tuple(
    {**metric, "compare": {"maxRatio": "1.2"}} if metric["name"] == "nulls" else metric for metric in SEVEN
)
VALUES = 64
"""Values in an input."""

BOUNDS = {"errors": 0.01, "slow": 0.05, "nulls": 0.05, "missing": 0.02}
"""Of `METRICS`."""
SWING = 0.3
MISSED = 0.02
RESTARTED = 0.005
LOST = 0.5
"""Of the requests between a restart and the scrape before it, which nobody ever sees, this share at most."""


class Counts(NamedTuple):
    """One revision's counters on its router and on its pod, each of shape (rollouts, looks)."""

    requests: Array
    errors: Array
    slow: Array
    very_slow: Array
    answers: Array
    nulls: Array
    missing: Array


@dataclass(frozen=True)
class Drawn:
    """Counters of many rollouts. Look `BEFORE` is the first of the trial, at time 0.

    Attributes:
        counts: By revision.
        routed: Whether the router was scraped, (rollouts, looks).
        scraped: The same of a revision's pod.
    """

    counts: Mapping[str, Counts]
    routed: NDArray[np.bool_]
    scraped: Mapping[str, NDArray[np.bool_]]

    @property
    def rollouts(self) -> int:
        """How many there are."""
        return len(self.routed)

    def only(self, which: Sequence[int]) -> "Drawn":
        """Some of the rollouts."""
        return replace(
            self,
            counts={name: Counts(*(part[which] for part in one)) for name, one in self.counts.items()},
            routed=self.routed[which],
            scraped={name: seen[which] for name, seen in self.scraped.items()},
        )

    def rows(self, rollout: int, look: int, family: Family) -> Iterator[Row]:
        """What a question for a family's counters yields at a look."""
        for name in (STABLE, CANDIDATE)[: 1 + (look >= BEFORE)]:
            if family in {Family.REQUESTS, Family.LATENCY}:
                if self.routed[rollout, look]:
                    yield from _routed(name, family, self._at(name, rollout, look))
            elif self.scraped[name][rollout, look]:
                yield from _served(name, family, self._at(name, rollout, look))

    def _at(self, name: str, rollout: int, look: int) -> tuple[float, ...]:
        return tuple(float(part[rollout, look]) for part in self.counts[name])


def _routed(name: str, family: Family, counts: tuple[float, ...]) -> Iterator[Row]:
    requests, errors, slow, very_slow, *_ = counts
    if family is Family.REQUESTS:
        yield Row(name, "router-0", "2", requests - errors)
        yield Row(name, "router-0", "5", errors)
        return
    for edge in EDGES:
        slower = slow if edge < 400 else very_slow if edge < 900 else 0.0
        yield Row(name, "router-0", f"{edge:g}", requests - slower)
    yield Row(name, "router-0", "+Inf", requests)


def _served(name: str, family: Family, counts: tuple[float, ...]) -> Iterator[Row]:
    *_, answers, nulls, missing = counts
    for part, value in {
        Family.NULLS: {"model_output_null_total": nulls, "model_output_values_total": answers},
        Family.MISSING: {"model_input_missing_total": missing, "model_input_values_total": VALUES * answers},
        Family.SIZE: {"model_input_size_sum": VALUES * answers, "model_input_size_count": answers},
        Family.BRIGHTNESS: {
            "model_input_brightness_sum": 120.0 * answers,
            "model_input_brightness_count": answers,
        },
    }.get(family, {}).items():
        yield Row(name, f"model-{name}", part, value)


def draw(rollouts: int, seed: int) -> Drawn:
    """Rollouts of candidates that are exactly as good as stable, both at the bounds when the cycle is up."""
    source = np.random.default_rng(seed)
    shape = (rollouts, BEFORE + LOOKS + 1)
    at = (np.arange(shape[1]) - BEFORE) * INTERVAL
    phase, clump = source.random((rollouts, 1)), source.choice([1, 3], (rollouts, 1))
    cycle = np.sin(2 * np.pi * (at / 86400 + phase))
    swing, load = 1.0 + SWING * cycle, 200.0 * INTERVAL * (1.0 + 0.5 * cycle)
    weight = np.where(at <= 0, 0.0, np.array(STEPS)[np.clip((at - INTERVAL) * 3 / SECONDS, 0, 2).astype(int)])
    rates = {part: bound / (1.0 + SWING) for part, bound in BOUNDS.items()}
    routed_anew = source.random(shape) < RESTARTED
    counts, scraped = {}, {}
    for name, share in ((STABLE, 1.0 - weight), (CANDIDATE, weight)):
        requests = source.poisson(load * share).astype(float)
        requests[:, 0] = 0.0
        found = {
            part: _events(source, requests * (VALUES if part == "missing" else 1), rate * swing, clump)
            for part, rate in rates.items()
        }
        very_slow = source.binomial(found["slow"].astype(int), 0.2).astype(float)
        served_anew = source.random(shape) < RESTARTED
        routed = [
            _cumulated(part, routed_anew) for part in (requests, found["errors"], found["slow"], very_slow)
        ]
        served = [_cumulated(part, served_anew) for part in (requests, found["nulls"], found["missing"])]
        counts[name] = Counts(*routed, *served)
        scraped[name] = _seen(source, shape)
    return Drawn(counts, _seen(source, shape), scraped)


def _seen(source: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.bool_]:
    seen: NDArray[np.bool_] = source.random(shape) >= MISSED
    seen[:, [0, BEFORE]] = True  # counters are there before they are counted from
    return seen


def _events(source: np.random.Generator, requests: Array, rate: Array, clump: NDArray[np.int64]) -> Array:
    """Binomial, or in clumps of a fixed size at the same mean."""
    drawn = source.binomial(requests.astype(int), np.broadcast_to(rate / clump, requests.shape)) * clump
    found: Array = np.minimum(requests, drawn).astype(float)
    return found


def _cumulated(grown: Array, anew: NDArray[np.bool_]) -> Array:
    """Counters, which begin at nothing where a container starts anew; what it counted is lost in part."""
    found, standing = np.empty_like(grown), np.zeros(len(grown))
    for look in range(grown.shape[1]):
        kept = np.floor(grown[:, look] * LOST)
        standing = np.where(anew[:, look], kept, standing + grown[:, look])
        found[:, look] = standing
    return found
