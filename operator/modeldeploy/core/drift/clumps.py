"""How much more the shares of buckets vary from look to look than chance explains: values come in clumps.

A caller that sends one input ten times makes n ten times what it is worth. Counts are divided by this before
anything is concluded from them: quasi-likelihood (McCullagh, Nelder, "Generalized linear models", 1989,
chapters 4.5 and 9).
"""

import math
from dataclasses import dataclass, field
from typing import Self

from modeldeploy.core.drift.buckets import Histogram

MEMORY = 3600.0
"""Seconds over which it is remembered (time constant of an exponential decay)."""

NEIGHBOURS = 300.0
"""Seconds between two looks with observations that may be compared: scrapes may be rarer than looks."""

LARGEST = 20.0
"""What it is taken for at most."""

ENOUGH = 40.0
"""Degrees of freedom below which nothing is known: five looks at ten buckets."""


@dataclass(frozen=True, slots=True)
class Clumps:
    """Pearson's χ² of each look against the one before, over its expectation.

    Differences of neighbours don't notice a level that moves slowly, or once (von Neumann, "Distribution of
    the ratio of the mean square successive difference to the variance", Annals of Mathematical Statistics
    1941). Given both margins the expectation is (B - 1)·N/(N - 1), however thin the table.

    Attributes:
        at: Time of the last look with observations.
        last: Its counts.
        squares: Σ χ², decayed.
        expected: Σ of its expectations, decayed alike.
    """

    at: float = 0.0
    last: Histogram = field(default_factory=Histogram)
    squares: float = 0.0
    expected: float = 0.0

    def after(self, seen: Histogram, at: float, apart: float) -> Self:
        """The sums after a look; looks more than `apart` seconds from each other are no neighbours."""
        if not seen.n:
            return self
        squares, expected = self.squares, self.expected
        if self.last.edges == seen.edges and at - self.at <= apart:
            keep = math.exp(-max(0.0, at - self.at) / MEMORY)
            square, mean = _homogeneity(self.last, seen)
            squares, expected = squares * keep + square, expected * keep + mean
        return type(self)(at, seen, squares, expected)

    @property
    def known(self) -> float | None:
        """The size of clumps, 1 to `LARGEST`; None with too few looks to tell."""
        if self.expected < ENOUGH:
            return None
        return min(LARGEST, max(1.0, self.squares / self.expected))


def _homogeneity(one: Histogram, other: Histogram) -> tuple[float, float]:
    """χ² of two rows of counts being from the same distribution, and its expectation if they are."""
    n, m = one.n, other.n
    whole, square, used = n + m, 0.0, 0
    for mine, theirs in zip(one.counts, other.counts, strict=True):
        both = mine + theirs
        if both:
            used += 1
            square += (mine - both * n / whole) ** 2 / (both * n / whole)
            square += (theirs - both * m / whole) ** 2 / (both * m / whole)
    return (square, (used - 1) * whole / (whole - 1.0)) if whole > 1.0 else (0.0, 0.0)
