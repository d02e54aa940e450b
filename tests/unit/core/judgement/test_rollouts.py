"""Error rates and detection times of simulated rollouts; `rollouts.py` holds the scenarios."""

import pytest

from unit.core.judgement.drawn import draw
from unit.core.judgement.followed import answered, follow
from unit.core.judgement.rollouts import (
    SAME,
    TWICE,
    WORSE,
    Rollout,
    blamed_share,
    median_detection,
    passed_share,
)
from unit.core.judgement.screen import peaks

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
        ("errors 1% -> 3%", 45),
        ("errors 1% -> 3% in clumps of 2", 130),
        ("nulls 2% -> 10%", 20),
        ("share above the latency bound 5% -> 10%", 60),
        ("nulls 2% -> 25%, 3 requests/s", 25),
        ("errors 0.1% -> 10%, 3 requests/s", 30),
    ],
)
def test_a_fault_is_found_in_time(scenario: str, within: float) -> None:
    rollout, _ = WORSE[scenario]
    short = Rollout(**{**vars(rollout), "history": 900.0})
    assert median_detection(short, 25, seed=22) <= within


def test_whole_rollouts_of_candidates_that_are_no_worse() -> None:
    """With all that goes wrong, and judged by two implementations to the same evidence."""
    drawn = draw(2, seed=24)
    screened = peaks(drawn)
    for rollout in range(drawn.rollouts):
        found = follow(answered(drawn, rollout))
        assert found.blamed is None
        for test, values in screened.items():
            assert found.peaks[test] == pytest.approx(float(values[rollout]), rel=1e-9)


@pytest.mark.parametrize("scenario", ["errors at 2%, max 1%", "errors at 2%, max 1%, as stable's"])
def test_a_candidate_at_twice_its_bound_hardly_ever_passes(scenario: str) -> None:
    short = Rollout(**{**vars(TWICE[scenario]), "seconds": 1800.0, "history": 300.0})
    assert passed_share(short, 40, seed=23) <= 6 / 40  # 5%, and three deviations more
