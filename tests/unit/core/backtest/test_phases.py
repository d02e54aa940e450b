"""Who was stable and who was on trial, from who answered requests."""

from collections.abc import Mapping, Sequence

import pytest

from modeldeploy.core.backtest import Activity, Ended, Phase, Said, phase_at, phases
from modeldeploy.core.backtest.phases import QUIET, Counted
from modeldeploy.core.judgement import Answer, Counters, NoData, Query, Roles, Row
from modeldeploy.core.judgement.queries import family_query
from modeldeploy.core.judgement.sources import Family

pytestmark = pytest.mark.unit

INTERVAL = 10.0
WINDOW = 120.0
REQUESTS = family_query(Family.REQUESTS)


def counted(*spans: tuple[int, Mapping[str, float]]) -> list[Counted]:
    """Looks every 10 s: so many of them with these requests by revision, then the next."""
    found, at = [], 0.0
    for looks, requests in spans:
        for _ in range(looks):
            at += INTERVAL
            if requests:
                found.append(Counted(at, requests))
    return found


def learned(*spans: tuple[int, Mapping[str, float]], said: Said | None = None) -> Sequence[Phase]:
    return phases(counted(*spans), window=WINDOW, interval=INTERVAL, said=said or Said())


def told(found: Sequence[Phase]) -> list[tuple[float, str | None, str | None, str | None]]:
    return [
        (one.since, one.roles.stable, one.roles.candidate, one.ended and str(one.ended)) for one in found[1:]
    ]


def test_one_revision_alone_is_watched() -> None:
    assert learned((100, {"a": 5})) == (Phase(float("-inf"), Roles("a")),)


def test_nothing_counted_tells_nothing_unless_stable_is_named() -> None:
    assert learned() == ()
    assert [one.roles for one in learned(said=Said("a"))] == [Roles("a")]


def test_the_first_is_stable_and_the_next_is_on_trial_from_its_first_request() -> None:
    found = learned((10, {"a": 9}), (10, {"a": 8, "b": 1}))
    assert told(found) == [(110.0, "a", "b", "Open")]
    assert found[1].roles.started_at == 110.0


def test_a_candidate_that_goes_on_alone_was_promoted() -> None:
    found = learned((10, {"a": 9}), (10, {"a": 5, "b": 5}), (100, {"b": 9}))
    assert told(found) == [(110.0, "a", "b", "Promoted"), (210.0, "b", None, None)]


def test_a_candidate_that_gets_no_more_was_withdrawn() -> None:
    found = learned((10, {"a": 9}), (10, {"a": 8, "b": 1}), (100, {"a": 9}))
    assert told(found) == [(110.0, "a", "b", "Withdrawn"), (210.0, "a", None, None)]


def test_a_third_revision_takes_the_candidates_place() -> None:
    found = learned((10, {"a": 9}), (10, {"a": 8, "b": 1}), (10, {"a": 8, "c": 1}), (100, {"c": 9}))
    assert told(found) == [
        (110.0, "a", "b", "Superseded"),
        (210.0, "a", "c", "Promoted"),
        (310.0, "c", None, None),
    ]


def test_a_switch_at_once_leaves_no_trial() -> None:
    assert told(learned((100, {"a": 9}), (100, {"b": 9}))) == [(1010.0, "b", None, None)]


def test_a_replaced_revision_that_gets_requests_again_is_on_trial_again() -> None:
    quiet = round(2 * QUIET / INTERVAL)
    found = learned((10, {"a": 9}), (10, {"a": 5, "b": 5}), (quiet, {"b": 9}), (10, {"a": 5, "b": 4}))
    assert [one.roles.candidate for one in found] == [None, "b", None, "a"]
    assert found[-1].roles.stable == "b"


def test_a_short_silence_ends_no_trial() -> None:
    short = round(QUIET / INTERVAL) - 1
    found = learned((10, {"a": 9}), (5, {"a": 9, "b": 1}), (short, {"a": 9}), (5, {"a": 9, "b": 1}))
    assert told(found) == [(110.0, "a", "b", "Open")]


def test_a_night_without_any_request_ends_no_trial() -> None:
    found = learned((10, {"a": 9}), (5, {"a": 9, "b": 1}), (3000, {}), (2, {"a": 9}), (5, {"a": 9, "b": 1}))
    assert told(found) == [(110.0, "a", "b", "Open")]


def test_the_last_looks_without_a_request_end_no_trial() -> None:
    looks = round(WINDOW / INTERVAL)
    assert told(learned((10, {"a": 9}), (5, {"a": 9, "b": 1}), (looks, {"a": 9}))) == [
        (110.0, "a", "b", "Open")
    ]
    more = learned((10, {"a": 9}), (5, {"a": 9, "b": 1}), (looks + 1, {"a": 9}))
    assert more[1].ended is Ended.WITHDRAWN


def test_where_data_begins_in_a_trial_the_one_with_more_requests_is_stable() -> None:
    found = learned((1, {"b": 1}), (30, {"b": 1, "a": 9}))
    assert told(found) == [(10.0, "a", "b", "Open")]


@pytest.mark.parametrize(
    ("said", "roles"),
    [
        (Said(stable="b"), [("b", None), ("b", "a"), ("b", "c")]),
        (Said(candidate="c"), [("a", None), ("a", "c")]),
        (Said("c", "a"), [("c", None), ("c", "a")]),
    ],
    ids=["stable", "candidate", "both"],
)
def test_what_is_said_is_not_learned(said: Said, roles: list[tuple[str, str | None]]) -> None:
    found = learned((10, {"a": 9}), (5, {"a": 6, "b": 2, "c": 1}), said=said)
    assert [(one.roles.stable, one.roles.candidate) for one in found] == roles


def test_a_named_candidate_may_be_silent_for_long() -> None:
    quiet = round(3 * QUIET / INTERVAL)
    spans = ((10, {"a": 9.0}), (5, {"a": 9.0, "b": 1.0}), (quiet, {"a": 9.0}), (5, {"a": 9.0, "b": 1.0}))
    assert len(learned(*spans)) == 4
    assert told(learned(*spans, said=Said("a", "b"))) == [(110.0, "a", "b", "Open")]


def test_a_time_lies_in_the_latest_phase_that_has_begun() -> None:
    found = learned((10, {"a": 9}), (10, {"a": 5, "b": 5}), (100, {"b": 9}))
    assert [phase_at(found, at).roles.candidate for at in (0.0, 109.9, 110.0, 209.9, 210.0)] == [
        None,
        None,
        "b",
        "b",
        None,
    ]


def test_activity_is_what_counters_have_grown_by() -> None:
    def rows(**counts: float) -> dict[Query, Answer]:
        return {REQUESTS: Counters(tuple(Row(name, "router", "2", count) for name, count in counts.items()))}

    activity = Activity()
    silence: dict[Query, Answer] = {REQUESTS: NoData()}
    for at, answers in enumerate(
        [rows(a=100), rows(a=105, b=0), silence, rows(a=105, b=3), rows(a=105, b=3)]
    ):
        activity.look(float(at), answers)
    assert activity.counted == [Counted(1.0, {"a": 5.0}), Counted(3.0, {"b": 3.0})]
    assert activity.revisions == {"a", "b"}
