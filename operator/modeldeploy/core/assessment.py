"""What the judgement tells the rollout about one metric."""

from dataclasses import dataclass
from enum import StrEnum

from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.api.v1alpha1.status import Verdict


class Blame(StrEnum):
    """Whose fault a breach is, as far as the evidence goes."""

    CANDIDATE = "Candidate"
    WORLD = "World"
    UNCERTAIN = "Uncertain"
    """No count stands behind the number (`Heuristic`), or too little is known: pause at most."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The verdict on one metric, and what people need to understand it.

    Attributes:
        name: The metric's name in spec.
        category: Software, Input or Output.
        verdict: What the evidence says.
        blame: Whose fault it is; only read when the verdict is `Breach`.
        candidate: The candidate's value with its unit, as shown to people; of stable when no rollout runs.
        stable: Stable's value over the same span, as shown to people.
        samples: Observations behind the candidate's value.
        message: One sentence with number, bound and count: "nulls 24% of 412 (max 5%)".
        holds: Whether a step must wait for this metric (`onNoData: Ignore` and `NotApplicable` don't hold).
        reason: In one word, what there is to know besides the verdict; empty for nothing.
    """

    name: str
    category: Category
    verdict: Verdict
    blame: Blame = Blame.CANDIDATE
    candidate: str | None = None
    stable: str | None = None
    samples: int | None = None
    message: str = ""
    holds: bool = True
    reason: str = ""
