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

WORSE = (1.05, 1.2, 1.5, 2.0, 3.0, 4.5, 7.0, 10.0)
"""Effects that a breach is sought at: odds (or ratios) this many times the bound's."""

BETTER = (0.5, 0.25, 0.1, 0.01)
"""Effects that a pass is sought at, relative to twice the bound: the bound, half of it, and nearly none."""

RESTARTS = 360.0
"""Looks over which the restart mixture spreads half of its mass, evenly to within a factor of 4."""

_CEILING = 1e12
_LARGEST_STEP = 60.0


@dataclass(frozen=True, slots=True)
class Mixture:
    """Evidence against a bound, by effect: since the beginning, and since any later look.

    Half of the mass has been on the bound's being broken from the beginning, half on its being broken from
    look s on, with weight c/((s-1+c)(s+c)) and c = `RESTARTS`; without the second half an error that begins
    late must first make up for all the good time before it. Both halves, and so their mean, are e-processes.

    Attributes:
        start: Product of likelihood ratios since the beginning, by effect.
        late: The restarted products so far, by effect, each with its weight.
        looks: Looks that told something.
    """

    start: tuple[float, ...] = (1.0,) * len(WORSE)
    late: tuple[float, ...] = (0.0,) * len(WORSE)
    looks: int = 0

    def after(self, log_ratios: Sequence[float], dispersion: float) -> Self:
        """The evidence after a look's log likelihood ratios, by effect, each divided by the dispersion."""
        begun = RESTARTS / ((self.looks + RESTARTS) * (self.looks + 1 + RESTARTS))
        factors = [math.exp(min(ratio / dispersion, _LARGEST_STEP)) for ratio in log_ratios]
        return type(self)(
            tuple([min(value * factor, _CEILING) for value, factor in zip(self.start, factors, strict=True)]),
            tuple(
                [
                    min((value + begun) * factor, _CEILING)
                    for value, factor in zip(self.late, factors, strict=True)
                ]
            ),
            self.looks + 1,
        )

    @property
    def value(self) -> float:
        """The e-value: 1 says nothing, 1/alpha proves a breach at level alpha."""
        waiting = RESTARTS / (self.looks + RESTARTS)
        return 0.5 * (sum(self.start) + sum(self.late)) / len(self.start) + 0.5 * waiting


@dataclass(frozen=True, slots=True)
class Product:
    """Evidence since the beginning, by effect, without restarts: a pass must stand on all there was."""

    start: tuple[float, ...] = (1.0,) * len(BETTER)

    def after(self, log_ratios: Sequence[float], dispersion: float) -> Self:
        """The evidence after a look's log likelihood ratios, by effect, each divided by the dispersion."""
        return type(self)(
            tuple(
                [
                    min(value * math.exp(min(ratio / dispersion, _LARGEST_STEP)), _CEILING)
                    for value, ratio in zip(self.start, log_ratios, strict=True)
                ]
            )
        )

    @property
    def value(self) -> float:
        """The e-value."""
        return sum(self.start) / len(self.start)


@dataclass(frozen=True, slots=True)
class Detector:
    """Watches without an end: a mixture of Shiryaev-Roberts e-detectors over the effects.

    Each grows as (M + 1)·L. Its expectation after t looks is at most t while the bound holds, so that a
    threshold of c means c looks on average until a false alarm (Shin, Ramdas, Rinaldo, "E-detectors: a
    nonparametric framework for sequential change detection", New England Journal of Statistics in Data
    Science 2024). The statistic is held below `limit`, which changes no first alarm and lets it come down
    again once the bound is kept.

    Attributes:
        sums: The statistic, by effect.
        standing: Whether the alarm stands: from reaching the threshold until falling below a tenth of it.
    """

    sums: tuple[float, ...] = (0.0,) * len(WORSE)
    standing: bool = False

    def after(self, log_ratios: Sequence[float], dispersion: float, threshold: float) -> Self:
        """The detector after a look's log likelihood ratios, by effect, each divided by the dispersion."""
        limit = 2.0 * threshold * len(self.sums)
        sums = tuple(
            [
                min((value + 1.0) * math.exp(min(ratio / dispersion, _LARGEST_STEP)), limit)
                for value, ratio in zip(self.sums, log_ratios, strict=True)
            ]
        )
        level = sum(sums) / len(sums)
        return type(self)(sums, level >= (threshold / 10 if self.standing else threshold))
