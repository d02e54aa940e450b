"""What the recorder writes, read back from the exposition as Prometheus reads it."""

import math
from collections.abc import Mapping

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.parser import text_string_to_metric_families

from modeltelemetry import Buckets, Telemetry

pytestmark = pytest.mark.unit


def samples(telemetry: Telemetry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(telemetry.exposition().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def value(telemetry: Telemetry, name: str, labels: Mapping[str, str] | None = None) -> float:
    labels = {"module": "digits"} if labels is None else labels
    return samples(telemetry)[name, tuple(sorted(labels.items()))]


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry(("digits",), events=("redo", "typed"))


def test_everything_known_is_exported_at_zero_before_the_first_request() -> None:
    exported = samples(Telemetry(("detector", "recogniser"), events=("redo",), codes=(200, 500)))
    for module in ("detector", "recogniser"):
        for code in ("200", "500"):
            assert exported["model_requests_total", (("code", code), ("module", module))] == 0
        for name in (
            "model_request_duration_seconds_count",
            "model_inflight_requests",
            "model_input_size_count",
            "model_input_volume_count",
            "model_input_brightness_count",
            "model_input_values_total",
            "model_input_missing_total",
            "model_output_values_total",
            "model_output_null_total",
            "model_output_confidence_count",
            "model_telemetry_rejected_total",
        ):
            assert exported[name, (("module", module),)] == 0, name
    assert exported["model_feedback_total", (("event", "redo"),)] == 0


def test_no_series_carries_a_creation_time(telemetry: Telemetry) -> None:
    telemetry.module("digits").outputs(values=1)
    assert b"_created" not in telemetry.exposition()


def test_a_gauge_of_the_users_own_that_is_called_created_is_kept(telemetry: Telemetry) -> None:
    own = CollectorRegistry()
    Gauge("cache_created", "When the cache was made.", registry=own).set(7)
    telemetry.register(own)
    assert value(telemetry, "cache_created", {}) == 7


def test_registering_a_name_that_is_taken_is_refused(telemetry: Telemetry) -> None:
    with pytest.raises(ValueError, match="Duplicated"):
        telemetry.register(Counter("model_requests", "Mine.", registry=None))


def test_the_null_ratio_is_nulls_over_outputs_not_over_requests(telemetry: Telemetry) -> None:
    digits = telemetry.module("digits")
    digits.outputs(values=3, nulls=1, confidence=(0.9, 0.8))
    digits.outputs(values=1)
    nulls, outputs = (
        value(telemetry, "model_output_null_total"),
        value(telemetry, "model_output_values_total"),
    )
    assert (nulls, outputs) == (1, 4)
    assert value(telemetry, "model_output_confidence_count") == 2


def test_one_request_adds_one_size_and_one_brightness_per_image(telemetry: Telemetry) -> None:
    telemetry.module("digits").inputs(size=3, brightness=(0.2, 0.3, 0.4), values=192, missing=2)
    assert value(telemetry, "model_input_size_sum") == 3
    assert value(telemetry, "model_input_size_count") == 1
    assert value(telemetry, "model_input_brightness_count") == 3
    assert value(telemetry, "model_input_brightness_sum") == pytest.approx(0.9)
    assert value(telemetry, "model_input_values_total") == 192
    assert value(telemetry, "model_input_missing_total") == 2


def test_values_that_are_not_finite_are_left_out_and_counted(telemetry: Telemetry) -> None:
    telemetry.module("digits").inputs(volume=(math.nan, 0.5, math.inf))
    assert value(telemetry, "model_input_volume_sum") == 0.5
    assert value(telemetry, "model_telemetry_rejected_total") == 2


@pytest.mark.parametrize(("values", "nulls"), [(1, 2), (1, -1), (-1, 0)])
def test_more_nulls_than_outputs_are_refused_and_nothing_is_recorded(
    telemetry: Telemetry, values: int, nulls: int
) -> None:
    before = samples(telemetry).keys()
    with pytest.raises(ValueError, match="nulls must be between 0 and values"):
        telemetry.module("digits").outputs(values=values, nulls=nulls, confidence=(0.5,))
    assert samples(telemetry).keys() == before
    assert value(telemetry, "model_output_values_total") == 0
    assert value(telemetry, "model_output_confidence_count") == 0


def test_more_missing_values_than_values_are_refused(telemetry: Telemetry) -> None:
    with pytest.raises(ValueError, match="missing must be between 0 and values"):
        telemetry.module("digits").inputs(size=1, values=64, missing=65)
    assert value(telemetry, "model_input_size_count") == 0


def test_a_bound_belongs_to_its_own_bucket() -> None:
    telemetry = Telemetry(("digits",), buckets=Buckets(size=(1, 4)))
    for size in (1, 4, 5):
        telemetry.module("digits").inputs(size=size)
    cumulative = [
        value(telemetry, "model_input_size_bucket", {"module": "digits", "le": le})
        for le in ("1.0", "4.0", "+Inf")
    ]
    assert cumulative == [1, 2, 3]


def test_a_code_that_was_not_foreseen_appears_when_it_happens(telemetry: Telemetry) -> None:
    digits = telemetry.module("digits")
    digits.started()
    digits.finished(418, 0.1)
    assert value(telemetry, "model_requests_total", {"module": "digits", "code": "418"}) == 1
    assert value(telemetry, "model_inflight_requests") == 0


@pytest.mark.parametrize("code", [0, 99, 600, 20_000])
def test_a_code_that_is_no_http_status_cannot_become_a_label(telemetry: Telemetry, code: int) -> None:
    with pytest.raises(ValueError, match="no HTTP status"):
        telemetry.module("digits").finished(code, 0.1)


def test_a_step_of_a_pipeline_is_counted_under_its_own_module() -> None:
    telemetry = Telemetry(("detector", "recogniser"))
    with telemetry.module("detector").track():
        assert value(telemetry, "model_inflight_requests", {"module": "detector"}) == 1
    with pytest.raises(RuntimeError), telemetry.module("recogniser").track():
        raise RuntimeError
    counts = {
        (module, code): value(telemetry, "model_requests_total", {"module": module, "code": code})
        for module in ("detector", "recogniser")
        for code in ("200", "500")
    }
    assert counts == {
        ("detector", "200"): 1,
        ("detector", "500"): 0,
        ("recogniser", "200"): 0,
        ("recogniser", "500"): 1,
    }
    assert value(telemetry, "model_inflight_requests", {"module": "recogniser"}) == 0


def test_an_unknown_module_is_refused_with_the_known_ones(telemetry: Telemetry) -> None:
    with pytest.raises(KeyError, match="this server has digits"):
        telemetry.module("digit")


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ((), "modules: 1 to 64 names, not 0"),
        ("digits", "a list of names"),
        (("Digits",), "'Digits' must be of a-z"),
        (("a" * 64,), "must be of a-z"),
        (tuple(f"m{n}" for n in range(65)), "1 to 64 names, not 65"),
    ],
)
def test_label_values_that_could_grow_or_confuse_are_refused(modules: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Telemetry(modules)


def test_buckets_that_do_not_rise_are_refused() -> None:
    with pytest.raises(ValueError, match="sorted"):
        Telemetry(("digits",), buckets=Buckets(size=(4, 1)))


def test_memory_and_cpu_of_the_process_are_exported(telemetry: Telemetry) -> None:
    assert value(telemetry, "process_resident_memory_bytes", {}) > 1_000_000


def test_classes_that_were_not_named_count_as_other() -> None:
    telemetry = Telemetry(("digits",), classes=("seven", "eight"))
    telemetry.module("digits").outputs(values=4, nulls=1, classes=("seven", "seven", "a cat"))
    found = {
        one: value(telemetry, "model_output_class_total", {"module": "digits", "class": one})
        for one in ("seven", "eight", "other")
    }
    assert found == {"seven": 2, "eight": 0, "other": 1}


def test_labels_that_come_later_say_how_many_answers_were_right(telemetry: Telemetry) -> None:
    digits = telemetry.module("digits")
    digits.labels(values=10, correct=9)
    assert value(telemetry, "model_labelled_total") == 10
    assert value(telemetry, "model_labelled_correct_total") == 9
    with pytest.raises(ValueError, match="correct must be between 0 and values"):
        digits.labels(values=1, correct=2)
