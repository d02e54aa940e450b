from typing import Any

import pytest

from demo.traffic import Rate, rates
from digits.load_stats import RevisionSeen, Snapshot
from unit.demo.snapshots import snapshot

pytestmark = pytest.mark.unit


def at(seconds: float, **revisions: dict[str, int]) -> Snapshot:
    seen = {name: RevisionSeen(**counts) for name, counts in revisions.items()}
    ok = sum(each.ok for each in seen.values())
    return snapshot(at=seconds, ok=ok, outputs=2 * ok, revisions=seen)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (
            at(10, a={"answers": 100, "ok": 100}),
            at(12, a={"answers": 190, "ok": 190}, b={"answers": 10, "ok": 10, "nulls": 5}),
            [Rate("a", 45, 0, 0), Rate("b", 5, 0, 0.25)],
        ),
        (
            at(10, a={"answers": 5, "ok": 5}),
            at(11, a={"answers": 15, "ok": 7, "errors": 8}),
            [Rate("a", 10, 8, 0)],
        ),
        (
            at(10, a={"answers": 5, "ok": 5}, b={"answers": 1, "ok": 1}),
            at(11, a={"answers": 6, "ok": 6}, b={"answers": 1, "ok": 1}),
            [Rate("a", 1, 0, 0)],
        ),
        (at(10), at(10), []),
        (at(10), at(11, a={"answers": 4, "errors": 4}), [Rate("a", 4, 4, 0)]),
    ],
    ids=["two revisions", "errors", "a silent one is left out", "no time has passed", "errors only"],
)
def test_rates_are_taken_between_two_snapshots(first: Snapshot, last: Snapshot, expected: list[Rate]) -> None:
    assert rates(first, last) == expected


def test_a_share_is_never_above_one() -> None:
    last = snapshot(at=1, ok=10, outputs=10, revisions={"a": RevisionSeen(answers=2, ok=2, nulls=6)})
    found: list[Any] = rates(snapshot(at=0), last)
    assert found[0].nulls == 1.0
