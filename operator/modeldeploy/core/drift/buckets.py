"""Histograms as Prometheus counts them: observations by bucket, and their sum."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

SHOWN = 4
"""Edges named on each side of a difference."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by bucket.

    Attributes:
        edges: Upper edges, rising, infinity the last.
        counts: Observations in each bucket, not cumulated; as many as edges. Fractions are allowed.
        total: Sum of all observed values; None where it is not known.
    """

    edges: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()
    total: float | None = None

    @classmethod
    def of_cumulative(cls, cumulative: Mapping[float, float], total: float | None = None) -> Self:
        """From counts at or below each edge, as series with the label `le` give them.

        Scrapes that miss one of the pods' increments can make a count smaller than the one before it; a
        negative difference counts as nothing.
        """
        edges = tuple(sorted(cumulative))
        below = (0.0, *(cumulative[edge] for edge in edges))
        counts = tuple(max(0.0, upper - lower) for lower, upper in pairwise(below))
        return cls(edges, counts, total)

    @property
    def n(self) -> float:
        """All observations."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """The mean: from the sum where it is known, else as if each bucket's mass lay in its middle."""
        if self.total is not None:
            return self.total / self.n
        return (
            sum(count * middle for count, (middle, _) in zip(self.counts, self._places, strict=True)) / self.n
        )

    @property
    def deviation(self) -> float:
        """The standard deviation, mass spread evenly within each bucket (which adds width²/12)."""
        mean = sum(c * middle for c, (middle, _) in zip(self.counts, self._places, strict=True)) / self.n
        squares = (
            count * ((middle - mean) ** 2 + width**2 / 12.0)
            for count, (middle, width) in zip(self.counts, self._places, strict=True)
        )
        return math.sqrt(sum(squares) / self.n)

    @property
    def _places(self) -> list[tuple[float, float]]:
        """Middle and width of each bucket; what has no end lies at its one edge."""
        found = []
        lower = min(0.0, self.edges[0]) if self.edges else 0.0
        for edge in self.edges:
            found.append((lower, 0.0) if math.isinf(edge) else ((lower + edge) / 2.0, edge - lower))
            lower = edge
        return found

    def plus(self, other: Self) -> Self:
        """Both together; of other buckets than these, only the other counts: it is the later one."""
        if self.edges != other.edges:
            return other if other.edges else self
        counts = tuple(mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True))
        known = self.total is not None and other.total is not None
        return type(self)(self.edges, counts, (self.total or 0.0) + (other.total or 0.0) if known else None)

    def scaled(self, factor: float) -> Self:
        """The same shape of so many times the observations."""
        total = None if self.total is None else self.total * factor
        return type(self)(self.edges, tuple(count * factor for count in self.counts), total)


def spell(edges: Sequence[float]) -> str:
    """Buckets as people read them: `1, +Inf`, `1, 2, 5, 10, … (14 with +Inf)`."""
    shown = ", ".join("+Inf" if math.isinf(edge) else f"{edge:g}" for edge in edges[:SHOWN])
    return f"{shown}, … ({len(edges)} with +Inf)" if len(edges) > SHOWN else shown
