"""Strategies are lists of steps."""

from typing import Any

import pytest

from modeldeploy.core.steps import position, steps
from unit.core.build import spec

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("rollout", "expected"),
    [
        ({"strategy": "Canary"}, [(5, 0, 300, False), (20, 0, 300, False), (50, 0, 300, False)]),
        ({"strategy": "Shadow"}, [(0, 100, 300, False), (0, 100, 0, True)]),
        ({"strategy": "BlueGreen"}, [(0, 0, 300, False)]),
        ({"strategy": "BlueGreen", "switch": "Instant"}, [(0, 0, 300, False)]),
        (
            {"strategy": "BlueGreen", "switch": "Gradual"},
            [(0, 0, 300, False), (25, 0, 60, False), (50, 0, 60, False), (75, 0, 60, False)],
        ),
        ({"strategy": "Immediate"}, []),
        ({"steps": [{"weight": 30, "hold": "1m"}]}, [(30, 0, 60, False)]),
        (
            {
                "steps": [
                    {"shadow": {"percent": 20}},
                    {"approval": "Required"},
                    {"weight": 5, "hold": "10m"},
                    {"approval": "Required", "hold": "1m"},
                    {"weight": 50, "approval": "Required"},
                ]
            },
            [(0, 20, 300, False), (0, 20, 0, True), (5, 0, 600, False), (5, 0, 60, True), (50, 0, 300, True)],
        ),
    ],
)
def test_steps(rollout: dict[str, Any], expected: list[tuple[int, int, float, bool]]) -> None:
    found = steps(spec(**({"steps": None} | rollout)))
    assert [(stage.weight, stage.mirror, stage.hold, stage.approval) for stage in found] == expected


@pytest.mark.parametrize(
    ("preview", "expected"),
    [
        ({}, ("x-modeldeploy-preview", "candidate", None)),
        ({"header": {"name": "x-team", "value": "ml"}}, ("x-team", "ml", None)),
        ({"hostname": "next.example.org"}, (None, None, "next.example.org")),
    ],
)
def test_a_preview_stays_open_while_the_shares_grow(
    preview: dict[str, Any], expected: tuple[str | None, ...]
) -> None:
    found = steps(spec(steps=[{"preview": preview}, {"weight": 5}]))
    for stage in found:
        assert stage.preview is not None
        assert (stage.preview.header, stage.preview.value, stage.preview.hostname) == expected
    assert [stage.has_traffic for stage in found] == [False, True]


@pytest.mark.parametrize(("step", "expected"), [(0, 0), (1, 1), (2, 2), (3, 2)])
def test_position_stays_within_the_plan(step: int, expected: int) -> None:
    assert position(spec(), step) == expected
