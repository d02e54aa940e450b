"""Whether requests reach the candidate as its weight says: a sequential binomial test.

A candidate that gets other requests than its share is not asked what stable is asked, and a comparison of the
two says nothing (a "sample ratio mismatch": Fabijan et al., "Diagnosing sample ratio mismatch in online
controlled experiments", KDD 2019).
"""

import math
from dataclasses import dataclass, field
from typing import Self

from modeldeploy.core.judgement.dispersion import ENOUGH_LOOKS, LARGEST, Dispersion
from modeldeploy.core.judgement.likelihood import of_rate

OFF = (1 / 4.5, 1 / 3, 1 / 2, 1 / 1.5, 1.5, 2.0, 3.0, 4.5)
"""Odds, relative to the weight's, that are looked for. Retries and answers under way shift a share a little,
which is no bias."""

ALPHA = 0.001
"""Chance per trial that a fair split is called biased, however often one looks."""

RESTARTS = 360.0
"""Looks over which the later half of the mass is spread, evenly to within a factor of 4."""

LARGEST_STEP, CEILING = 60.0, 1e12

HALF = 50
MANY = 100.0
"""Requests expected of a version after which it is strange that there are none."""

SETTLING = 30.0
"""Seconds after a change of weights in which requests may still be answered by the old ones."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The evidence that the candidate's share of requests is not its weight, two-sided.

    It is a mixture of likelihood ratios, divided by the dispersion of the share from look to look, as clients
    come with several requests at a time; nothing is said until that is known.

    Attributes:
        weight: In percent; another one starts anew.
        off: Products of likelihood ratios since the beginning, by effect.
        late: The same since later looks, each with its weight.
        looks: Looks that told something.
        spread: How the requests of the one with fewer vary among all, from look to look.
        candidate: Requests of the candidate.
        total: Requests of both.
    """

    weight: int = 0
    off: tuple[float, ...] = (1.0,) * len(OFF)
    late: tuple[float, ...] = (0.0,) * len(OFF)
    looks: int = 0
    spread: Dispersion = field(default_factory=Dispersion)
    candidate: float = 0.0
    total: float = 0.0

    def after(self, candidate: float, stable: float, weight: int, at: float) -> Self:
        """The evidence after a look's requests of both, at a time in seconds since 1970."""
        if weight != self.weight:
            return type(self)(weight).after(candidate, stable, weight, at)
        total = candidate + stable
        if not total:
            return self
        known, off, late, looks = self._dispersion, self.off, self.late, self.looks
        if known is not None:
            ratios = of_rate(candidate, total, weight / 100.0, OFF)
            factors = [math.exp(min(LARGEST_STEP, ratio / known)) for ratio in ratios]
            begun = _waiting(looks) - _waiting(looks + 1)
            off = tuple(min(CEILING, one * factor) for one, factor in zip(off, factors, strict=True))
            late = tuple(
                min(CEILING, (one + begun) * factor) for one, factor in zip(late, factors, strict=True)
            )
            looks += 1
        spread = self.spread.after(candidate if weight <= HALF else stable, total, at)
        return type(self)(weight, off, late, looks, spread, self.candidate + candidate, self.total + total)

    @property
    def value(self) -> float:
        """The e-value: half of the mass is on a bias from the beginning, half on one from a later look on."""
        return 0.5 * (sum(self.off) + sum(self.late)) / len(OFF) + 0.5 * _waiting(self.looks)

    @property
    def _dispersion(self) -> float | None:
        """Of the smaller part, whose share p is far from 1: Pearson's, for variances of n·p·(1-p).

        Where next to none of it came although many should have, nothing tells how they clump: the largest.
        """
        smaller = min(self.weight, 100 - self.weight) / 100.0
        known = self.spread.known
        if known is None:
            many = self.spread.looks >= ENOUGH_LOOKS and self.total * smaller >= MANY
            return LARGEST if many else None
        return known / (1.0 - smaller)

    @property
    def finding(self) -> str | None:
        """What is wrong with it, in words; None while nothing is shown to be."""
        if self.value < 1.0 / ALPHA:
            return None
        share = 100.0 * self.candidate / self.total
        return (
            f"the candidate answers {share:.1f}% of {self.total:.0f} requests at a weight of {self.weight}%"
        )


def _waiting(looks: int) -> float:
    """The mass, of 1, on a bias that begins after so many looks."""
    return RESTARTS / (looks + RESTARTS)
