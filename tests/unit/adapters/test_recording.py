"""Series in a file are answered like a metrics store's."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from modeldeploy.adapters.history import Moment, Ticket
from modeldeploy.adapters.recording import LOOKBACK, Recording, RecordingError
from modeldeploy.api.v1alpha1.monitoring import Metric
from modeldeploy.core.judgement import Answer, Counters, NoData, Number, Query, QueryFailed, Row
from modeldeploy.core.judgement.queries import family_query
from modeldeploy.core.judgement.sources import Family

pytestmark = pytest.mark.unit

WHO = Ticket("shop", "digits")
NULLS, REQUESTS = family_query(Family.NULLS), family_query(Family.REQUESTS)
OWN = Query("own")
NULLS_TOTAL, VALUES_TOTAL = "model_output_null_total", "model_output_values_total"


def when(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def opened(folder: Path, text: str, name: str = "data.om") -> Recording:
    path = folder / name
    path.write_text(text)
    return Recording(path, WHO)


def asked(recording: Recording, query: Query, *times: float) -> list[Answer]:
    metric = Metric.model_validate({"name": "own-query", "category": "Output", "query": "x", "max": 1})
    own = {OWN: (metric, "a")} if query is OWN else {}
    found: list[Answer] = []
    for at in times:
        (moment,) = recording.moments([query], own, when(at), when(at), "10s")
        assert isinstance(moment, Moment)
        found.append(moment.answers[query])
    return found


OPENMETRICS = """\
# HELP model_output_values_total Answers.
# TYPE model_output_values counter
model_output_values_total{namespace="shop",modeldeploy_name="digits",modeldeploy_revision="a"} 10 1000.5
model_output_values_total{namespace="shop",modeldeploy_name="digits",modeldeploy_revision="a"} 12 1010 # {} 1
model_output_null_total{ namespace ="shop", modeldeploy_name="digits",modeldeploy_revision="a" ,} 1.0 1.0005e3
model_output_null_total{namespace="bank",modeldeploy_name="digits",modeldeploy_revision="a"} 99 1000
model_output_null_total{pod="p",text="a \\"b\\" \\\\ \\n } ,c"} 99 1000
up 1 1000
# EOF
"""

TABLE = """\
time,metric,value,modeldeploy_revision,pod,envoy_response_code_class
1000,envoy_cluster_upstream_rq_xx,5,a,r,2
1970-01-01T00:16:50Z,envoy_cluster_upstream_rq_xx,8,a,r,2
1970-01-01 00:16:40,envoy_cluster_upstream_rq_xx,1,a,r,5
1000,own-query,0.5,a,,
1010,own-query,NaN,a,,
"""


def test_openmetrics(tmp_path: Path) -> None:
    recording = opened(tmp_path, OPENMETRICS)
    before, at, later, gone = asked(recording, NULLS, 1000, 1010, 1300, 1320)
    assert before == NoData()
    assert at == later == Counters((Row("a", "", NULLS_TOTAL, 1.0), Row("a", "", VALUES_TOTAL, 12.0)))
    assert gone == NoData()
    assert recording.span == (when(1000.5), when(1010))
    assert recording.others == {"bank/digits"}


def test_a_table_needs_no_columns_for_what_the_manifest_says(tmp_path: Path) -> None:
    recording = opened(tmp_path, TABLE, "data.csv")
    assert asked(recording, REQUESTS, 1000, 1010) == [
        Counters((Row("a", "r", "2", 5.0), Row("a", "r", "5", 1.0))),
        Counters((Row("a", "r", "2", 8.0), Row("a", "r", "5", 1.0))),
    ]


def test_a_users_own_query_is_found_by_its_metrics_name(tmp_path: Path) -> None:
    assert asked(opened(tmp_path, TABLE, "data.csv"), OWN, 1000, 1010) == [
        Number(0.5),
        NoData("its series has no value"),
    ]
    text = 'own_query{modeldeploy_revision="a"} 3 1000\n'
    assert asked(opened(tmp_path, text), OWN, 1000) == [Number(3.0)]
    assert asked(opened(tmp_path, OPENMETRICS), OWN, 1000) == [
        QueryFailed("a file can't evaluate its query; give its values as a series own-query")
    ]


def test_a_sample_is_good_for_as_long_as_in_prometheus(tmp_path: Path) -> None:
    text = 'model_output_null_total{modeldeploy_revision="a"} 3 1000\n'
    inside, outside = asked(opened(tmp_path, text), NULLS, 1000 + LOOKBACK - 10, 1000 + LOOKBACK)
    assert isinstance(inside, Counters)
    assert outside == NoData()


def test_samples_in_any_order(tmp_path: Path) -> None:
    lines = [
        f'model_output_null_total{{modeldeploy_revision="a"}} {at / 10} {at}\n' for at in (1020, 1000, 1010)
    ]
    found = asked(opened(tmp_path, "".join(lines)), NULLS, 1000, 1010, 1020)
    assert [answer.rows[0].value for answer in found if isinstance(answer, Counters)] == [100.0, 101.0, 102.0]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "data.csv",
            "time,value\n1,2\n",
            "lacks the columns metric, modeldeploy_revision; name in its first line time, metric, value, ",
        ),
        ("data.csv", "", "lacks the columns time, metric, value, modeldeploy_revision; name"),
        (
            "data.csv",
            TABLE + "1020,x,many,a,,\n",
            "line 7: the value 'many' is no number; write e.g. 412 or 0.5",
        ),
        ("data.csv", TABLE + "1020,x\n", "line 7: the value '' is no number"),
        (
            "data.csv",
            TABLE + "noon,x,1,a,,\n",
            "line 7: the time 'noon' is no time; write 2026-11-22T12:00:00Z",
        ),
        ("data.csv", TABLE + "inf,x,1,a,,\n", "line 7: the time 'inf' is no time"),
        ("data.om", "x{} 1\n", "line 1: the sample has no time; add it in seconds since 1970"),
        (
            "data.om",
            "# HELP\nx{a=b} 1 2\n",
            "line 2: 'x{a=b} 1 2' is no sample; write name{label=\"x\"} value time",
        ),
        ("data.om", "x{} one 2\n", "line 1: the value 'one' is no number"),
        ("data.om", "x{} 1 soon\n", "line 1: the time 'soon' is no time"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(RecordingError) as failed:
        opened(tmp_path, text, name)
    assert str(failed.value).startswith(f"{tmp_path / name}: {said}")


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="can't be read: No such file or directory"):
        Recording(tmp_path / "none.csv", WHO)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecordingError, match="can't be read: "):
        Recording(tmp_path / "binary", WHO)


def test_a_label_that_counts_are_kept_apart_by_must_be_there(tmp_path: Path) -> None:
    text = "time,metric,value,modeldeploy_revision\n1000,envoy_cluster_upstream_rq_xx,5,a\n"
    assert opened(tmp_path, text, "data.csv").lacks([NULLS, REQUESTS]) == (
        "series of envoy_cluster_upstream_rq_xx lack the label envoy_response_code_class or grpc_status; "
        "add it (in a table: a column)"
    )
    assert opened(tmp_path, TABLE, "data.csv").lacks([NULLS, REQUESTS]) is None
