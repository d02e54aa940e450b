"""Many simulated rollouts through the statistics alone: no counters, no words, numbers drawn by numpy."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from modeldeploy.api.v1alpha1.monitoring import Metric
from modeldeploy.core.judgement.breach import BURST, SUSPECT
from modeldeploy.core.judgement.passing import FALSE_PASS
from modeldeploy.core.judgement.plan import Plan, plan
from modeldeploy.core.judgement.roles import Roles
from modeldeploy.core.judgement.state import Judged, Track
from modeldeploy.core.judgement.weigh import Look, weigh

Draw = Callable[[float], float]
"""A rate by time in seconds since the rollout began."""

WEIGHTS = ((0.0, 0.05), (600.0, 0.2), (1200.0, 0.5))


def metric(**fields: object) -> Plan:
    return plan(
        Metric.model_validate({"name": "m", "category": "Software", "preset": "errorRatio", **fields})
    )


@dataclass(frozen=True)
class Rollout:
    """One metric of one rollout."""

    planned: Plan
    threshold: float
    stable: Draw
    candidate: Draw
    requests: Callable[[float], tuple[float, float]] = field(default=lambda _: (180.0, 20.0))
    interval: float = 5.0
    seconds: float = 3600.0
    history: float = 1800.0
    clump: int = 1
    candidate_clump: int | None = None
    since: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """Seconds until the candidate was blamed, and until it passed; None for never."""

    blamed: float | None
    passed: float | None


ROLES = Roles("stable", "candidate", 0.0, 0.0)


def run(rollout: Rollout, source: np.random.Generator) -> Outcome:
    judged = Judged(rollout.planned.fingerprint)
    at, passed = -rollout.history, None
    while at < rollout.seconds:
        at += rollout.interval
        roles = ROLES if at > 0 else Roles("stable")
        looks = _looks(rollout, roles, at, source)
        weighed = weigh(rollout.planned, judged, looks, roles, rollout.interval)
        tracks = {
            name: replace(
                judged.tracks.get(name, Track()),
                spread=judged.tracks.get(name, Track()).spread.after(look.events, look.requests, at),
            )
            for name, look in looks.items()
            if look.requests
        }
        judged = replace(weighed, tracks={**judged.tracks, **tracks})
        if at > 0 and is_blamed(judged, rollout.threshold):
            return Outcome(at, passed)
        if passed is None and at > 0 and is_passed(judged):
            passed = at
    return Outcome(None, passed)


def _looks(rollout: Rollout, roles: Roles, at: float, source: np.random.Generator) -> dict[str, Look]:
    stable, candidate = rollout.requests(at)
    if roles.candidate is None:
        stable, candidate = stable + candidate, 0.0
    found = {}
    own = rollout.candidate_clump or rollout.clump
    for name, load, draw, clump in (
        ("stable", stable, rollout.stable, rollout.clump),
        ("candidate", candidate, rollout.candidate, own),
    ):
        requests = int(source.poisson(load * rollout.interval))
        events = min(requests, int(source.binomial(requests, draw(at) / clump)) * clump)
        found[name] = Look(events, requests, None, events)
    return found


def is_blamed(judged: Judged, threshold: float) -> bool:
    for name, trial in judged.trials.items():
        if trial.broken.value < threshold:
            continue
        if name == "compare":
            if judged.dispersed:
                return True
        elif judged.eventful >= BURST:
            is_worse = judged.dispersed and trial.worse is not None and trial.worse.value >= threshold
            if is_worse or trial.stable is None or trial.stable.value < SUSPECT:
                return True
    return False


def is_passed(judged: Judged) -> bool:
    return all(
        max(trial.kept.value, trial.rare.value if trial.rare else 0.0) >= 1 / FALSE_PASS
        for trial in judged.trials.values()
    )


def blamed_share(rollout: Rollout, runs: int, seed: int) -> float:
    source = np.random.default_rng(seed)
    return sum(run(rollout, source).blamed is not None for _ in range(runs)) / runs


def median_detection(rollout: Rollout, runs: int, seed: int) -> float:
    """Seconds from a fault's begin until half of the candidates were blamed for it; infinity for never."""
    source = np.random.default_rng(seed)
    found = [run(rollout, source).blamed for _ in range(runs)]
    times = [np.inf if at is None else at - rollout.since for at in found]
    return float(statistics.median(at for at in times if at > 0))


