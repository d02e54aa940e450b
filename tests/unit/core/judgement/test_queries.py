"""What is asked, and how an answer is shared out."""

import math

import pytest

from modeldeploy.api.v1alpha1.server import Runtime
from modeldeploy.api.v1alpha1.traffic import Provider, Traffic
from modeldeploy.core import judgement
from modeldeploy.core.judgement import (
    Counters,
    NoData,
    Number,
    QueryFailed,
    Roles,
    Row,
    by_name,
    narrowed,
    share_out,
    single,
    together,
)
from modeldeploy.core.judgement.plan import share
from modeldeploy.core.judgement.queries import family_query
from modeldeploy.core.judgement.sources import Family
from unit.core.judgement.simulation import SEVEN, make_spec

pytestmark = pytest.mark.unit

ROLES = Roles("aaaa1111", "bbbb2222")


def test_presets_are_the_same_questions_for_every_object() -> None:
    spec = make_spec(*SEVEN)
    one = judgement.queries(spec, "shop", "digits", ROLES)
    other = judgement.queries(spec, "bank", "words", Roles("cccc3333"))
    assert one == other
    assert [query.family for query in one] == [
        "requests",
        "latency",
        "nulls",
        "missing",
        "size",
        "brightness",
    ]


def test_requests_are_counted_even_without_metrics() -> None:
    assert judgement.queries(make_spec(), "shop", "digits", ROLES) == (family_query(Family.REQUESTS),)


def test_a_users_query_is_asked_for_each_revision_and_confined() -> None:
    spec = make_spec({"name": "w", "category": "Output", "query": 'x{r="$revision"}', "max": 1})
    asked = [
        query.expression for query in judgement.queries(spec, "shop", "digits", ROLES) if not query.family
    ]
    assert asked == ['x{namespace="shop",r="aaaa1111"}', 'x{namespace="shop",r="bbbb2222"}']


def test_a_question_for_one_object_names_it() -> None:
    query = narrowed(family_query(Family.NULLS), "shop", "digits")
    assert query.family is Family.NULLS
    assert 'modeldeploy_revision!="",namespace="shop",modeldeploy_name="digits"}' in query.expression


def test_several_families_are_asked_in_one_go_and_told_apart_again() -> None:
    asked = [family_query(family) for family in (Family.LATENCY, Family.SIZE, Family.REQUESTS)]
    assert together(asked) == (
        "sum by (namespace, pod, modeldeploy_name, modeldeploy_revision, __name__, le, "
        "envoy_response_code_class, grpc_status) "
        '({__name__=~"envoy_cluster_upstream_rq_time_bucket|model_input_size_sum|model_input_size_count|'
        'envoy_cluster_upstream_rq_xx|envoy_grpc_calls",modeldeploy_revision!=""})'
    )
    assert by_name(asked) == {
        "envoy_cluster_upstream_rq_time_bucket": [asked[0]],
        "model_input_size_sum": [asked[1]],
        "model_input_size_count": [asked[1]],
        "envoy_cluster_upstream_rq_xx": [asked[2]],
        "envoy_grpc_calls": [asked[2]],
    }


def test_a_question_alone_is_asked_by_name_too() -> None:
    asked = [family_query(Family.LATENCY)]
    assert together(asked) == asked[0].expression.replace("le)", "__name__, le)")


def _item(value: str, **labels: str) -> dict[str, object]:
    return {"metric": labels, "value": [1.0, value]}


def test_an_answer_is_shared_out_by_namespace_and_name() -> None:
    common = {"pod": "r-0", "modeldeploy_revision": "aaaa1111"}
    shares = share_out(
        family_query(Family.REQUESTS),
        [
            _item("3", namespace="shop", modeldeploy_name="digits", envoy_response_code_class="2", **common),
            _item("1", namespace="shop", modeldeploy_name="digits", envoy_response_code_class="5", **common),
            _item("9", namespace="bank", modeldeploy_name="digits", envoy_response_code_class="2", **common),
            _item("NaN", namespace="bank", modeldeploy_name="words", envoy_response_code_class="2", **common),
        ],
    )
    assert shares == {
        ("shop", "digits"): Counters((Row("aaaa1111", "r-0", "2", 3.0), Row("aaaa1111", "r-0", "5", 1.0))),
        ("bank", "digits"): Counters((Row("aaaa1111", "r-0", "2", 9.0),)),
    }


@pytest.mark.parametrize(
    ("result", "answer"),
    [
        ([], NoData()),
        ([_item("2.5")], Number(2.5)),
        ([1.0, "7"], Number(7.0)),
        ([_item("NaN")], NoData("the query yields NaN")),
        ([_item("+Inf")], NoData("the query yields +Inf")),
        ([1.0, "-Inf"], NoData("the query yields -Inf")),
        (
            [_item("1", a="1"), _item("2", a="2")],
            QueryFailed("the query yields 2 series where one is expected; aggregate with sum()"),
        ),
        (
            [{"metric": {}, "histogram": [1.0, {}]}],
            QueryFailed("the query yields a histogram where a number is expected; use histogram_quantile()"),
        ),
    ],
)
def test_a_users_query_yields_one_finite_number_or_none(result: list[object], answer: object) -> None:
    assert single(result) == answer


def test_a_call_that_failed_by_grpcs_word_counts_as_an_error_though_http_says_200() -> None:
    common = {"namespace": "shop", "modeldeploy_name": "digits", "modeldeploy_revision": "a", "pod": "r-0"}
    vector = [
        _item("90", envoy_response_code_class="2", **common),
        _item("10", envoy_response_code_class="5", **common),
    ]
    calls = {"0": "60", "5": "10", "13": "12", "14": "8"}
    vector += [_item(count, grpc_status=status, **common) for status, count in calls.items()]
    (rows,) = [found.rows for found in share_out(family_query(Family.REQUESTS), vector).values()]
    parts = {row.part: row.value for row in rows}
    assert share(Family.REQUESTS, parts) == (10 + 12 + 8, 100)
    assert share(Family.REQUESTS, {"2": 3, "grpc 14": 5}) == (3, 3), "two counters, one scrape between them"


def test_without_a_router_the_models_own_server_counts() -> None:
    spec = make_spec(*SEVEN).model_copy(update={"traffic": Traffic(provider=Provider.TRAEFIK)})
    asked = {query.family: query for query in judgement.queries(spec, "shop", "digits", ROLES)}
    requests = asked[Family.REQUESTS]
    assert "model_requests_total" in requests.expression
    assert "envoy" not in requests.expression
    labels = {
        "namespace": "shop",
        "modeldeploy_name": "digits",
        "modeldeploy_revision": "a",
        "pod": "p",
    }
    answers = {"200": 7, "404": 1, "500": 2, "503": 3}
    vector = [
        {"metric": labels | {"code": code}, "value": [0, str(count)]} for code, count in answers.items()
    ]
    shared = share_out(requests, vector)["shop", "digits"]
    assert {row.part: row.value for row in shared.rows} == {"2": 7, "4": 1, "5": 5}


def test_a_server_s_seconds_are_milliseconds_like_the_router_s() -> None:
    latency = family_query(Family.LATENCY, runtime=Runtime.OPEN_INFERENCE)
    labels = {"namespace": "shop", "modeldeploy_name": "digits", "modeldeploy_revision": "a", "pod": "p"}
    edges = ("0.0025", "0.3", "+Inf")
    vector = [{"metric": labels | {"le": edge}, "value": [0, "1"]} for edge in edges]
    rows = share_out(latency, vector)["shop", "digits"].rows
    assert sorted(float(row.part) for row in rows) == [2.5, 300.0, math.inf]
