"""Strategies are lists of steps."""

import pytest

from modeldeploy.core.steps import position, steps
from unit.core.build import spec

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("strategy", "written", "expected"),
    [
        ("Canary", None, [(5, "5m"), (20, "5m"), (50, "5m")]),
        ("Canary", [{"weight": 30, "hold": "1m"}], [(30, "1m")]),
        ("Immediate", None, []),
    ],
)
def test_steps(
    strategy: str, written: list[dict[str, object]] | None, expected: list[tuple[int, str]]
) -> None:
    found = steps(spec(strategy=strategy, steps=written))
    assert [(step.weight, step.hold) for step in found] == expected


@pytest.mark.parametrize(("step", "expected"), [(0, 0), (1, 1), (2, 2), (3, 2)])
def test_position_stays_within_the_plan(step: int, expected: int) -> None:
    assert position(spec(), step) == expected
