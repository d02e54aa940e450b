"""Slow changes: against a published table, an exact Markov chain, and simulated weeks."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from modeldeploy.core.drift.gradual import (
    DAY,
    HOUR,
    LIMIT,
    SLACK,
    WEEK,
    Cusum,
    Gradual,
    Innovations,
    Seasons,
)

pytestmark = pytest.mark.unit

MONTGOMERY = {
    4.0: {0.0: 168, 0.5: 26.6, 1.0: 8.38, 2.0: 3.34},
    5.0: {0.0: 465, 0.5: 38.0, 1.0: 10.4, 2.0: 4.01},
}
"""Average run lengths of a two-sided CUSUM with k = 0.5, by limit and shift: Montgomery, "Introduction to
Statistical Quality Control", table 9.3."""


def chain(limit: float, shift: float, states: int = 400) -> float:
    """ARL of a one-sided CUSUM as the mean time to absorption of a Markov chain (Brook, Evans 1972)."""
    width = 2.0 * limit / (2 * states - 1)
    centres = np.arange(states) * width
    high = norm.cdf(centres[None, :] + width / 2 - centres[:, None] + SLACK - shift)
    low = norm.cdf(centres[None, :] - width / 2 - centres[:, None] + SLACK - shift)
    moves = high - low
    moves[:, 0] = high[:, 0]
    return float(np.linalg.solve(np.eye(states) - moves, np.ones(states))[0])


def both_sides(limit: float, shift: float) -> float:
    return 1.0 / (1.0 / chain(limit, shift) + 1.0 / chain(limit, -shift))


def run_length(source: np.random.Generator, limit: float, shift: float) -> int:
    cusum, looks = Cusum(), 0
    while not cusum.side:
        looks += 1
        cusum = cusum.after(float(source.normal()) + shift, float(looks), limit=limit)
    return looks


@pytest.mark.parametrize(("limit", "shift"), [(4.0, 0.0), (4.0, 1.0), (5.0, 0.5), (5.0, 2.0)])
def test_run_lengths_are_those_of_the_literature(limit: float, shift: float) -> None:
    published = MONTGOMERY[limit][shift]
    assert both_sides(limit, shift) == pytest.approx(published, rel=0.02)
    source = np.random.default_rng(1)
    lengths = [run_length(source, limit, shift) for _ in range(300)]
    error = float(np.std(lengths)) / np.sqrt(len(lengths))
    assert abs(np.mean(lengths) - published) < 4 * error + 0.02 * published


def test_the_limit_keeps_what_its_docstring_says() -> None:
    assert both_sides(LIMIT, 0.0) == pytest.approx(26_000, rel=0.05)
    assert both_sides(LIMIT, 0.0) / 24 > 10 * 90


def test_a_dependent_series_has_independent_innovations() -> None:
    source, noise = np.random.default_rng(2), Innovations()
    value, scores = 0.0, []
    for look in range(4000):
        value = 0.6 * value + 0.8 * float(source.normal())
        score = noise.score(value, 0.0)
        noise = noise.after(value, 0.0)
        if score is not None and look > 400:
            scores.append(score)
    assert 0.45 < noise.steadiness < 0.75
    assert np.std(scores) == pytest.approx(1.0, abs=0.06)
    assert abs(np.corrcoef(scores[:-1], scores[1:])[0, 1]) < 0.06


def hours(source: np.random.Generator, days: int, phi: float = 0.6) -> NDArray[np.float64]:
    """Hourly values with a daily and a weekly cycle around 100, dependent from hour to hour."""
    noise = source.normal(size=days * 24) * np.sqrt(1 - phi**2)
    for hour in range(1, noise.size):
        noise[hour] += phi * noise[hour - 1]
    at = np.arange(noise.size)
    return np.asarray(100 + noise + 5 * np.sin(2 * np.pi * at / DAY) + 3 * np.sin(2 * np.pi * at / WEEK))


def alarms(values: NDArray[np.float64], watch: Gradual | None = None) -> tuple[list[int], Gradual]:
    watch, found = watch or Gradual(), []
    for hour, value in enumerate(values):
        was = watch.cusum.side
        watch = watch.after(float(value), hour * HOUR)
        if watch.cusum.side and not was:
            found.append(hour)
    return found, watch


def test_cycles_and_dependence_alone_raise_hardly_an_alarm_in_90_days() -> None:
    source = np.random.default_rng(3)
    assert sum(len(alarms(hours(source, 90))[0]) for _ in range(5)) <= 5


@pytest.mark.parametrize("side", [1, -1])
def test_a_slow_drift_is_found_and_dated(side: int) -> None:
    values = hours(np.random.default_rng(4), 28)
    begin = 21 * 24
    values[begin:] += side * np.linspace(0.0, 6.0, values.size - begin)
    found, watch = alarms(values)
    assert found
    assert begin < found[0] < begin + 5 * 24
    assert watch.cusum.side == side


def test_what_has_lasted_for_a_period_is_the_new_course() -> None:
    values = hours(np.random.default_rng(5), 42)
    values[14 * 24 :] += 20.0
    found, watch = alarms(values)
    assert len(found) == 1
    assert watch.cusum.side == 0


def test_what_runs_beside_it_explains_anything() -> None:
    source, watch = np.random.default_rng(6), Gradual()
    for hour in range(24 * 20):
        world = 100 + hour**1.5 / 100
        watch = watch.after(world + float(source.normal()), hour * HOUR, beside=world)
        assert watch.cusum.side == 0
    for hour in range(24 * 20, 24 * 22):
        watch = watch.after(102 + float(source.normal()), hour * HOUR, beside=100.0)
    assert watch.cusum.side == 1


def test_an_alarm_ends_well_below_where_it_began() -> None:
    cusum = Cusum()
    for look in range(20):
        cusum = cusum.after(2.0, float(look))
    assert (cusum.side, cusum.up, cusum.since) == (1, 2 * LIMIT, 0.0)
    sides = []
    for look in range(20, 80):
        cusum = cusum.after(0.0, float(look))
        sides.append(cusum.side)
    assert sides.index(0) == pytest.approx((2 * LIMIT - LIMIT / 2) / SLACK, abs=1)
    assert not any(sides[sides.index(0) :])


def test_seasons_are_small_and_keep_each_hour_of_a_week() -> None:
    seasons = Seasons()
    assert seasons.expected(0.0) is None
    for hour in range(2 * WEEK):
        seasons = seasons.after(float(hour % WEEK), hour * HOUR)
    assert [seasons.expected(hour * HOUR) for hour in (0, 1, 167, 168)] == [0.0, 1.0, 167.0, 0.0]
    assert len(seasons.means) == 8 * WEEK
