"""Whether stable keeps its bounds again, once the candidate's traffic was returned to it."""

from dataclasses import dataclass, field
from typing import Self

from modeldeploy.core.judgement.eprocess import BETTER, WORSE, Mixture, Product
from modeldeploy.core.judgement.likelihood import of_rate
from modeldeploy.core.judgement.plan import Limit

SHOWN = 20.0
"""E-value at which either counts as shown: a chance of 5% to be wrong."""

SETTLING = 15.0
"""Seconds after the return in which stable still answers what came before."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """Two e-processes on stable's counts since the return.

    Attributes:
        well: That it is within the bound.
        ill: That it is beyond.
    """

    well: Product = field(default_factory=Product)
    ill: Mixture = field(default_factory=Mixture)

    def after(self, events: float, requests: float, limit: Limit, dispersion: float, seconds: float) -> Self:
        """The evidence after a look with requests, so many seconds after the one before."""
        against = limit.events(events, requests)
        return type(self)(
            self.well.after(of_rate(against, requests, limit.rate, BETTER), dispersion),
            self.ill.after(of_rate(against, requests, limit.rate, WORSE), dispersion, seconds),
        )

    @property
    def recovered(self) -> bool | None:
        """Whether stable is well again; None while neither is shown."""
        if self.ill.value >= SHOWN:
            return False
        return True if self.well.value >= SHOWN else None
