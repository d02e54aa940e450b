"""Error rates and detection times of simulated rollouts; `rollouts.py` holds the scenarios."""

import numpy as np
import pytest

from unit.core.judgement.rollouts import (
    SAME,
    SEVEN,
    WORSE,
    Rollout,
    blamed_share,
    median_detection,
    metric,
    run,
)
from unit.core.judgement.simulation import detection, no_worse

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("scenario", SAME)
def test_a_candidate_that_is_no_worse_is_hardly_ever_blamed(scenario: str) -> None:
    """30 minutes each. At a true rate of 0.14% two or more of 20 have a chance of 1 in 2,700."""
    rollout = SAME[scenario]
    short = Rollout(**{**vars(rollout), "seconds": 1800.0, "history": 900.0, "interval": 10.0})
    assert blamed_share(short, 20, seed=21) <= 1 / 20


@pytest.mark.parametrize(
    ("scenario", "within"),
    [
        ("errors 1% -> 3% (max 1%)", 45),
        ("errors 1% -> 3% (ratio 1)", 50),
        ("errors 1% -> 3% (ratio 1), clumps of 2", 130),
        ("nulls 2% -> 10% (ratio 1)", 20),
        ("share above the latency bound 5% -> 10%", 60),
        ("nulls 2% -> 25% (max 5%) at 3 requests/s", 25),
        ("errors 0.1% -> 10% (max 1%) at 3 requests/s", 25),
    ],
)
def test_a_fault_is_found_in_time(scenario: str, within: float) -> None:
    rollout, since = WORSE[scenario]
    short = Rollout(**{**vars(rollout), "history": 900.0})
    assert median_detection(short, 25, seed=22, since=since) <= within


def test_whole_rollouts_of_candidates_that_are_no_worse() -> None:
    """Half an hour each, with clumps, a cycle, rising weights, restarts and missed scrapes."""
    assert [seed for seed in range(5) if detection(no_worse(seed, 1800.0), 1800.0) is not None] == []


def test_a_candidate_at_twice_its_bound_hardly_ever_passes() -> None:
    rollout = Rollout(
        metric(max="1%"), SEVEN, lambda _: 0.005, lambda _: 0.02, interval=10.0, seconds=1800.0, history=0.0
    )
    source = np.random.default_rng(23)
    outcomes = [run(rollout, source) for _ in range(60)]
    assert sum(outcome.passed is not None for outcome in outcomes) <= 7  # 5% of 60, and three deviations more
