"""Drawn rollouts through the product itself: every look folded in, every verdict read."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from modeldeploy.core import judgement
from modeldeploy.core.judgement import Answer, Counters, Evidence, NoData, Query, Roles
from unit.core.judgement.drawn import BEFORE, INTERVAL, LOOKS, METRICS, Drawn
from unit.core.judgement.simulation import CANDIDATE, STABLE, START, blamed, make_spec, when

SPEC = make_spec(*METRICS, interval=f"{INTERVAL:g}s")
ROLES = Roles(STABLE, CANDIDATE, START, START)
BEFOREHAND = Roles(STABLE)

Look = tuple[float, Mapping[Query, Answer]]
"""Seconds since the trial began, and the answers that are had then."""


@dataclass(frozen=True)
class Followed:
    """What became of a rollout.

    Attributes:
        blamed: Seconds until the candidate was blamed; None if it never was.
        peaks: The largest e-value, by metric and test.
    """

    blamed: float | None
    peaks: Mapping[tuple[str, str], float]


def queries() -> tuple[Query, ...]:
    return judgement.queries(SPEC, "ns", "digits", ROLES)


def answered(drawn: Drawn, rollout: int) -> Iterator[Look]:
    """A rollout's looks, with the answers that its counters give."""
    for look in range(BEFORE + LOOKS + 1):
        found: dict[Query, Answer] = {}
        for query in queries():
            assert query.family is not None
            rows = tuple(drawn.rows(rollout, look, query.family))
            found[query] = Counters(rows) if rows else NoData()
        yield (look - BEFORE) * INTERVAL, found


def follow(looks: Iterable[Look]) -> Followed:
    """What the product makes of the looks; it goes on after a blame, to see how high the evidence gets."""
    evidence, first = Evidence(), None
    peaks: dict[tuple[str, str], float] = {}
    for at, answers in looks:
        roles = BEFOREHAND if at < 0 else ROLES
        evidence = judgement.advance(
            evidence, SPEC, namespace="ns", name="digits", roles=roles, answers=answers, at=when(at)
        )
        if at <= 0:
            continue
        if first is None and blamed(judgement.assess(evidence, SPEC, roles, when(at))):
            first = at
        for name, judged in evidence.metrics.items():
            for test, trial in judged.trials.items():
                peaks[name, test] = max(peaks.get((name, test), 0.0), trial.broken.value)
    return Followed(first, peaks)
