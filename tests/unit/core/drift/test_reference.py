import json
import math

import pytest

from modeldeploy.core.drift.buckets import Histogram
from modeldeploy.core.drift.insensitive import advice, crowded
from modeldeploy.core.drift.reference import FORMAT, UNREADABLE, Reference, Trouble, dump, load

pytestmark = pytest.mark.unit

EDGES = (1.0, 2.5, math.inf)
ONE = Histogram(EDGES, (3.0, 7.0, 1.0), 19.5)
WELL = {"le": ["1", "2.5", "+Inf"], "counts": [3, 7, 1], "sum": 19.5}


def file(**changes: object) -> str:
    return json.dumps({"format": FORMAT, "histograms": {"size": {**WELL, **changes}}})


def test_what_is_written_is_read() -> None:
    reference = Reference({"size": (ONE, 1.0), "other": (Histogram(EDGES, (0.0, 0.5, 1.0)), 2.5)})
    found = load(dump(reference), "here")
    assert isinstance(found, Reference)
    assert found.histograms["size"] == (ONE, 1.0)
    assert found.histograms["other"][0].counts == (0.0, 0.5, 1.0)
    assert found.histograms["other"][1] == 2.5
    assert found.histograms["other"][0].total is None


def test_a_plain_file_is_read() -> None:
    found = load(file(), "here")
    assert isinstance(found, Reference)
    assert found.histograms == {"size": (ONE, 1.0)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('{"a": NaN}', "NaN is no number"),
        ("[]", "it lacks"),
        ("{}", FORMAT),
        (json.dumps({"format": FORMAT}), 'holds no "histograms"'),
        (json.dumps({"format": FORMAT, "histograms": []}), 'holds no "histograms"'),
        (json.dumps({"format": FORMAT, "histograms": {"size": 3}}), "histogram size: is no object"),
        (file(le="x"), "must be lists"),
        (file(counts=[1]), "differ in length"),
        (file(le=["1", "x", "+Inf"]), "numbers and +Inf"),
        (file(le=["1", None, "+Inf"]), "numbers and +Inf"),
        (file(le=["1", "NaN", "+Inf"]), "numbers and +Inf"),
        (file(le=["2", "1", "+Inf"]), "must rise"),
        (file(le=["1", "2", "3"]), "end with +Inf"),
        (file(le=[], counts=[]), "end with +Inf"),
        (file(counts=[1, 2, -1]), "counts must be numbers"),
        (file(counts=[1, 2, "x"]), "counts must be numbers"),
        (file(counts=[1, 2, True]), "counts must be numbers"),
        (file(counts=[0, 0, 0]), "counts are all 0"),
        (file(sum="x"), "sum must be a number"),
        (file(clumps=0.5), "clumps"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_the_mend(text: str, said: str) -> None:
    found = load(text, "ConfigMap a, key b")
    assert isinstance(found, Trouble)
    assert found.reason == UNREADABLE
    assert found.message.startswith("ConfigMap a, key b ")
    assert said in found.message
    assert "modeltelemetry.Reference" in found.message


def test_a_crowded_bucket_is_told_with_better_ones() -> None:
    seen = Histogram((10.0, 50.0, math.inf), (5.0, 90.0, 5.0))
    place = crowded(seen)
    assert place == 1
    said = advice(seen, place)
    assert said.startswith("90% fall into one bucket (10 to 50)")
    assert said.endswith("e.g. 15, 20, 25, 30, 35, 40, 45, 50")


def test_a_crowded_last_bucket_gets_edges_about_the_mean() -> None:
    seen = Histogram((1.0, 2.0, math.inf), (1.0, 1.0, 98.0), 98 * 400.0)
    said = advice(seen, 2)
    assert "(2 to +Inf)" in said
    assert "99.8," in said
    assert said.endswith(", 784")


def test_spread_observations_are_not_crowded() -> None:
    assert crowded(Histogram(EDGES, (1.0, 1.0, 1.0))) is None
    assert crowded(Histogram(EDGES, (0.0, 0.0, 0.0))) is None
    assert crowded(Histogram()) is None
