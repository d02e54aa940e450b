import json

import pytest

from bench.figure import Figure, quantile

pytestmark = pytest.mark.unit


def test_a_line_says_all_and_rounds() -> None:
    line = json.loads(Figure("ready_overhead_s", 0.61234567, "s", 1.5, baseline=4.0).line())
    assert list(line) == ["name", "value", "unit", "baseline", "ratio", "bar", "ok"]
    assert line == {
        "name": "ready_overhead_s",
        "value": 0.6123,
        "unit": "s",
        "baseline": 4.0,
        "ratio": 0.1531,
        "bar": 1.5,
        "ok": True,
    }


@pytest.mark.parametrize(
    ("value", "bar", "ok"), [(0, 0, True), (1, 0, False), (90.01, 90.0, False), (5, None, True)]
)
def test_a_value_may_reach_its_bar_and_not_pass_it(value: float, bar: float | None, *, ok: bool) -> None:
    figure = Figure("failed_requests", value, "requests", bar)
    assert figure.ok is ok
    assert json.loads(figure.line())["ratio"] is None


def test_a_quantile_is_one_of_the_values() -> None:
    values = [float(number) for number in range(20, 0, -1)]
    assert quantile(values, 0.95) == 19.0
    assert quantile(values, 0.5) == 10.0
    assert quantile([7.0], 0.95) == 7.0


def test_figures_of_one_name_are_told_apart_by_their_keys() -> None:
    line = json.loads(Figure("rollback_ms", 12.0, "ms", 20, keys={"provider": "Router"}).line())

    assert list(line)[:3] == ["name", "provider", "value"]
    assert line["provider"] == "Router"
