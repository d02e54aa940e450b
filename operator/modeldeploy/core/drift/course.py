"""The course of one metric of stable: whether it has shifted, since when, at once or little by little."""

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple, Self

from modeldeploy.core.drift.gradual import HOUR, LIMIT, Gradual
from modeldeploy.core.drift.shock import ENOUGH_BEYOND, LOOK, Shock


class How(StrEnum):
    """How a metric came to where it is."""

    SUDDEN = "sudden"
    GRADUAL = "gradual"


class Shift(NamedTuple):
    """A change that was found.

    Attributes:
        how: At once, or little by little.
        since: When it began, in seconds since 1970.
        side: 1 for a rise, -1 for a fall.
        was: The value before, in the metric's own unit; None if it isn't known any more.
        statistic: What found it.
        value: That statistic.
        bound: What it had to reach.
    """

    how: How
    since: float
    side: int
    was: float | None
    statistic: str
    value: float
    bound: float


class Bin(NamedTuple):
    """What was counted in a span that has begun."""

    begin: float = 0.0
    events: float = 0.0
    requests: float = 0.0

    @property
    def ratio(self) -> float:
        """Events per request; there must have been some."""
        return self.events / self.requests

    def with_more(self, events: float, requests: float) -> Self:
        """The same with one look more."""
        return self._replace(events=self.events + events, requests=self.requests + requests)


@dataclass(frozen=True, slots=True)
class Course:
    """Follows the ratio of two counts: by minutes for a shock, by hours for a gradual change.

    Attributes:
        minute: The minute under way.
        hour: The hour under way.
        shock: Sees sudden changes.
        gradual: Sees slow ones.
        struck: When the latest shock began, in seconds since 1970; 0 for none.
        of_inputs: It is about what callers send, which stays the same when another model answers.
    """

    minute: Bin = field(default_factory=Bin)
    hour: Bin = field(default_factory=Bin)
    shock: Shock = field(default_factory=Shock)
    gradual: Gradual = field(default_factory=Gradual)
    struck: float = 0.0
    of_inputs: bool = False

    def after(self, events: float, requests: float, at: float, *, is_share: bool) -> Self:
        """The course after a look.

        Args:
            events: Events since the last look, or a sum.
            requests: What they are divided by.
            at: The look's time, in seconds since 1970.
            is_share: Events are among requests, so that chance alone makes their share scatter.
        """
        course = self.closed(at, is_share=is_share)
        if not requests:
            return course
        minute = course.minute if course.minute.requests else Bin(at)
        hour = course.hour if course.hour.requests else Bin(at)
        return replace(
            course, minute=minute.with_more(events, requests), hour=hour.with_more(events, requests)
        )

    def closed(self, at: float, *, is_share: bool) -> Self:
        """The course with the minute and the hour judged that are over at a time."""
        minute, hour, shock, gradual = self.minute, self.hour, self.shock, self.gradual
        if minute.requests and at - minute.begin >= LOOK:
            chance = _chance(shock.level.mean, minute.requests) if is_share else 0.0
            shock, minute = shock.after(minute.ratio, minute.begin, chance), Bin()
        if hour.requests and at // HOUR != hour.begin // HOUR:
            least = _chance(hour.ratio, hour.requests) if is_share else 0.0
            gradual, hour = gradual.after(hour.ratio, hour.begin, least=least), Bin()
        struck = shock.since if shock.side else self.struck
        return type(self)(minute, hour, shock, gradual, struck, self.of_inputs)

    @property
    def shift(self) -> Shift | None:
        """The change that stands; None for none. What a shock began is sudden for as long as it lasts."""
        if self.shock.side:
            count = self.shock.beyond.count(self.shock.side)
            found = max(count, ENOUGH_BEYOND)
            return Shift(
                How.SUDDEN,
                self.shock.since,
                self.shock.side,
                self.shock.level.mean,
                "looks of 5 beyond 3 sigma",
                found,
                ENOUGH_BEYOND,
            )
        cusum = self.gradual.cusum
        if not cusum.side:
            return None
        is_sudden = self.struck >= cusum.since - HOUR
        return Shift(
            How.SUDDEN if is_sudden else How.GRADUAL,
            self.struck if is_sudden else cusum.since,
            cusum.side,
            self.gradual.seasons.expected(cusum.since),
            "CUSUM of hourly innovations",
            cusum.value,
            LIMIT,
        )

    def promoted(self) -> Self:
        """The course once another revision is stable.

        Outputs are never held against those of another model. Inputs come from the same callers as before,
        but a shift that stood is what the new model was made for.
        """
        return self if self.of_inputs and self.shift is None else type(self)(of_inputs=self.of_inputs)


def _chance(share: float, requests: float) -> float:
    """Standard deviation of a share of so many requests, as if one at least had had the event."""
    share = min(0.5, max(share, 1.0 / requests)) if requests > 1.0 else 0.5
    return math.sqrt(share * (1.0 - share) / requests)
