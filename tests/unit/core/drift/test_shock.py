"""Sudden changes: the rule's exact run length, and series that only seem to jump."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from modeldeploy.core.drift.shock import AMONG, ENOUGH, ENOUGH_BEYOND, HELD, SIGMA, Level, Shock

pytestmark = pytest.mark.unit


def exact_run_length(sigma: float, shift: float = 0.0) -> float:
    """Mean looks until 3 of 5 are beyond on one side: a Markov chain over the last four marks."""
    above, below = norm.sf(sigma - shift), norm.cdf(-sigma - shift)
    chance = {1: above, -1: below, 0: 1.0 - above - below}
    states = list(product((-1, 0, 1), repeat=AMONG - 1))
    place = {state: index for index, state in enumerate(states)}
    moves = np.zeros((len(states), len(states)))
    for state in states:
        for mark, likely in chance.items():
            window = (*state, mark)
            if max(window.count(1), window.count(-1)) < ENOUGH_BEYOND:
                moves[place[state], place[window[1:]]] += likely
    return float(np.linalg.solve(np.eye(len(states)) - moves, np.ones(len(states)))[place[0, 0, 0, 0]])


def known() -> Shock:
    """Level 0 and spread 1 are known, and stay so for all that a test's looks add to a long past."""
    return Shock(Level(looks=10**9, mean=0.0, variance=1.0))


def run_length(source: np.random.Generator, scale: float) -> int:
    shock, looks = known(), 0
    while not shock.side:
        looks += 1
        shock = Shock(known().level, shock.beyond, shock.side, shock.since, shock.times)
        shock = shock.after(scale * float(source.normal()), float(looks))
    return looks


@pytest.mark.parametrize("scale", [2.0, 3.0])
def test_the_rule_has_the_run_length_of_its_markov_chain(scale: float) -> None:
    """On noise `scale` times as wide, as the rule itself would take years to fire."""
    source = np.random.default_rng(1)
    lengths = [run_length(source, scale) for _ in range(250)]
    error = float(np.std(lengths)) / np.sqrt(len(lengths))
    assert abs(np.mean(lengths) - exact_run_length(SIGMA / scale)) < 4 * error


def test_independent_looks_give_a_false_alarm_in_decades() -> None:
    assert exact_run_length(SIGMA) > 20 * 365 * 1440


def alarms(values: NDArray[np.float64]) -> list[int]:
    shock, found = Shock(), []
    for minute, value in enumerate(values):
        was = shock.side
        shock = shock.after(float(value), minute * 60.0)
        if shock.side and not was:
            found.append(minute)
    return found


def minutes(source: np.random.Generator, days: int, phi: float = 0.6) -> NDArray[np.float64]:
    noise = source.normal(size=days * 1440) * np.sqrt(1 - phi**2)
    for minute in range(1, noise.size):
        noise[minute] += phi * noise[minute - 1]
    at = np.arange(noise.size)
    cycles = 5 * np.sin(2 * np.pi * at / 1440) + 3 * np.sin(2 * np.pi * at / 10080)
    return np.asarray(100 + noise + cycles)


def test_dependence_and_cycles_are_no_shock() -> None:
    assert alarms(minutes(np.random.default_rng(2), 20)) == []


@pytest.mark.parametrize("side", [1, -1])
def test_a_jump_is_found_within_five_minutes(side: int) -> None:
    values = minutes(np.random.default_rng(3), 3, phi=0.3)
    values[3000:] += side * 12
    found = alarms(values)
    assert 3000 < found[0] <= 3004


def test_two_odd_minutes_are_no_shock_and_do_not_widen_the_spread() -> None:
    values = np.random.default_rng(4).normal(size=600)
    values[300:302] += 50
    assert alarms(values) == []
    values[400:] += 8
    assert alarms(values)


def test_an_alarm_ends_when_all_is_as_before() -> None:
    shock = known()
    for look in range(5):
        shock = shock.after(5.0, float(look))
    assert (shock.side, shock.since) == (1, 0.0)
    assert shock.level.mean < 0.2
    for look in range(5, 9):
        shock = shock.after(0.0, float(look))
        assert shock.side == 1
    assert shock.after(0.0, 9.0).side == 0


def test_what_has_lasted_for_a_day_is_the_new_level() -> None:
    shock = known()
    for look in range(5):
        shock = shock.after(5.0, 60.0 * look)
    shock = shock.after(5.0, HELD + 60.0)
    assert (shock.side, shock.level.looks) == (0, 1)


def test_at_first_nothing_is_known() -> None:
    assert alarms(np.array([0.0] * (ENOUGH - 10) + [99.0] * 10)) == []


def test_few_requests_make_a_share_scatter_by_chance() -> None:
    calm = Level(looks=10**6, mean=0.1, variance=0.0001)
    assert calm.score(0.2) == pytest.approx(10.0)
    assert calm.score(0.2, chance=0.05) == pytest.approx(2.0)
