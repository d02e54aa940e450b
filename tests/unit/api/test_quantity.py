from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from modeldeploy.api.quantity import Bound, Duration, fraction, magnitude, seconds, spell_duration

pytestmark = pytest.mark.unit

PARTS = st.lists(
    st.tuples(st.integers(0, 99_999), st.sampled_from(["s", "m", "h", "d"])), min_size=1, max_size=4
)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 30), ("20m", 1200), ("1h30m", 5400), ("7d", 604_800), ("300ms", 0.3), ("1.5s", 1.5), ("0s", 0)],
)
def test_a_duration_is_its_seconds(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "5", "5 m", "m", "-5s", "1h 30m", "5min", "1e3s", "100000s", "5M"])
def test_what_is_no_duration_is_refused_by_type_and_function(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python(text)


@given(PARTS)
def test_parts_of_a_duration_add_up(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{count}{unit}" for count, unit in parts)
    assert seconds(text) == pytest.approx(sum(count * UNITS[unit] for count, unit in parts))


@given(PARTS)
def test_no_accepted_duration_leaves_the_calendar(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{count}{unit}" for count, unit in parts)
    assert len(TypeAdapter(Duration).validate_python(text)) <= 32
    assert datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds(text))


@given(st.integers(0, 10_000_000))
def test_a_spelled_duration_reads_back_as_what_was_spelled(span: int) -> None:
    size = next((size for size in (86400, 3600, 60, 1) if span >= size), 1)
    smallest = {86400: 3600, 3600: 60, 60: 1, 1: 1}[size]
    assert 0 <= span - seconds(spell_duration(span)) < smallest


@pytest.mark.parametrize(
    ("bound", "expected"),
    [(25, 25), ("25", 25), ("0.5", 0.5), ("-3", -3), ("1%", 0.01), ("300ms", 0.3), ("2m", 120)],
)
def test_a_bound_is_a_plain_number(bound: int | str, expected: float) -> None:
    assert magnitude(TypeAdapter(Bound).validate_python(bound)) == pytest.approx(expected)


@pytest.mark.parametrize("bound", ["", "%", "ms", "1 %", "1h", "fast", "1%%", 0.5, True, None])
def test_what_is_no_bound_is_refused(bound: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Bound).validate_python(bound, strict=True)


def test_a_percentage_is_a_fraction() -> None:
    assert [fraction(text) for text in ("0%", "1%", "100%")] == [0, 0.01, 1]
