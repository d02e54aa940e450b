"""One metric's drift: what is remembered of it, and what that says."""

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Self

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


def _measured(
    state: Drifting, drift: Drift, reference: Known | Trouble | None, threshold: float, first: int
) -> Measured:
    growing = drift.reference.source in GROWING
    mine, theirs = state.window.whole
    seen = Measured(n=mine.n)
    if isinstance(reference, Trouble):
        return replace(seen, trouble=reference)
    clumps: float | None = 1.0
    if reference is not None:
        theirs, clumps = reference
    elif growing:
        clumps = state.theirs.known
    if not mine.n or not theirs.n:
        return seen
    if mine.edges != theirs.edges:
        return replace(seen, trouble=_mismatch(mine, theirs))
    own = state.mine.known
    worth, other = mine.scaled(1.0 / (own or 1.0)), theirs.scaled(1.0 / (clumps or 1.0))
    size = distance.effect(drift.statistic, worth, other)
    wanted = _needed(drift, mine, theirs, math.inf if growing else other.n, threshold)
    seen = replace(
        seen,
        size=size,
        needed=None if wanted is None else math.ceil(wanted * (own or 1.0)),
        is_learning=own is None or clumps is None,
    )
    if size >= min(drift.fail, drift.fail if drift.warn is None else drift.warn):
        pairs = state.window.suffixes() if growing else [(one, theirs) for one, _ in state.window.suffixes()]
        logs = [
            evidence.log_e(a.scaled(1.0 / (own or 1.0)).counts, b.scaled(1.0 / (clumps or 1.0)).counts)
            for a, b in pairs
            if a.edges == b.edges
        ]
        value = evidence.process(logs, first) if first else evidence.detector(logs)
        seen = replace(seen, is_sure=value >= threshold)
    place = insensitive.crowded(theirs)
    if place is not None and insensitive.crowded(mine) == place:
        return replace(seen, trouble=Trouble(INSENSITIVE, insensitive.advice(theirs, place)))
    if wanted is None:
        short = (
            f"the reference has {theirs.n:.0f} observations, too few to ever show {drift.fail:g}; "
            "export one with more, or raise fail"
        )
        return replace(seen, trouble=Trouble(TOO_SMALL, short))
    return seen


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
