"""What was counted within a window, bin by bin, beside what it is compared with."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

from modeldeploy.api.v1alpha1.drift import ExpectedChange
from modeldeploy.core.drift.buckets import Histogram

BINS = 12
"""In a window. A change is sought from the beginning of each."""

_HOUR, _DAY = 3600.0, 86400.0
WEEK = 7 * _DAY


class Windows(NamedTuple):
    """Spans in seconds.

    Attributes:
        current: Over which values are taken.
        reference: Over which those of the previous version are.
    """

    current: float
    reference: float

    @property
    def bin(self) -> float:
        """One bin of the current window."""
        return self.current / BINS


WINDOWS = {
    ExpectedChange.SLOW: Windows(_DAY, WEEK),
    ExpectedChange.FAST: Windows(_HOUR, _DAY),
}


class Bin(NamedTuple):
    """Counts since a time, in seconds since 1970."""

    start: float
    mine: Histogram
    theirs: Histogram


@dataclass(frozen=True, slots=True)
class Window:
    """Bins in the order of time, each beginning at a multiple of its length.

    Attributes:
        bins: Those with observations.
    """

    bins: tuple[Bin, ...] = ()

    def after(self, mine: Histogram, theirs: Histogram, at: float, span: Windows) -> Self:
        """The bins after a look; what is older than the window is gone."""
        start = math.floor(at / span.bin) * span.bin
        kept = [one for one in self.bins if one.start > at - span.current]
        if kept and kept[-1].start == start:
            last = kept[-1]
            kept[-1] = Bin(start, last.mine.plus(mine), last.theirs.plus(theirs))
        elif mine.n or theirs.n:
            kept.append(Bin(start, mine, theirs))
        return type(self)(tuple(kept))

    def suffixes(self) -> list[tuple[Histogram, Histogram]]:
        """All that was counted from each bin on, the oldest first; where buckets changed, since they did."""
        return list(self._backwards())[::-1]

    def _backwards(self) -> Iterator[tuple[Histogram, Histogram]]:
        mine, theirs = Histogram(), Histogram()
        for one in reversed(self.bins):
            mine, theirs = one.mine.plus(mine), one.theirs.plus(theirs)
            yield mine, theirs

    @property
    def whole(self) -> tuple[Histogram, Histogram]:
        """All of it."""
        suffixes = self.suffixes()
        return suffixes[0] if suffixes else (Histogram(), Histogram())
