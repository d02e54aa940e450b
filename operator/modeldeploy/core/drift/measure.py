"""One metric's drift: what is remembered of it, and what that says."""

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple, Self

from modeldeploy.api.v1alpha1.drift import Drift, ReferenceSource
from modeldeploy.core.drift import distance, evidence, insensitive
from modeldeploy.core.drift.buckets import Histogram, spell
from modeldeploy.core.drift.clumps import Clumps
from modeldeploy.core.drift.reference import Known, Trouble
from modeldeploy.core.drift.window import Window, Windows

RUN_LENGTH = 90 * 86400.0
"""Seconds on average between false alarms of one metric, where there is no end."""

STANDING = 0.8
"""Share of a threshold below which the distance must fall before what it raised is over."""

MISMATCH, TOO_SMALL, INSENSITIVE = "ReferenceMismatch", "ReferenceTooSmall", "DriftInsensitive"

GROWING = frozenset({ReferenceSource.STABLE, ReferenceSource.LAST_WEEK})
"""References that are counted along, look by look."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the window says.

    Attributes:
        size: The distance, less chance; None while it can't be told.
        n: Observations in the window.
        needed: Observations at which a change of `fail` would have shown; None if it never will.
        is_sure: The evidence that anything moved is beyond chance, however often one looks.
        is_learning: How values clump is not known yet, so nothing is concluded.
        trouble: Why there is nothing to compare with, or why it wouldn't show.
    """

    size: float | None = None
    n: float = 0.0
    needed: int | None = None
    is_sure: bool = False
    is_learning: bool = False
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Drifting:
    """What is remembered of one metric.

    Attributes:
        key: Whom it is about; of somebody else nothing is remembered.
        begun: Since when there is data, in seconds since 1970; history that was read counts.
        window: The counts.
        mine: How the values clump.
        theirs: How those of a reference that is counted along do.
        measured: As of the last look.
        warned: `warn` was reached, and has not been left.
        failed: `fail` was.
    """

    key: str = ""
    begun: float = math.inf
    window: Window = field(default_factory=Window)
    mine: Clumps = field(default_factory=Clumps)
    theirs: Clumps = field(default_factory=Clumps)
    measured: Measured = field(default_factory=Measured)
    warned: bool = False
    failed: bool = False

    def of(self, key: str, at: float) -> Self:
        """What is remembered of this one, from now on."""
        return self if self.key == key else type(self)(key, at)

    def after(self, mine: Histogram, theirs: Histogram, at: float, span: Windows, apart: float) -> Self:
        """The counts after a look; `apart` is the most seconds between looks that are neighbours."""
        return replace(
            self,
            begun=min(self.begun, at),
            window=self.window.after(mine, theirs, at, span),
            mine=self.mine.after(mine, at, apart),
            theirs=self.theirs.after(theirs, at, apart),
        )

    def judged(self, drift: Drift, reference: Known | Trouble | None, threshold: float, first: int) -> Self:
        """The same with what it says.

        Args:
            drift: The bounds.
            reference: Of a reference that isn't counted along.
            threshold: Of the evidence.
            first: In a trial, the number of the window's first bin since it began; 0 where there is no end.
        """
        found = _measured(self, drift, reference, threshold, first)
        size = found.size if found.is_sure and not found.is_learning else None
        standing = found.size is not None and not found.is_learning
        return replace(
            self,
            measured=found,
            warned=_reached(drift.warn, size) or (self.warned and standing and not _left(drift.warn, found)),
            failed=_reached(drift.fail, size) or (self.failed and standing and not _left(drift.fail, found)),
        )


def _reached(bound: float | None, size: float | None) -> bool:
    return bound is not None and size is not None and size >= bound


def _left(bound: float | None, found: Measured) -> bool:
    return bound is None or found.size is None or found.size < STANDING * bound


