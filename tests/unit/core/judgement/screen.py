"""The evidence on many rollouts at once, by numpy: a second implementation, without a line of the product's.

It says which of many thousand rollouts can have been rolled back at all; those, and a sample of the rest,
then go through the product itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unit.core.judgement.drawn import BEFORE, INTERVAL, LOOKS, Drawn
from unit.core.judgement.simulation import CANDIDATE, STABLE

Array = NDArray[np.float64]

EFFECTS = np.array([1.1, 1.3, 1.6, 2.1, 3.1, 8.0])
EARLY = 0.55 * np.array([0.04, 0.05, 0.14, 0.42, 0.2, 0.15])
LATE = 0.45 * np.array([0.01, 0.01, 0.05, 0.28, 0.53, 0.12])

TESTS = {
    ("errors", "max"): 0.01,
    ("errors", "compare"): 1.2,
    ("p95", "max"): 0.05,
    ("p99", "max"): 0.01,
    ("nulls", "max"): 0.05,
    ("nulls", "compare"): 1.2,
}
"""Bounds by metric and test, of `drawn.METRICS`."""
COUNTED = {
    "errors": ("requests", "errors"),
    "p95": ("timed", "slow"),
    "p99": ("timed", "very_slow"),
    "nulls": ("answers", "nulls"),
}
"""Counters of requests and of events, by metric."""


@dataclass
class Scatter:
    """Sums that the dispersion of events per look follows from, each of shape (rollouts,)."""

    looks: Array
    requests: Array
    events: Array
    squares: Array
    idle: Array

    @classmethod
    def of(cls, rollouts: int) -> "Scatter":
        return cls(*(np.zeros(rollouts) for _ in range(5)))

    def add(self, events: Array, requests: Array) -> None:
        """Sums fade with the time since the last look that had requests."""
        told = requests > 0
        self.idle += INTERVAL
        fade = np.where(told, np.exp(-self.idle / 3600.0), 1.0)
        for name, grown in (
            ("looks", told * 1.0),
            ("requests", requests),
            ("events", events),
            ("squares", events**2 / np.maximum(requests, 1.0)),
        ):
            setattr(self, name, getattr(self, name) * fade + grown)
        self.idle = np.where(told, 0.0, self.idle)

    def estimate(self, errors: float) -> Array:
        """The dispersion less so many standard errors, 1 to 5; NaN while too little was seen."""
        mean = self.events / np.maximum(self.requests, 1.0)
        plain = (self.squares / np.maximum(mean, 1e-12) - self.events) / np.maximum(self.looks - 1.0, 1e-12)
        found = np.clip(plain * (1.0 - errors * np.sqrt(2.0 / np.maximum(self.looks, 1.0))), 1.0, 5.0)
        return np.where((self.looks >= 8) & (self.events >= 10), found, np.nan)


def growth(values: tuple[Array, ...], seen: NDArray[np.bool_]) -> list[Array]:
    """What each of a target's counters has grown by, look by look; a missed scrape shows at the next one.

    If one of them has fallen all began anew, and all that they count is growth.
    """
    counters = np.stack(values)
    before, grown = counters[:, :, 0].copy(), np.zeros_like(counters)
    for look in range(1, counters.shape[2]):
        now = counters[:, :, look]
        fell = (now < before).any(axis=0)
        grown[:, :, look] = np.where(seen[:, look], np.where(fell, now, now - before), 0.0)
        before = np.where(seen[:, look], now, before)
    return list(grown)


def looks(drawn: Drawn, name: str) -> dict[str, Array]:
    """A revision's increments by counter."""
    one = drawn.counts[name]
    # as the product has them: each family tells for itself whether its counters began anew
    good, errors = growth((one.requests - one.errors, one.errors), drawn.routed)
    faster, fast, requests = growth(
        (one.requests - one.slow, one.requests - one.very_slow, one.requests), drawn.routed
    )
    answers, nulls = growth((one.answers, one.nulls), drawn.scraped[name])
    nulls = np.minimum(answers, nulls)  # beginning anew twice in a row can hide
    return {
        "errors": errors,
        "requests": good + errors,
        "slow": np.maximum(0.0, requests - faster),
        "very_slow": np.maximum(0.0, requests - fast),
        "timed": requests,
        "answers": answers,
        "nulls": nulls,
    }


