"""A gradual change: small deviations from a reference that add up.

CUSUM (Page, "Continuous inspection schemes", Biometrika 41, 1954) on the innovations of a first-order
autoregression. A series that depends on its past gives an ordinary CUSUM false alarms without end; its
innovations are independent (Harris and Ross, "Statistical process control procedures for correlated
observations", Canadian Journal of Chemical Engineering 69, 1991).

A daily and a weekly cycle are no change: a value is held against what runs beside it (the concurrent stable),
else against the same hour of the week before, or of the day before.
"""

import math
from array import array
from dataclasses import dataclass, replace
from typing import Self

HOUR = 3600.0
WEEK, DAY = 168, 24
"""Hours after which a cycle comes again."""

SLACK = 0.5
"""Sigma of an innovation that no change makes up: the best for a shift of twice as much."""

LIMIT = 9.0
"""Sum at which an alarm is raised. With independent looks a false one comes every 26,000 looks on average,
three years of hourly ones, for both sides together (the tests compute it)."""

STEADIEST = 0.95
"""The largest autocorrelation that is believed."""

ENOUGH = 24
"""Looks after which deviations and their dependence are known."""

MEMORY = 336.0
"""Looks over which they are remembered."""

WINSORISED = 3.0
"""Sigma that a deviation counts for at most when the spread is learned."""

FOLLOW = 0.25
"""Weight of the latest period in the reference, once several have been seen."""


@dataclass(frozen=True, slots=True)
class Innovations:
    """What a series of deviations with mean zero holds that its past didn't.

    Attributes:
        looks: Deviations seen.
        variance: Their mean square, exponentially weighted.
        covariance: The mean product of neighbours.
        last: The latest.
    """

    looks: int = 0
    variance: float = 0.0
    covariance: float = 0.0
    last: float = 0.0

    @property
    def steadiness(self) -> float:
        """The autocorrelation of neighbours, 0 to `STEADIEST`."""
        if self.variance <= 0.0:
            return 0.0
        return min(STEADIEST, max(0.0, self.covariance / self.variance))

    def score(self, deviation: float, least: float) -> float | None:
        """The innovation in sigma of innovations; None while too little is known.

        Args:
            deviation: From the reference.
            least: The smallest spread of deviations that is believed.
        """
        if self.looks < ENOUGH:
            return None
        held = self.steadiness
        spread = max(math.sqrt(self.variance), least, 1e-12) * math.sqrt(1.0 - held * held)
        return (deviation - held * self.last) / spread

    def after(self, deviation: float, least: float) -> Self:
        """The moments after one more deviation."""
        learned = deviation
        if self.looks >= ENOUGH:
            most = WINSORISED * max(math.sqrt(self.variance), least)
            learned = min(most, max(-most, deviation))
        looks = self.looks + 1
        weight = max(1.0 / looks, 1.0 / MEMORY)
        product = learned * self.last if self.looks else 0.0
        return type(self)(
            looks,
            self.variance + weight * (learned**2 - self.variance),
            self.covariance + weight * (product - self.covariance),
            learned,
        )


@dataclass(frozen=True, slots=True)
class Cusum:
    """Two one-sided sums, each held below twice the limit so that it can come down again.

    Attributes:
        up: Of what lay above.
        down: Of what lay below.
        up_since: When `up` last left zero: where a change, if there is one, began (Page's estimate).
        down_since: The same of `down`.
        side: Of the alarm that stands, from reaching the limit until falling below a half of it; 0 for none.
    """

    up: float = 0.0
    down: float = 0.0
    up_since: float = 0.0
    down_since: float = 0.0
    side: int = 0

    def after(self, score: float, at: float, *, slack: float = SLACK, limit: float = LIMIT) -> Self:
        """The sums after one more look, at a time in seconds since 1970."""
        up = min(2.0 * limit, max(0.0, self.up + score - slack))
        down = min(2.0 * limit, max(0.0, self.down - score - slack))
        standing = up if self.side > 0 else down if self.side < 0 else 0.0
        side = self.side if standing >= limit / 2.0 else 0
        if not side:
            side = 1 if up >= limit else -1 if down >= limit else 0
        return type(self)(
            up,
            down,
            self.up_since if self.up else at,
            self.down_since if self.down else at,
            side,
        )

    @property
    def since(self) -> float:
        """When the change of the alarm that stands began, in seconds since 1970."""
        return self.up_since if self.side > 0 else self.down_since

    @property
    def value(self) -> float:
        """The larger sum."""
        return max(self.up, self.down)


@dataclass(frozen=True, slots=True)
class Seasons:
    """What a series was in the same hour of the periods before.

    Attributes:
        period: Hours after which a cycle comes again, `WEEK` or `DAY`.
        means: By hour of the period, as floats of four bytes in hexadecimal, which is small; NaN for an hour
            that was never seen.
        seen: Hours taken in.
    """

    period: int = WEEK
    means: str = ""
    seen: int = 0

    def expected(self, at: float) -> float | None:
        """The value to expect in the hour of a time; None for an hour that was never seen."""
        if not self.means:
            return None
        value = array("f", bytes.fromhex(self.means))[self._place(at)]
        return None if math.isnan(value) else value

    def after(self, value: float, at: float) -> Self:
        """The same with the value of the hour of a time."""
        means = array("f", bytes.fromhex(self.means) or [math.nan] * self.period)
        place, periods = self._place(at), 1 + self.seen // self.period
        before = means[place]
        weight = 1.0 if math.isnan(before) else max(FOLLOW, 1.0 / periods)
        means[place] = value if weight == 1.0 else before + weight * (value - before)
        return replace(self, means=means.tobytes().hex(), seen=self.seen + 1)

    def _place(self, at: float) -> int:
        return int(at // HOUR) % self.period


@dataclass(frozen=True, slots=True)
class Gradual:
    """Watches a series, hour by hour, for a change that comes little by little.

    While an alarm stands neither reference nor spread is learned, else a change would become its own
    reference. One that has stood for a period is the new course: all is learned anew.

    Attributes:
        seasons: The reference where nothing runs beside it.
        innovations: Of the deviations from the reference.
        cusum: The evidence.
    """

    seasons: Seasons = Seasons()
    innovations: Innovations = Innovations()
    cusum: Cusum = Cusum()

    def after(self, value: float, at: float, *, beside: float | None = None, least: float = 0.0) -> Self:
        """The watch after one more hour.

        Args:
            value: The series' value in it.
            at: A time in it, in seconds since 1970.
            beside: What the concurrent reference was; None for the same hour of the periods before.
            least: The smallest spread of deviations that is believed.
        """
        if self.cusum.side and at - self.cusum.since > self.seasons.period * HOUR:
            return type(self)(Seasons(self.seasons.period).after(value, at))
        expected = self.seasons.expected(at) if beside is None else beside
        if expected is None:
            return replace(self, seasons=self.seasons.after(value, at))
        deviation = value - expected
        score = self.innovations.score(deviation, least)
        cusum = self.cusum if score is None else self.cusum.after(score, at)
        if cusum.side:
            return replace(self, cusum=cusum, innovations=replace(self.innovations, last=deviation))
        seasons = self.seasons if beside is not None else self.seasons.after(value, at)
        return type(self)(seasons, self.innovations.after(deviation, least), cusum)
