"""What the judgement tells the rollout about one metric."""

from dataclasses import dataclass, field
from typing import NamedTuple

from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core.cause import Who
from modeldeploy.core.drift.course import Shift


class Basis(NamedTuple):
    """What stands behind a verdict.

    Attributes:
        value: The strongest evidence against a bound.
        needed: What it must reach to break the bound.
        span: Seconds that it was gathered over.
    """

    value: float
    needed: float
    span: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """The verdict on one metric, and what people need to understand it.

    Attributes:
        name: The metric's name in spec.
        category: Software, Input or Output.
        verdict: What the evidence says.
        who: Whose metric moved; only read if one did.
        candidate: The candidate's value with its unit, as shown to people; of stable when no rollout runs.
        stable: Stable's value over the same span, as shown to people.
        samples: Observations behind the candidate's value.
        message: One sentence with number, bound and count: "nulls 24% of 412 (max 5%)".
        holds: Whether a step must wait for this metric (`onNoData: Ignore` and `NotApplicable` don't hold).
        reason: In one word, what there is to know besides the verdict; empty for nothing.
        shift: A sudden or gradual change of stable's, within its bounds or beyond; None for none.
        recovered: Once the candidate's traffic was returned: stable is shown to keep its bounds again (true),
            or not to (false); None while neither is shown, or nothing was returned.
        basis: The statistic behind it; None where there is only a number.
        query: What the metrics store was asked, as it was asked.
        on_trial: It speaks of a candidate.
    """

    name: str
    category: Category
    verdict: Verdict
    who: Who = Who.CANDIDATE
    candidate: str | None = None
    stable: str | None = None
    samples: int | None = None
    message: str = ""
    holds: bool = True
    reason: str = ""
    shift: Shift | None = None
    recovered: bool | None = None
    basis: Basis | None = field(default=None, compare=False)
    query: str = ""
    on_trial: bool = False

    @property
    def moved(self) -> bool:
        """Whether it is beyond a bound, or has shifted within its bounds."""
        return self.verdict is Verdict.BREACH or self.shift is not None

    @property
    def movement(self) -> str:
        """Whose it is and how it came about, if it moved: `Both`, `Stable, gradual`."""
        if not self.moved:
            return ""
        return f"{self.who}, {self.shift.how}" if self.shift else str(self.who)

    @property
    def gist(self) -> tuple[object, ...]:
        """What decisions turn on: numbers that merely move change none of it."""
        return self.name, self.verdict, self.reason, self.movement, self.recovered
