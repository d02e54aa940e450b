"""A training job's file holds the very buckets that the server exports, and the operator reads it."""

import json
import math
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from modeldeploy.core.drift.buckets import Histogram
from modeldeploy.core.drift.reference import Reference as Read
from modeldeploy.core.drift.reference import load
from modeldeploy.core.judgement.drifting import exported as exported_as
from modeldeploy.core.judgement.queries import BUCKET_FAMILY
from modeldeploy.core.judgement.sources import Family
from modeltelemetry import Buckets, Reference, Telemetry
from unit.core.judgement.simulation import make_spec

pytestmark = pytest.mark.unit

SIZES = (1.0, 5.0, 5.5, 10.0, 10.1, 1e6, 0.0)
CONFIDENCE = (0.1, 0.95, 0.951, 1.0)


def exported(telemetry: Telemetry) -> dict[str, Histogram]:
    """The server's histograms as the operator reads them; without a sum where bounds are negative."""
    found: dict[str, Histogram] = {}
    for family in text_string_to_metric_families(telemetry.exposition().decode()):
        cumulated = {
            float(sample.labels["le"]): sample.value
            for sample in family.samples
            if sample.name.endswith("_bucket")
        }
        total = [sample.value for sample in family.samples if sample.name.endswith("_sum")]
        if cumulated:
            found[family.name] = Histogram.of_cumulative(cumulated, total[0] if total else None)
    return found


@pytest.mark.parametrize("buckets", [Buckets(), Buckets(size=(5, 10, 20.5, math.inf), volume=(-3, -2.5, 0))])
def test_the_file_has_the_servers_histograms(buckets: Buckets, tmp_path: Path) -> None:
    telemetry, reference = Telemetry(("m",), buckets=buckets), Reference(buckets)
    recorder = telemetry.module("m")
    for size in SIZES:
        recorder.inputs(size=size, volume=[-2.7, 0.3], brightness=[0.4])
        reference.inputs(size=size, volume=[-2.7, 0.3], brightness=[0.4])
    recorder.outputs(values=4, confidence=CONFIDENCE)
    reference.outputs(confidence=CONFIDENCE)
    reference.write(tmp_path / "reference.json")
    read = load((tmp_path / "reference.json").read_text(), "here")
    assert isinstance(read, Read)
    server = exported(telemetry)
    assert sorted(read.histograms) == [
        "model_input_brightness",
        "model_input_size",
        "model_input_volume",
        "model_output_confidence",
    ]
    for name, (one, _) in read.histograms.items():
        assert (one.edges, one.counts) == (server[name].edges, server[name].counts)
        assert server[name].total in (one.total, None)


def test_what_was_not_counted_is_not_in_it() -> None:
    reference = Reference()
    reference.inputs(size=3)
    reference.outputs(confidence=[math.nan])
    assert list(json.loads(reference.text())["histograms"]) == ["model_input_size"]


def test_a_file_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing was counted; call inputs"):
        Reference().text()


def test_buckets_rise() -> None:
    with pytest.raises(ValueError, match="buckets must rise"):
        Reference(Buckets(size=(2, 1)))


def test_all_that_drift_is_measured_of_can_be_exported() -> None:
    reference = Reference()
    reference.inputs(size=1, volume=[0.5], brightness=[0.5])
    reference.outputs(confidence=[0.5])
    families = set(BUCKET_FAMILY.values()) - {Family.LATENCY}
    assert set(json.loads(reference.text())["histograms"]) == {
        exported_as(make_spec(), family) for family in families
    }
