"""Growth of counters, pod by pod."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy.core.judgement.counters import FORGET_AFTER, Pod, difference
from modeldeploy.core.judgement.table import Row

pytestmark = pytest.mark.unit


def fold(*looks: list[Row]) -> list[dict[str, dict[str, float]]]:
    pods: Mapping[str, Pod] = {}
    grown = []
    for at, rows in enumerate(looks):
        pods, increments = difference(pods, rows, float(at))
        grown.append({revision: dict(parts) for revision, parts in increments.by_revision.items()})
    return grown


def row(value: float, part: str = "2", pod: str = "r-0", revision: str = "a") -> Row:
    return Row(revision, pod, part, value)


@pytest.mark.parametrize(
    ("looks", "last"),
    [
        ([[row(100)]], {}),
        ([[row(100)], [row(103)]], {"a": {"2": 3}}),
        ([[row(100)], [row(100)]], {"a": {"2": 0}}),
        # The first error makes a new series, on a pod that was there before.
        ([[row(100)], [row(103), row(1, "5")]], {"a": {"2": 3, "5": 1}}),
        # The candidate's first requests, on a router that was there before.
        ([[row(100)], [row(103), row(2, revision="b")]], {"a": {"2": 3}, "b": {"2": 2}}),
        # A pod first seen was scraped late or is new: its level is where counting starts.
        ([[row(100)], [row(100), row(50, pod="r-1")]], {"a": {"2": 0}}),
        # A container restarted: all of its counts are new, also the one that happens to be higher.
        ([[row(100), row(1, "5")], [row(10), row(2, "5")]], {"a": {"2": 10, "5": 2}}),
        # A scrape was missed; the next one brings both intervals.
        ([[row(100)], [], [row(108)]], {"a": {"2": 8}}),
        ([[row(100)], []], {}),
        ([[row(5), row(5, pod="r-1")], [row(6), row(8, pod="r-1")]], {"a": {"2": 4}}),
        # A revision that vanishes from a router and returns goes on where it was.
        (
            [[row(5), row(7, revision="b")], [row(6)], [row(6), row(9, revision="b")]],
            {"a": {"2": 0}, "b": {"2": 2}},
        ),
    ],
)
def test_growth(looks: list[list[Row]], last: dict[str, dict[str, float]]) -> None:
    assert fold(*looks)[-1] == last


def test_a_pod_that_is_gone_is_forgotten() -> None:
    pods, _ = difference({}, [row(1)], 0.0)
    pods, _ = difference(pods, [row(1, pod="r-1")], FORGET_AFTER)
    assert set(pods) == {"r-0", "r-1"}
    pods, _ = difference(pods, [row(1, pod="r-1")], FORGET_AFTER + 1)
    assert set(pods) == {"r-1"}


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_nothing_is_lost_or_counted_twice(steps: list[tuple[int, bool, bool]]) -> None:
    """A counter that grows, restarts once all of it was scraped, and whose scrapes fail now and then."""
    pods, _ = difference({}, [row(0)], 0.0)
    level, scraped, happened, counted = 0, 0, 0, 0.0
    for at, (growth, restarts, is_missed) in enumerate([*steps, (0, False, False)], start=1):
        if restarts and scraped == level > 0 and not is_missed:
            level = 0
            grown = 0  # nothing yet, so that the fall shows
        else:
            grown = growth
        level += grown
        happened += grown
        if not is_missed:
            scraped = level
        pods, increments = difference(pods, [] if is_missed else [row(level)], float(at))
        counted += increments.by_revision.get("a", {}).get("2", 0.0)
    assert counted == happened
