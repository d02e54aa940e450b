"""How far beyond a bound a rate surely is: the lower end of a confidence sequence."""

from dataclasses import dataclass
from typing import Self

from modeldeploy.core.judgement.eprocess import EARLY, FROM_START, LATER, WORSE, waiting
from modeldeploy.core.judgement.likelihood import least_rate

_TRACED = WORSE.index(2.1)
"""The effect that says when a fault may have begun."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Counts that a lower confidence bound is read off: of the whole trial, and since a fault may have begun.

    By duality the rates that a `Mixture` has not disproved are a confidence sequence. Each part of a mixture
    is no more than the whole, so the bound may be read off any part, and whichever part is chosen it holds at
    all times together: here off the whole trial and off the part that began when CUSUM (Page, Biometrika
    1954) last stood at nothing.

    Attributes:
        events: Of the trial, each divided by the dispersion of its look.
        requests: Likewise.
        late_events: The same since the look at which a fault may have begun.
        late_requests: Likewise.
        late_mass: What a mixture has on faults that begin at that look; 0 before the first.
        score: CUSUM of the log likelihood ratio.
        elapsed: Seconds of looks that told something.
    """

    events: float = 0.0
    requests: float = 0.0
    late_events: float = 0.0
    late_requests: float = 0.0
    late_mass: float = 0.0
    score: float = 0.0
    elapsed: float = 0.0

    def after(
        self, counts: tuple[float, float], log_ratios: list[float], dispersion: float, seconds: float
    ) -> Self:
        """The counts after a look.

        Args:
            counts: Events and requests of the look.
            log_ratios: Log likelihood ratios against the bound, by effect, as in `WORSE`.
            dispersion: What counts and ratios are divided by.
            seconds: Time between looks.
        """
        events, requests = counts[0] / dispersion, counts[1] / dispersion
        elapsed = self.elapsed + seconds
        goes_on = self.score > 0.0
        return type(self)(
            self.events + events,
            self.requests + requests,
            events + (self.late_events if goes_on else 0.0),
            requests + (self.late_requests if goes_on else 0.0),
            self.late_mass if goes_on else waiting(self.elapsed) - waiting(elapsed),
            max(0.0, self.score + log_ratios[_TRACED] / dispersion),
            elapsed,
        )

    def least(self, threshold: float) -> float:
        """The rate that the candidate surely has, with an error of 1/`threshold` over all looks together."""
        early = [EARLY * share for share in FROM_START]
        whole = least_rate(self.events, self.requests, early, WORSE, threshold)
        mass = (1.0 - EARLY) * self.late_mass
        if mass <= 0.0:
            return whole
        later = [mass * share for share in LATER]
        return max(whole, least_rate(self.late_events, self.late_requests, later, WORSE, threshold))
