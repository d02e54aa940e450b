"""Whether the candidate gets its share of requests, and whether stable recovers: simulated, fixed seeds."""

import numpy as np
import pytest

from modeldeploy.core.judgement.assignment import ALPHA, Assignment
from modeldeploy.core.judgement.plan import Limit
from modeldeploy.core.judgement.recovery import Recovery

pytestmark = pytest.mark.unit


def split(
    seed: int, weight: int, true: float, *, clump: int = 1, looks: int = 360, load: int = 1000
) -> Assignment:
    """An hour of 10-second looks; clients come with `clump` requests at a time."""
    source, found = np.random.default_rng(seed), Assignment()
    for look in range(looks):
        clients = int(source.poisson(load / clump))
        candidate = int(source.binomial(clients, true))
        found = found.after(clump * candidate, clump * (clients - candidate), weight, 10.0 * look)
        if found.finding:
            break
    return found


@pytest.mark.parametrize(("weight", "clump"), [(5, 1), (20, 1), (50, 1), (80, 3), (5, 3), (50, 5)])
def test_a_fair_split_is_hardly_ever_called_biased(weight: int, clump: int) -> None:
    assert [seed for seed in range(25) if split(seed, weight, weight / 100, clump=clump).finding] == []


@pytest.mark.parametrize("true", [0.105, 0.095])
def test_a_small_skew_of_retries_is_no_bias(true: float) -> None:
    assert not split(1, 10, true).finding


@pytest.mark.parametrize(("weight", "true"), [(5, 0.10), (5, 0.02), (50, 0.65), (20, 0.0), (90, 1.0)])
def test_another_share_is_found_within_minutes(weight: int, true: float) -> None:
    found = split(2, weight, true, looks=30)
    assert found.finding
    assert f"at a weight of {weight}%" in found.finding
    assert found.value >= 1 / ALPHA


def test_another_weight_starts_anew() -> None:
    found = split(3, 5, 0.2)
    assert found.finding
    assert not found.after(500, 500, 50, 1e4).finding


def stable(seed: int, rate: float, limit: Limit, looks: int = 60) -> bool | None:
    source, found = np.random.default_rng(seed), Recovery()
    for _ in range(looks):
        found = found.after(float(source.binomial(500, rate)), 500.0, limit, 1.0, 10.0)
        if found.recovered is not None:
            break
    return found.recovered


def test_a_stable_within_its_bound_has_recovered() -> None:
    assert sum(stable(seed, 0.004, Limit("max", 0.01)) is True for seed in range(60)) >= 57


def test_a_stable_beyond_its_bound_has_not() -> None:
    assert sum(stable(seed, 0.03, Limit("max", 0.01)) is False for seed in range(60)) >= 57


def test_a_stable_at_its_bound_is_seldom_called_well() -> None:
    """Ville's inequality: at most 5%; three deviations more of 100."""
    assert sum(stable(seed, 0.01, Limit("max", 0.01)) is True for seed in range(100)) <= 11
