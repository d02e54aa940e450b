"""Series are shared out by their text as they would be label by label, whatever comes and goes."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy.adapters.directory import MISSES, Directory
from modeldeploy.adapters.replies import Body, Unusable
from modeldeploy.api.v1alpha1.server import Runtime
from modeldeploy.core.judgement import Query, Table, by_name, share_out
from modeldeploy.core.judgement.queries import family_query
from modeldeploy.core.judgement.sources import Family

pytestmark = pytest.mark.unit

ASKED = (
    family_query(Family.REQUESTS),
    family_query(Family.LATENCY),
    family_query(Family.SIZE),
    family_query(Family.REQUESTS, runtime=Runtime.TRITON),
    family_query(Family.LATENCY, runtime=Runtime.TRITON),
    family_query(Family.REQUESTS, runtime=Runtime.BENTOML),
)
NAMES = sorted(by_name(ASKED))
VALUES = st.one_of(st.integers(0, 10**12).map(str), st.sampled_from(["NaN", "+Inf", "1e+06", "0.5"]))


@st.composite
def series(draw: st.DrawFn) -> dict[str, str]:
    name = draw(st.sampled_from(NAMES))
    found = {
        "__name__": name,
        "namespace": draw(st.sampled_from(["shop", "bank"])),
        "pod": draw(st.sampled_from(["a-0", "a-1", 'odd","value":[1,"9"]},{"metric":'])),
        "modeldeploy_name": draw(st.sampled_from(["digits", "words"])),
        "modeldeploy_revision": draw(st.sampled_from(["aaaa", "bbbb"])),
    }
    for query in by_name(ASKED)[name]:
        label = query.source.labels[0]
        if label != "__name__":
            found[label] = draw(st.sampled_from(["5", "200", "201", "0.5", "1"]))
    return found


def body(found: Iterable[tuple[Mapping[str, str], str]], *, at: str = "1796091000.5", **more: Any) -> Body:
    result = [{"metric": labels, "value": ["AT", value]} for labels, value in found]
    whole = {"status": "success", "data": {"resultType": "vector", "result": result}, **more}
    return Body(json.dumps(whole, separators=(",", ":")).replace('"AT"', at).encode())


def flat(shares: Mapping[Query, Mapping[tuple[str, str], object]]) -> dict[object, object]:
    return {
        (query, owner): {row[:3]: row[3] for row in counters.rows}  # type: ignore[attr-defined]
        for query, owners in shares.items()
        for owner, counters in owners.items()
    }


def expected(found: Iterable[tuple[Mapping[str, str], str]]) -> dict[object, object]:
    vector = [{"metric": labels, "value": [0.0, value]} for labels, value in found]
    askers = by_name(ASKED)
    return flat(
        {
            query: share_out(query, [item for item in vector if query in askers[item["metric"]["__name__"]]])  # type: ignore[index]
            for query in ASKED
        }
    )


@given(
    st.lists(
        st.lists(st.tuples(series(), VALUES), max_size=12, unique_by=lambda one: str(one[0])), max_size=5
    )
)
def test_whatever_comes_is_shared_out_as_by_labels(ticks: list[list[tuple[dict[str, str], str]]]) -> None:
    directory = Directory()
    for number, found in enumerate(ticks):
        shared = directory.share(ASKED, body(found, at=f"{number}"))
        assert flat(shared) == expected(found)


def rows(number: int, *, pods: int = 2) -> list[tuple[dict[str, str], str]]:
    common = {"namespace": "shop", "modeldeploy_name": "digits", "modeldeploy_revision": "aaaa"}
    return [
        (
            {"__name__": name, "pod": f"digits-{pod}", **common},
            str(number),
        )
        for pod in range(pods)
        for name in ("model_input_size_sum", "model_input_size_count")
    ]


def table(directory: Directory, found: list[tuple[dict[str, str], str]]) -> object:
    return directory.share(ASKED, body(found))[ASKED[2]]["shop", "digits"].rows


def test_the_layout_is_the_same_while_nothing_changes_and_a_pod_that_went_is_forgotten() -> None:
    directory = Directory()
    first, second = table(directory, rows(1)), table(directory, rows(2))
    assert isinstance(first, Table)
    assert isinstance(second, Table)
    assert first.layout is second.layout
    for number in range(MISSES):
        assert not isinstance(table(directory, rows(number, pods=1)), Table)
    again = table(directory, rows(9, pods=1))
    assert isinstance(again, Table)
    assert [row.pod for row in again] == ["digits-0", "digits-0"]


def test_an_answer_written_with_blanks_is_understood_too() -> None:
    compact = Directory().share(ASKED, body(rows(3)))
    whole = {"status": "success", "data": {"resultType": "vector", "result": []}}
    whole["data"]["result"] = [{"metric": labels, "value": [1, value]} for labels, value in rows(3)]  # type: ignore[index]
    spaced = Directory().share(ASKED, Body(json.dumps(whole, indent=1).encode()))
    assert flat(spaced) == flat(compact)


def test_a_large_answer_is_read_in_portions() -> None:
    many = [
        ({**labels, "modeldeploy_name": f"model-{number}"}, str(number))
        for number in range(3000)
        for labels, _ in rows(0)
    ]
    shared = Directory().share(ASKED, body(many))[ASKED[2]]
    assert len(shared) == 3000
    assert all(
        row.value == float(owner[1][6:]) for owner, counters in shared.items() for row in counters.rows
    )


@pytest.mark.parametrize("more", [{"warnings": ["store a: away"]}, {"isPartial": True}])
def test_an_answer_in_part_is_none_however_many_series_it_has(more: dict[str, Any]) -> None:
    with pytest.raises(Unusable, match="in part"):
        Directory().share(ASKED, body(rows(1), **more))


@pytest.mark.parametrize(
    "content",
    [
        b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"x"},"histogram":[1,{}]}]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"x"},"value":[1,"a"]}]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"y"},"value":[1,"1"]}]}}',
        b'{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}',
    ],
)
def test_what_is_no_vector_of_counters_is_refused(content: bytes) -> None:
    with pytest.raises((ValueError, LookupError, TypeError)):
        Directory().share(ASKED, Body(content))