def passed_share(rollout: Rollout, runs: int, seed: int) -> float:
    """The share of candidates that pass at any look before they are blamed: no fewer than are promoted."""
    source = np.random.default_rng(seed)
    return sum(run(rollout, source).passed is not None for _ in range(runs)) / runs


def ramp(total: float) -> Callable[[float], tuple[float, float]]:
    """Weights 5, 20 and 50% for ten minutes each."""

    def load(at: float) -> tuple[float, float]:
        weight = max((share for begun, share in WEIGHTS if at >= begun), default=0.05)
        return total * (1 - weight), total * weight

    return load


def always(rate: float) -> Draw:
    return lambda _: rate


ALPHA = 0.01
SEVEN = 7 / ALPHA

SAME: dict[str, Rollout] = {
    "at the bound": Rollout(metric(max="1%"), SEVEN, lambda _: 0.01, lambda _: 0.01),
    "at a ratio of 1": Rollout(metric(compare={"maxRatio": 1}), SEVEN, lambda _: 0.01, lambda _: 0.01),
    "half the bound, clumps of 3": Rollout(
        metric(max="1%"), SEVEN, lambda _: 0.005, lambda _: 0.005, clump=3
    ),
    "at the bound, clumps of 3": Rollout(metric(max="1%"), SEVEN, lambda _: 0.01, lambda _: 0.01, clump=3),
    "ratio of 1, clumps of 3": Rollout(
        metric(compare={"maxRatio": 1}), SEVEN, lambda _: 0.01, lambda _: 0.01, clump=3
    ),
    "ratio of 1, weights and rate rising": Rollout(
        metric(compare={"maxRatio": 1}),
        SEVEN,
        lambda at: 0.005 + 0.015 * max(0.0, at) / 3600,
        lambda at: 0.005 + 0.015 * max(0.0, at) / 3600,
        requests=ramp(200.0),
    ),
    "ratio of 1, clumps of 3, rare": Rollout(
        metric(compare={"maxRatio": 1}), SEVEN, lambda _: 0.0005, lambda _: 0.0005, clump=3
    ),
    "bound 5%, 3 requests/s, clumps of 3": Rollout(
        metric(max="5%"),
        SEVEN,
        lambda _: 0.04,
        lambda _: 0.04,
        requests=lambda _: (27.0, 3.0),
        clump=3,
    ),
}

CLUMPED = Rollout(metric(max="1%"), SEVEN, always(0.005), always(0.01), interval=10.0, candidate_clump=3)
"""Errors at the bound, in clumps that stable's don't come in."""

WITH_COMPARISON = {"max": "1%", "compare": {"maxRatio": "1.2"}}
"""Errors as the README has them."""
NULLS = {"max": "5%", "compare": {"maxRatio": "1.2"}}
EQUAL = {"compare": {"maxRatio": 1}}
EIGHT = 8 / ALPHA
"""Seven metrics, one of which has two bounds."""
LATE = 2400.0


def worse(
    bounds: Mapping[str, object],
    stable: float,
    candidate: float,
    *,
    since: float = 0.0,
    requests: tuple[float, float] = (180.0, 20.0),
    clump: int = 1,
    seconds: float = 3600.0,
) -> Rollout:
    """A candidate that is worse than stable from a time on, and as good before; one of seven metrics."""
    return Rollout(
        metric(**bounds),
        EIGHT if len(bounds) > 1 else SEVEN,
        always(stable),
        lambda at: candidate if at > since else stable,
        requests=lambda _: requests,
        clump=clump,
        seconds=seconds,
        since=since,
    )


