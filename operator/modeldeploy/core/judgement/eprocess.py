"""Evidence that may be looked at after every scrape: e-processes.

An e-process is a non-negative statistic whose expectation under the null hypothesis is at most 1 whenever one
stops to look; by Ville's inequality it ever reaches 1/alpha with probability at most alpha. All of these are
mixtures of likelihood ratios over a grid of effects (method of mixtures: Robbins 1970; Howard, Ramdas,
McAuliffe, Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics
2021).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

WORSE = (1.1, 1.3, 1.6, 2.1, 3.1, 8.0)
"""Effects that a breach is sought at: odds (or ratios) this many times the bound's."""

FROM_START = (0.04, 0.05, 0.14, 0.42, 0.2, 0.15)
"""How likely each is held to be of a fault that is there from the beginning. Most on twice the bound: what is
far beyond shows within a few looks whatever its share, what is hardly beyond takes an hour anyway."""

LATER = (0.01, 0.01, 0.05, 0.28, 0.53, 0.12)
"""The same of a fault that begins later: after that a small one would have too little time left."""

EARLY = 0.55
"""The mass on a fault's being there from the beginning; the rest is on its beginning at some later look."""

HOUR = 3600.0
"""Seconds over which most later faults are expected to begin."""

WITHIN = 0.9
"""The share of later faults that begin within the first `HOUR`, evenly; of the others half within another, a
third of those left within one more, and so on."""

BETTER = (0.9, 0.7, 0.5, 0.25, 0.1, 0.01)
"""Effects that a pass is sought at, relative to what it must exclude: 0.5 of twice the bound is the bound."""

LIKELY = (0.03, 0.07, 0.22, 0.22, 0.21, 0.25)
"""How likely each of those is held to be."""

_CEILING = 1e12
_LARGEST_STEP = 60.0


def _factors(log_ratios: Sequence[float], dispersion: float) -> list[float]:
    return [math.exp(min(ratio / dispersion, _LARGEST_STEP)) for ratio in log_ratios]


def waiting(elapsed: float) -> float:
    """The mass, of 1, on a later fault's beginning after so many seconds of a trial."""
    return 1.0 - WITHIN * elapsed / HOUR if elapsed <= HOUR else (1.0 - WITHIN) * HOUR / elapsed


@dataclass(frozen=True, slots=True)
class Mixture:
    """Evidence against a bound, by effect: since the beginning, and since any later look.

    A part of the mass has been on the bound's being broken from the beginning, the rest on its being broken
    from a later look on, with a weight that is the mass `waiting` loses meanwhile. Without the second part an
    error that begins late must first make up for all the good time before it. Both parts, and so their mean,
    are e-processes: a likelihood ratio that starts at a look of its own is one, and 1 before that. (Restarts
    with a prior: Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change
    detection", New England Journal of Statistics in Data Science 2024.)

    Attributes:
        start: Products of likelihood ratios since the beginning, by effect, each with its weight.
        late: The restarted products so far, by effect, each with its weight.
        elapsed: Seconds of looks that told something.
    """

    start: tuple[float, ...] = FROM_START
    late: tuple[float, ...] = (0.0,) * len(WORSE)
    elapsed: float = 0.0

    def after(self, log_ratios: Sequence[float], dispersion: float, seconds: float) -> Self:
        """The evidence after a look.

        Args:
            log_ratios: Log likelihood ratios by effect, as in `WORSE`.
            dispersion: What each is divided by.
            seconds: Time between looks.
        """
        elapsed = self.elapsed + seconds
        begun = waiting(self.elapsed) - waiting(elapsed)
        factors = _factors(log_ratios, dispersion)
        return type(self)(
            tuple([min(value * factor, _CEILING) for value, factor in zip(self.start, factors, strict=True)]),
            tuple(
                [
                    min((value + begun * share) * factor, _CEILING)
                    for value, share, factor in zip(self.late, LATER, factors, strict=True)
                ]
            ),
            elapsed,
        )

    @property
    def value(self) -> float:
        """The e-value: 1 says nothing, 1/alpha proves a breach at level alpha."""
        return EARLY * sum(self.start) + (1.0 - EARLY) * (sum(self.late) + waiting(self.elapsed))


@dataclass(frozen=True, slots=True)
class Product:
    """Evidence since the beginning, by effect, without restarts: a pass must stand on all there was."""

    start: tuple[float, ...] = LIKELY

    def after(self, log_ratios: Sequence[float], dispersion: float) -> Self:
        """The evidence after a look's log likelihood ratios, by effect, each divided by the dispersion."""
        factors = _factors(log_ratios, dispersion)
        return type(self)(
            tuple([min(value * factor, _CEILING) for value, factor in zip(self.start, factors, strict=True)])
        )

    @property
    def value(self) -> float:
        """The e-value."""
        return sum(self.start)


@dataclass(frozen=True, slots=True)
class Detector:
    """Watches without an end: a mixture of Shiryaev-Roberts e-detectors over the effects.

    Each grows as (M + 1)·L. Its expectation after t looks is at most t while the bound holds, so that a
    threshold of c means c looks on average until a false alarm (Shin, Ramdas, Rinaldo 2024). Each is held
    below what would by itself be twice the threshold, which changes no first alarm and lets it come down
    again once the bound is kept.

    Attributes:
        sums: The statistic, by effect.
        standing: Whether the alarm stands: from reaching the threshold until falling below a tenth of it.
    """

    sums: tuple[float, ...] = (0.0,) * len(WORSE)
    standing: bool = False

    def after(self, log_ratios: Sequence[float], dispersion: float, threshold: float) -> Self:
        """The detector after a look's log likelihood ratios, by effect, each divided by the dispersion."""
        factors = _factors(log_ratios, dispersion)
        sums = tuple(
            [
                min((value + 1.0) * factor, 2.0 * threshold / share)
                for value, factor, share in zip(self.sums, factors, FROM_START, strict=True)
            ]
        )
        level = _level(sums)
        return type(self)(sums, level >= (threshold / 10 if self.standing else threshold))

    @property
    def level(self) -> float:
        """The statistic, mixed over the effects."""
        return _level(self.sums)


def _level(sums: Sequence[float]) -> float:
    return sum(share * value for share, value in zip(FROM_START, sums, strict=True))
