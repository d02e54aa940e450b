"""How much more events vary than chance explains: errors come in clumps."""

import math
from dataclasses import dataclass
from typing import Self

HISTORY = 3600.0
"""Seconds over which the dispersion is remembered (time constant of an exponential decay)."""

LARGEST = 5.0
"""What it is taken for at most. Beyond, it is no clumps but a time when everything was different (a node that
was busy starting pods), and to wait for many times the evidence for an hour would be worse than the rare
false alarm."""

ENOUGH_LOOKS = 8.0
"""Looks below which it is unknown."""

ENOUGH_EVENTS = 10.0
"""Events below which it is unknown."""


@dataclass(frozen=True, slots=True)
class Dispersion:
    """Pearson's dispersion of events per look: the mean of (k - n·p)²/(n·p) with p = Σk/Σn.

    1 for independent events, the mean size of clumps (weighted by size) for events in clumps. It is the
    variance over the mean of events per look when requests per look are equal, and isn't fooled when they are
    not (McCullagh, Nelder, "Generalized Linear Models", 1989, chapter 4.5). Log likelihood ratios are divided
    by it: quasi-likelihood.

    Attributes:
        at: Time of the last look that had requests.
        looks: Such looks, decayed like the sums below.
        requests: Σn.
        events: Σk.
        squares: Σk²/n.
    """

    at: float = 0.0
    looks: float = 0.0
    requests: float = 0.0
    events: float = 0.0
    squares: float = 0.0

    def after(self, events: float, requests: float, at: float) -> Self:
        """The sums after a look with requests."""
        keep = math.exp(-max(0.0, at - self.at) / HISTORY) if self.looks else 0.0
        return type(self)(
            at,
            self.looks * keep + 1.0,
            self.requests * keep + requests,
            self.events * keep + events,
            self.squares * keep + events * events / requests,
        )

    @property
    def known(self) -> float | None:
        """The dispersion, 1 to `LARGEST`; None with too few looks or events to tell."""
        found = self._estimate
        return None if found is None else min(LARGEST, max(1.0, found))

    @property
    def shown(self) -> float | None:
        """The same less one standard error of an estimate from so many looks, √(2/looks) of it.

        What few looks scatter would otherwise pass for clumps, and so would a rate that has just changed.
        """
        found = self._estimate
        if found is None:
            return None
        return min(LARGEST, max(1.0, found * (1.0 - math.sqrt(2.0 / self.looks))))

    @property
    def _estimate(self) -> float | None:
        if self.looks < ENOUGH_LOOKS or self.events < ENOUGH_EVENTS:
            return None
        mean = self.events / self.requests
        return (self.squares / mean - self.events) / (self.looks - 1.0)