SLOWLY = (9.0, 1.0)
"""Requests a second on stable and on the candidate where there are few."""

WORSE: dict[str, tuple[Rollout, float | None]] = {
    "errors 1% -> 3%": (worse(WITH_COMPARISON, 0.01, 0.03), 45.0),
    "errors 1% -> 3%, by max: 1% alone": (worse({"max": "1%"}, 0.01, 0.03), 45.0),
    "errors 1% -> 3%, by maxRatio: 1 alone": (worse(EQUAL, 0.01, 0.03), 45.0),
    "errors 1% -> 3% in clumps of 2": (worse(WITH_COMPARISON, 0.01, 0.03, clump=2), 130.0),
    "errors 1% -> 3% in clumps of 2, by maxRatio: 1 alone": (worse(EQUAL, 0.01, 0.03, clump=2), 130.0),
    "errors 1% -> 1.5%, by maxRatio: 1": (worse(EQUAL, 0.01, 0.015), 540.0),
    "nulls 2% -> 10%": (worse(NULLS, 0.02, 0.1), 20.0),
    "nulls 2% -> 10%, by max: 5% alone": (worse({"max": "5%"}, 0.02, 0.1), None),
    "share above the latency bound 5% -> 10%": (worse({"max": "5%"}, 0.05, 0.1), 60.0),
    "errors 1% -> 3% at minute 40": (worse(WITH_COMPARISON, 0.01, 0.03, since=LATE), 60.0),
    "errors 1% -> 3% at minute 40, by maxRatio: 1 alone": (worse(EQUAL, 0.01, 0.03, since=LATE), None),
    "errors 1% -> 3%, 1 request/s": (
        worse(WITH_COMPARISON, 0.01, 0.03, requests=SLOWLY, seconds=7200.0),
        None,
    ),
    "nulls 2% -> 10%, 1 request/s": (worse(NULLS, 0.02, 0.1, requests=SLOWLY, seconds=7200.0), None),
    "share above the latency bound 5% -> 10%, 1 request/s": (
        worse({"max": "5%"}, 0.05, 0.1, requests=SLOWLY, seconds=7200.0),
        None,
    ),
    "nulls 2% -> 25%, 3 requests/s": (worse({"max": "5%"}, 0.02, 0.25, requests=(27.0, 3.0)), None),
    "errors 0.1% -> 10%, 3 requests/s": (worse({"max": "1%"}, 0.001, 0.1, requests=(27.0, 3.0)), None),
}
"""Faults with the seconds within which half of them must be found; None where that is only measured."""


def _twice(
    bounds: Mapping[str, object], stable: float, candidate: float, load: float, clump: int = 1
) -> Rollout:
    return Rollout(
        metric(**bounds),
        SEVEN,
        always(stable),
        always(candidate),
        requests=lambda _: (9 * load, load),
        interval=10.0,
        clump=clump,
    )


TWICE: dict[str, Rollout] = {
    "errors at 2%, max 1%": _twice({"max": "1%"}, 0.005, 0.0198, 20.0),
    "errors at 2%, max 1%, 1 request/s": _twice({"max": "1%"}, 0.005, 0.0198, 1.0),
    "errors at 2%, max 1%, in clumps of 3": _twice({"max": "1%"}, 0.005, 0.0198, 20.0, clump=3),
    "errors at 2%, max 1%, as stable's": _twice({"max": "1%"}, 0.0198, 0.0198, 20.0),
    "nulls at 10%, max 5%, 1 request/s": _twice({"max": "5%"}, 0.02, 0.0952, 1.0),
    "errors at 4.8%, twice 1.2 times stable's": _twice({"compare": {"maxRatio": "1.2"}}, 0.02, 0.048, 20.0),
    "errors at 4.8%, twice 1.2 times stable's, 1 request/s": _twice(
        {"compare": {"maxRatio": "1.2"}}, 0.02, 0.048, 1.0
    ),
}
"""Candidates at twice their bound, by its odds."""
