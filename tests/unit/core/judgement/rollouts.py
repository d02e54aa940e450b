"""Many simulated rollouts through the statistics alone: no counters, no words, numbers drawn by numpy.

`PYTHONPATH=operator:tests python -m unit.core.judgement.rollouts 2000` prints error rates and times.
"""

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from modeldeploy.api.v1alpha1.monitoring import Metric
from modeldeploy.core.judgement.assess import BURST, FALSE_PASS, SUSPECT
from modeldeploy.core.judgement.plan import Plan, plan
from modeldeploy.core.judgement.roles import Roles
from modeldeploy.core.judgement.state import Judged, Track
from modeldeploy.core.judgement.weigh import Look, weigh
from unit.core.judgement.simulation import detection, no_worse

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
    for name, load, draw in (("stable", stable, rollout.stable), ("candidate", candidate, rollout.candidate)):
        requests = int(source.poisson(load * rollout.interval))
        events = min(requests, int(source.binomial(requests, draw(at) / rollout.clump)) * rollout.clump)
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


def median_detection(rollout: Rollout, runs: int, seed: int, since: float = 0.0) -> float:
    source = np.random.default_rng(seed)
    found = [run(rollout, source).blamed for _ in range(runs)]
    return statistics.median(np.inf if at is None else at - since for at in found)


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

BOTH = {"max": "1%", "compare": {"maxRatio": 1}}

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

WORSE: dict[str, tuple[Rollout, float]] = {
    "errors 1% -> 3% (max 1%)": (Rollout(metric(max="1%"), SEVEN, lambda _: 0.005, lambda _: 0.03), 0.0),
    "errors 1% -> 3% (ratio 1)": (
        Rollout(metric(compare={"maxRatio": 1}), SEVEN, lambda _: 0.01, lambda _: 0.03),
        0.0,
    ),
    "errors 1% -> 3% (ratio 1), clumps of 2": (
        Rollout(metric(compare={"maxRatio": 1}), SEVEN, lambda _: 0.01, lambda _: 0.03, clump=2),
        0.0,
    ),
    "errors 1% -> 3% (ratio 1) at minute 40": (
        Rollout(
            metric(compare={"maxRatio": 1}), SEVEN, lambda _: 0.01, lambda at: 0.03 if at > 2400 else 0.01
        ),
        2400.0,
    ),
    "errors 1% -> 1.5% (ratio 1)": (
        Rollout(metric(compare={"maxRatio": 1}), SEVEN, lambda _: 0.01, lambda _: 0.015),
        0.0,
    ),
    "nulls 2% -> 10% (max 5%)": (Rollout(metric(max="5%"), SEVEN, lambda _: 0.02, lambda _: 0.1), 0.0),
    "nulls 2% -> 10% (ratio 1)": (
        Rollout(metric(compare={"maxRatio": 1}), SEVEN, lambda _: 0.02, lambda _: 0.1),
        0.0,
    ),
    "share above the latency bound 5% -> 10%": (
        Rollout(metric(max="5%"), SEVEN, lambda _: 0.03, lambda _: 0.1),
        0.0,
    ),
    "nulls 2% -> 25% (max 5%) at 3 requests/s": (
        Rollout(metric(max="5%"), SEVEN, lambda _: 0.02, lambda _: 0.25, requests=lambda _: (27.0, 3.0)),
        0.0,
    ),
    "errors 0.1% -> 10% (max 1%) at 3 requests/s": (
        Rollout(metric(max="1%"), SEVEN, lambda _: 0.001, lambda _: 0.1, requests=lambda _: (27.0, 3.0)),
        0.0,
    ),
}


def main(runs: int) -> None:
    found = [detection(no_worse(seed), 3600.0) for seed in range(runs)]
    wrong = sum(at is not None for at in found)
    print(f"no worse, seven metrics with clumps, cycle, ramp, restarts, misses: {wrong} of {runs} blamed")
    for name, rollout in SAME.items():
        share = blamed_share(rollout, runs, 1)
        print(
            f"no worse, {name}: blamed in {100 * share:.2f}% of {runs} (alpha {100 / rollout.threshold:.2f}%)"
        )
    for name, (rollout, since) in WORSE.items():
        count = max(50, runs // 10)
        print(f"worse, {name}: median {median_detection(rollout, count, 2, since):.0f} s of {count}")
    for rate in (0.0001, 0.003, 0.005, 0.01, 0.0198):
        source = np.random.default_rng(3)
        rollout = Rollout(metric(max="1%"), 1e9, always(0.005), always(rate), history=60.0)
        found = [run(rollout, source).passed for _ in range(max(50, runs // 10))]
        times = [at for at in found if at is not None]
        middle = statistics.median(times) if times else None
        print(f"pass at {100 * rate:.2f}% (max 1%): {len(times) / len(found):.2f} pass, median {middle} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
