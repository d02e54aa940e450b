"""One metric over days, looked at every 10 seconds or every minute: sudden and gradual are told apart."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from modeldeploy.core.drift.course import Course, How, Shift

pytestmark = pytest.mark.unit

DAY = 86400.0


def follow(
    rate: Callable[[float], float], days: float, *, seed: int, load: int = 600
) -> tuple[list[tuple[float, Shift]], Course]:
    """A share looked at every minute; each alarm when it comes up, and the course at the end."""
    source, course, found = np.random.default_rng(seed), Course(), []
    at, standing = 0.0, False
    while at < days * DAY:
        requests = int(source.poisson(load * (1.0 + 0.5 * math.sin(2 * math.pi * at / DAY))))
        course = course.after(int(source.binomial(requests, rate(at))), requests, at, is_share=True)
        shift = course.shift
        if shift and not standing:
            found.append((at, shift))
        standing = shift is not None
        at += 60.0
    return found, course


def cycle(at: float) -> float:
    return 0.05 * (1 + 0.3 * math.sin(2 * math.pi * at / DAY) + 0.1 * math.sin(2 * math.pi * at / (7 * DAY)))


def test_a_cycle_is_no_change() -> None:
    assert follow(cycle, 21, seed=1)[0] == []


def test_a_jump_is_sudden_and_stays_so() -> None:
    begin = 8.3 * DAY
    found, course = follow(lambda at: cycle(at) * (3.0 if at >= begin else 1.0), 10, seed=2)
    at, shift = found[0]
    assert shift.how is How.SUDDEN
    assert 0 <= at - begin <= 400
    assert abs(shift.since - begin) <= 120
    assert shift.was == pytest.approx(cycle(begin), rel=0.2)
    assert len(found) == 1
    assert course.shift is not None
    assert course.shift.how is How.SUDDEN


def test_a_slow_rise_is_gradual() -> None:
    begin = 9 * DAY
    found, _ = follow(lambda at: cycle(at) * (1.0 + max(0.0, at - begin) / (10 * DAY)), 13, seed=3)
    at, shift = found[0]
    assert (shift.how, shift.side) == (How.GRADUAL, 1)
    assert 0 < at - begin < 3 * DAY
    assert shift.since >= begin - DAY
    assert shift.value >= shift.bound


def test_looks_within_a_minute_and_an_hour_are_taken_together() -> None:
    course = Course()
    for look in range(7 * 60):
        course = course.after(1.0, 10.0, 10.0 * look, is_share=True)
    assert course.shock.level.looks == 7 * 10 - 1
    assert course.shock.level.mean == pytest.approx(0.1)
    assert course.gradual.seasons.seen == 1
    assert course.gradual.seasons.expected(0.0) == pytest.approx(0.1)


def test_without_requests_nothing_is_learned() -> None:
    course = Course().after(1.0, 10.0, 0.0, is_share=True)
    for look in range(1, 100):
        course = course.after(0.0, 0.0, 60.0 * look, is_share=True)
    assert course.shock.level.looks == 1


def test_another_model_starts_its_outputs_anew_and_keeps_its_inputs() -> None:
    _, calm = follow(lambda _: 0.05, 0.2, seed=4)
    inputs = replace(calm, of_inputs=True)
    assert inputs.promoted() is inputs
    assert calm.promoted() == Course()
    _, moved = follow(lambda at: 0.05 if at < 0.15 * DAY else 0.5, 0.2, seed=4)
    assert moved.shift is not None
    assert replace(moved, of_inputs=True).promoted() == Course(of_inputs=True)