def peaks(drawn: Drawn) -> Mapping[tuple[str, str], Array]:
    """The largest e-value that each test ever reaches in each rollout."""
    found = {}
    grown = {name: looks(drawn, name) for name in (STABLE, CANDIDATE)}
    for metric, (asked, counted) in COUNTED.items():
        pairs = {name: (grown[name][counted], grown[name][asked]) for name in grown}
        for key, bound in TESTS.items():
            if key[0] == metric:
                found[key] = _peak(pairs, bound, compares=key[1] == "compare", warms=asked == "timed")
    return found


def _peak(pairs: Mapping[str, tuple[Array, Array]], bound: float, *, compares: bool, warms: bool) -> Array:
    rollouts = len(pairs[STABLE][0])
    scatter = {name: Scatter.of(rollouts) for name in pairs}
    start, late = np.tile(EARLY, (rollouts, 1)), np.zeros((rollouts, len(EFFECTS)))
    elapsed, peak = np.zeros(rollouts), np.zeros(rollouts)
    warm = {name: np.full(rollouts, not warms) for name in pairs}
    for look in range(1, BEFORE + LOOKS + 1):
        now = {}
        for name, (events, requests) in pairs.items():
            asked = requests[:, look]
            counts = warm[name] & (asked > 0)
            warm[name] |= asked > 0  # latencies of the first look are ignored
            now[name] = np.where(counts, events[:, look], 0.0), np.where(counts, asked, 0.0)
        if look > BEFORE:
            spread = np.fmax(scatter[STABLE].estimate(0.0), scatter[CANDIDATE].estimate(1.0))
            ratios, told = _ratios(now, bound, compares=compares)
            factors = np.exp(np.minimum(ratios / np.nan_to_num(spread, nan=1.0)[:, None], 60.0))
            begun = np.where(told, _waiting(elapsed) - _waiting(elapsed + INTERVAL), 0.0)
            start = np.where(told[:, None], start * factors, start)
            late = np.where(told[:, None], (late + begun[:, None] * LATE) * factors, late)
            elapsed = elapsed + told * INTERVAL
            value = start.sum(axis=1) + late.sum(axis=1) + 0.45 * _waiting(elapsed)
            peak = np.maximum(peak, value)
        for name, (events, requests) in now.items():
            scatter[name].add(events, requests)
    return peak


def _ratios(
    now: Mapping[str, tuple[Array, Array]], bound: float, *, compares: bool
) -> tuple[Array, NDArray[np.bool_]]:
    """Log likelihood ratios by effect, and whether the look tells anything."""
    (theirs, stable), (mine, candidate) = now[STABLE], now[CANDIDATE]
    if compares:
        told = (stable > 0) & (candidate > 0)
        base = (bound * candidate / np.maximum(stable, 1.0))[:, None]
        share, null = EFFECTS * base / (1.0 + EFFECTS * base), base / (1.0 + base)
        told_null = np.where(null > 0, null, 0.5), np.where(share > 0, share, 0.5)
        ratios = mine[:, None] * np.log(told_null[1] / told_null[0])
        return ratios + theirs[:, None] * np.log((1.0 - share) / (1.0 - null)), told
    rates = EFFECTS * bound / (1.0 - bound + EFFECTS * bound)
    others = candidate - mine
    ratios = mine[:, None] * np.log(rates / bound)
    return ratios + others[:, None] * np.log((1.0 - rates) / (1.0 - bound)), candidate > 0


def _waiting(elapsed: Array) -> Array:
    return np.where(elapsed <= 3600.0, 1.0 - 0.9 * elapsed / 3600.0, 0.1 * 3600.0 / np.maximum(elapsed, 1.0))