class _Pair(NamedTuple):
    """A window and what it is compared with.

    Attributes:
        suffixes: Both from each bin of the window on, all of it first.
        own: How the window's values clump; None while that isn't known.
        others: How the reference's do.
    """

    suffixes: list[tuple[Histogram, Histogram]]
    own: float | None
    others: float | None

    @classmethod
    def of(cls, state: Drifting, reference: Known | None, *, growing: bool) -> Self:
        found = state.window.suffixes() or [(Histogram(), Histogram())]
        if growing:
            return cls(found, state.mine.known, state.theirs.known)
        kept, clumps = reference or (Histogram(), 1.0)
        return cls([(mine, kept) for mine, _ in found], state.mine.known, clumps)

    def worth(self, mine: Histogram, theirs: Histogram) -> tuple[Histogram, Histogram]:
        """The same as counts of independent observations."""
        return mine.scaled(1.0 / (self.own or 1.0)), theirs.scaled(1.0 / (self.others or 1.0))


def _measured(
    state: Drifting, drift: Drift, reference: Known | Trouble | None, threshold: float, first: int
) -> Measured:
    growing = drift.reference.source in GROWING
    if isinstance(reference, Trouble):
        return Measured(n=state.window.whole[0].n, trouble=reference)
    pair = _Pair.of(state, reference, growing=growing)
    mine, theirs = pair.suffixes[0]
    if not mine.n or not theirs.n:
        return Measured(n=mine.n)
    if mine.edges != theirs.edges:
        return Measured(n=mine.n, trouble=_mismatch(mine, theirs))
    worth, other = pair.worth(mine, theirs)
    size = distance.effect(drift.statistic, worth, other)
    wanted = _needed(drift, mine, theirs, math.inf if growing else other.n, threshold)
    is_worth_it = size >= (drift.fail if drift.warn is None else drift.warn)
    return Measured(
        size=size,
        n=mine.n,
        needed=None if wanted is None else math.ceil(wanted * (pair.own or 1.0)),
        is_sure=is_worth_it and _evidence(pair, first) >= threshold,
        is_learning=pair.own is None or pair.others is None,
        trouble=_blindness(mine, theirs) or (None if wanted or growing else _too_small(drift, theirs)),
    )


def _evidence(pair: _Pair, first: int) -> float:
    """The e-value of the window; see `modeldeploy.core.drift.evidence`."""
    worth = (pair.worth(*both) for both in pair.suffixes if both[0].edges == both[1].edges)
    logs = [evidence.log_e(mine.counts, theirs.counts) for mine, theirs in worth]
    return evidence.process(logs, first) if first else evidence.detector(logs)


def _blindness(mine: Histogram, theirs: Histogram) -> Trouble | None:
    place = insensitive.crowded(theirs)
    if place is None or insensitive.crowded(mine) != place:
        return None
    return Trouble(INSENSITIVE, insensitive.advice(theirs, place))


def _too_small(drift: Drift, theirs: Histogram) -> Trouble:
    return Trouble(
        TOO_SMALL,
        f"the reference has {theirs.n:.0f} observations, too few to ever show {drift.fail:g}; "
        "export one with more, or raise fail",
    )


def _mismatch(mine: Histogram, theirs: Histogram) -> Trouble:
    return Trouble(
        MISMATCH,
        f"the reference has buckets {spell(theirs.edges)}, what is served has {spell(mine.edges)}; "
        "make the reference with the buckets of the server",
    )


def _needed(drift: Drift, mine: Histogram, theirs: Histogram, other: float, threshold: float) -> int | None:
    used = sum(1 for pair in zip(mine.counts, theirs.counts, strict=True) if any(pair))
    rounded = other if math.isinf(other) else float(f"{other:.2g}")
    return _observations(distance.as_psi(drift.statistic, drift.fail), used, rounded, round(threshold))


@lru_cache(maxsize=1024)
def _observations(psi: float, buckets: int, reference: float, threshold: float) -> int | None:
    return evidence.needed(psi, max(2, buckets), reference, threshold)
