"""A sudden change: several looks far off the level of late.

The rule is "3 of 5 beyond 3 sigma on one side", a supplementary runs rule T(3, 5, 3, inf) of a Shewhart chart
in the notation of Champ and Woodall, "Exact results for Shewhart control charts with supplementary runs
rules", Technometrics 29 (1987). One look far off is an accident, and never an alarm.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

LOOK = 60.0
"""Seconds that one look takes in."""

SIGMA = 3.0
AMONG = 5
ENOUGH_BEYOND = 3

ENOUGH = 60
"""Looks after which level and spread are known."""

MEMORY = 60.0
"""Looks over which the level is remembered: it follows a daily cycle, and no change within minutes."""

SPREAD_MEMORY = 1440.0
"""Looks over which the spread is remembered. It is taken about a level that lags behind a cycle, so that a
steep cycle widens it."""

LEAST = 0.01
"""The spread is at least this share of the level: a number that never changed is no ground for an alarm about
the last digit."""

HELD = 86400.0
"""Seconds after which what was a shock is the new level."""


@dataclass(frozen=True, slots=True)
class Level:
    """Where a series stood of late, and how it scatters: exponentially weighted moments.

    Deviations count as `SIGMA` sigma at most, so that what is to be found doesn't widen the spread first
    (winsorised, as in Huber, "Robust Statistics", 1981, chapter 5).

    Attributes:
        looks: Looks so far.
        mean: The level.
        variance: Mean square of the deviations from it.
        covariance: Mean product of neighbouring deviations.
        last: The latest deviation.
    """

    looks: int = 0
    mean: float = 0.0
    variance: float = 0.0
    covariance: float = 0.0
    last: float = 0.0

    def spread(self, chance: float = 0.0) -> float:
        """One sigma, at least what chance alone yields at this look."""
        return max(math.sqrt(self.variance), chance, LEAST * abs(self.mean), 1e-12)

    @property
    def dependence(self) -> float:
        """By how much more the mean of three neighbours scatters than that of three independent looks.

        With autocorrelation r of neighbours its variance is (1 + (4r + 2r²)/3) times as large. Looks that
        hang together are beyond together, so that the rule would give false alarms; its limit is so much
        wider.
        """
        r = min(1.0, max(0.0, self.covariance / self.variance)) if self.variance > 0.0 else 0.0
        return math.sqrt(1.0 + (4.0 * r + 2.0 * r * r) / 3.0)

    def score(self, value: float, chance: float = 0.0) -> float | None:
        """How many sigma a value is off, for independent looks; None while too little is known."""
        if self.looks < ENOUGH:
            return None
        return (value - self.mean) / (self.spread(chance) * self.dependence)

    def after(self, value: float, chance: float = 0.0) -> Self:
        """Level and spread after one more look."""
        if not self.looks:
            return type(self)(1, value)
        deviation = value - self.mean
        if self.looks >= ENOUGH:
            most = SIGMA * self.spread(chance)
            deviation = min(most, max(-most, deviation))
        looks = self.looks + 1
        follow, widen = max(1.0 / looks, 1.0 / MEMORY), max(1.0 / self.looks, 1.0 / SPREAD_MEMORY)
        return type(self)(
            looks,
            self.mean + follow * deviation,
            self.variance + widen * (deviation**2 - self.variance),
            self.covariance + widen * (deviation * self.last - self.covariance),
            deviation,
        )


@dataclass(frozen=True, slots=True)
class Shock:
    """Watches a series, look by look, for a sudden change.

    While an alarm stands the level stays as it was. The alarm ends when none of the last `AMONG` looks is
    beyond, or after `HELD` seconds, when a level is learned anew.

    Attributes:
        level: What looks are held against.
        beyond: Of the last `AMONG` looks the side on which each was beyond: -1, 1, or 0 for neither.
        side: Of the alarm that stands; 0 for none.
        since: When the first look of the alarm that stands was, in seconds since 1970.
        times: Of the looks in `beyond`.
    """

    level: Level = Level()
    beyond: tuple[int, ...] = ()
    side: int = 0
    since: float = 0.0
    times: tuple[float, ...] = ()

    def after(self, value: float, at: float, chance: float = 0.0) -> Self:
        """The watch after one more look.

        Args:
            value: The series' value.
            at: The look's time, in seconds since 1970.
            chance: Standard deviation that chance alone gives the value, e.g. of a share of few requests.
        """
        if self.side and at - self.since > HELD:
            return type(self)(Level().after(value, chance))
        score = self.level.score(value, chance)
        if score is None:
            return replace(self, level=self.level.after(value, chance))
        mark = 0 if abs(score) <= SIGMA else int(math.copysign(1, score))
        beyond, times = (*self.beyond, mark)[-AMONG:], (*self.times, at)[-AMONG:]
        side, since = self.side, self.since
        if side and not any(beyond):
            side = 0
        elif not side:
            side = next((one for one in (1, -1) if beyond.count(one) >= ENOUGH_BEYOND), 0)
            since = times[beyond.index(side)] if side else since
        level = self.level if side else self.level.after(value, chance)
        return replace(self, level=level, beyond=beyond, side=side, since=since, times=times)
