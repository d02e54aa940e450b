"""Made-up episodes in the life of a model, each with one cause, or none. Nothing here knows of the product.

A shop of 60 requests a second in all has a stable version and, for half an hour, a candidate. What is counted
of both comes out of `Episode.count`, as drawn by numpy from fixed seeds. Effects have fixed sizes: a share is
multiplied by ten, wrong answers double.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

RATE = 60.0
"""Requests per second."""
TRIAL = 1800.0
"""Seconds that a candidate is on trial, or that a lone stable is watched."""

CAUSES = (
    "Candidate",
    "CandidateAndWorld",
    "AssignmentBiased",
    "Interference",
    "DataDrift",
    "ConceptDrift",
    "Suspected",
    "Capacity",
    "None",
)
LONE = frozenset({"ConceptDrift", "Capacity"})
"""Causes that are looked for once nothing is on trial."""


@dataclass(frozen=True)
class Rates:
    """Shares of requests with an error, a slow, an empty answer; of values that lack; of wrong answers."""

    errors: float = 0.003
    slow: float = 0.015
    nulls: float = 0.015
    missing: float = 0.006
    wrong: float = 0.08


@dataclass(frozen=True)
class Counted:
    """What one version was seen to do in a span."""

    requests: int
    errors: int
    slow: int
    nulls: int
    values: int
    missing: int
    wrong: float


@dataclass
class Episode:
    """One of them.

    Args:
        cause: What happens.
        seed: Of all chance in it.
        on_trial: A candidate is on trial; otherwise stable is alone.
        begin: Seconds after which it begins.
        way: Which of several forms the cause takes.
    """

    cause: str
    seed: int
    on_trial: bool
    begin: float
    way: int

    def __post_init__(self) -> None:
        self._source = np.random.default_rng(self.seed)
        spread = np.exp(self._source.normal(0.0, 0.1, 5))
        usual = Rates()
        self._usual = Rates(
            usual.errors * spread[0],
            usual.slow * spread[1],
            usual.nulls * spread[2],
            usual.missing * spread[3],
            usual.wrong,
        )

    def count(self, at: float, span: float, weight: float) -> tuple[Counted, Counted]:
        """What stable and candidate did in a span that ends `at`; `weight` is the candidate's, 0 to 1."""
        total = int(self._source.poisson(RATE * span))
        share = self._share(at, weight)
        candidate = int(self._source.binomial(total, share))
        return (
            self._count(total - candidate, self._of_stable(at, weight)),
            self._count(candidate, self._of_candidate(at, weight)),
        )

    def _share(self, at: float, weight: float) -> float:
        if self.cause != "AssignmentBiased" or self.way or at < self.begin or not 0 < weight < 1:
            return weight
        return min(0.9, 2.5 * weight)

    def _of_stable(self, at: float, weight: float) -> Rates:
        usual, harms = self._usual, weight >= INTERFERING
        slow = replace(usual, slow=10 * usual.slow)
        failing = replace(usual, errors=10 * usual.errors)
        empty = replace(usual, nulls=8 * usual.nulls)
        lacking = replace(empty if self.way else usual, missing=10 * usual.missing)
        moved = {
            "DataDrift": lacking,
            "Suspected": empty,
            "CandidateAndWorld": empty,
            "ConceptDrift": replace(usual, wrong=2 * usual.wrong),
            "Capacity": slow,
            "Interference": (failing if self.way else slow) if harms else usual,
        }
        return usual if at < self.begin else moved.get(self.cause, usual)

    def _of_candidate(self, at: float, weight: float) -> Rates:
        rates = self._of_stable(at, weight)
        if at < self.begin:
            return rates
        if self.cause == "CandidateAndWorld":
            return replace(rates, nulls=4 * rates.nulls)
        if self.cause == "AssignmentBiased" and self.way:
            return replace(rates, missing=10 * rates.missing)
        if self.cause == "Candidate":
            return (
                replace(rates, errors=10 * rates.errors),
                replace(rates, slow=10 * rates.slow),
                replace(rates, nulls=8 * rates.nulls),
            )[self.way]
        return rates

    def _count(self, requests: int, rates: Rates) -> Counted:
        draw = self._source.binomial
        return Counted(
            requests,
            int(draw(requests, rates.errors)),
            int(draw(requests, rates.slow)),
            int(draw(requests, rates.nulls)),
            20 * requests,
            int(draw(20 * requests, rates.missing)),
            float(rates.wrong + self._source.normal(0.0, 0.005)),
        )


INTERFERING = 0.3
"""The share of requests from which on a candidate that interferes does."""
WAYS = {"Candidate": 3, "AssignmentBiased": 2, "Interference": 2, "DataDrift": 2}


def episodes(count: int, seed: int) -> Iterator[Episode]:
    """So many, the causes in turn, each at a random time in either half of its trial."""
    source = np.random.default_rng(seed)
    for number in range(count):
        cause = CAUSES[number % len(CAUSES)]
        turn = number // len(CAUSES)
        on_trial = cause not in LONE and (cause not in ("DataDrift", "None", "Suspected") or turn % 2 == 0)
        begin = 0.0 if cause == "Interference" else float(source.uniform(60.0, TRIAL - 600.0))
        way = turn // 2 % WAYS.get(cause, 1)
        yield Episode(cause, int(source.integers(2**31)), on_trial, begin, way)
