"""Each preset, from the text that a server exports to the verdict."""

from pathlib import Path

import pytest

from modeldeploy.api.v1alpha1.monitoring import Preset
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core import judgement
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.judgement.presets import PRESETS
from modeldeploy.core.judgement.queries import by_name, family_query, narrowed, share_out, together
from modeldeploy.core.judgement.sources import Family
from runtimes.reading import CANDIDATE, INTERVAL, STABLE, made, recording, verdicts

pytestmark = pytest.mark.unit

LOOKS = 30
BAD: dict[Preset, tuple[dict[str, object], str, str, str]] = {
    # bounds; what stable's page gains per look, and the candidate's; the candidate's value as it is shown
    Preset.LATENCY_MEAN: (
        {"max": "100ms"},
        "model_request_duration_seconds_sum 5\nmodel_request_duration_seconds_count 100",
        "model_request_duration_seconds_sum 30\nmodel_request_duration_seconds_count 100",
        "300 ms",
    ),
    Preset.THROUGHPUT: (
        {"min": 20},
        'model_requests_total{code="200"} 300',
        'model_requests_total{code="200"} 100',
        "10",
    ),
    Preset.CPU: ({"max": 1}, "process_cpu_seconds_total 5", "process_cpu_seconds_total 15", "1.5"),
    Preset.INPUT_VOLUME: (
        {"max": 1},
        "model_input_volume_sum 50\nmodel_input_volume_count 100",
        "model_input_volume_sum 150\nmodel_input_volume_count 100",
        "1.5",
    ),
    Preset.FEEDBACK_RATIO: (
        {"event": "redo", "max": "10%"},
        'model_requests_total{code="200"} 100\nmodel_feedback_total{event="redo"} 5',
        (
            'model_requests_total{code="200"} 100\nmodel_feedback_total{event="redo"} 30\n'
            'model_feedback_total{event="clicked"} 50'
        ),
        "30.0%",
    ),
    Preset.CONFIDENCE: (
        {"min": "70%"},
        "model_output_confidence_sum 90\nmodel_output_confidence_count 100",
        "model_output_confidence_sum 50\nmodel_output_confidence_count 100",
        "50.0%",
    ),
    Preset.LOW_CONFIDENCE_RATIO: (
        {"below": "50%", "max": "10%"},
        'model_output_confidence_bucket{le="0.5"} 2\nmodel_output_confidence_bucket{le="+Inf"} 100',
        'model_output_confidence_bucket{le="0.5"} 40\nmodel_output_confidence_bucket{le="+Inf"} 100',
        "40.0%",
    ),
    Preset.CLASS_RATIO: (
        {"outputClass": "cat", "min": "30%", "max": "70%"},
        'model_output_class_total{class="cat"} 50\nmodel_output_class_total{class="other"} 50',
        'model_output_class_total{class="cat"} 10\nmodel_output_class_total{class="other"} 90',
        "10.0%",
    ),
    Preset.ACCURACY: (
        {"min": "90%"},
        "model_labelled_total 100\nmodel_labelled_correct_total 97",
        "model_labelled_total 100\nmodel_labelled_correct_total 60",
        "60.0%",
    ),
}
GAUGES: dict[Preset, tuple[dict[str, object], str, str, str]] = {
    Preset.IN_FLIGHT: ({"max": 5}, "model_inflight_requests 2", "model_inflight_requests 8", "8"),
    Preset.MEMORY: (
        {"max": "1Gi"},
        "process_resident_memory_bytes 1e8",
        "process_resident_memory_bytes 2147483648",
        "2.00 Gi",
    ),
}


def metric(preset: Preset, bounds: dict[str, object]) -> dict[str, object]:
    return {"name": "m", "category": PRESETS[preset].categories[0], "preset": preset, **bounds}


def page(text: str, look: int) -> str:
    """What has been counted after so many looks at the same rate."""
    lines = (line.rsplit(" ", 1) for line in text.splitlines())
    return "\n".join(f"{series} {float(value) * look}" for series, value in lines)


def judged(
    preset: Preset,
    bounds: dict[str, object],
    stable: str,
    candidate: str,
    folder: Path,
    *,
    counts: bool = True,
) -> Assessment:
    """The verdict after `LOOKS` looks, as the model's own server tells it."""
    scrapes = [
        (INTERVAL * look, revision, page(text, look + 1 if counts else 1))
        for look in range(LOOKS)
        for revision, text in ((STABLE, stable), (CANDIDATE, candidate))
    ]
    spec = made("OpenInference", [metric(preset, bounds)])
    assert judgement.problems(spec) == ()
    return verdicts(recording(scrapes, folder), spec, LOOKS)["m"]


@pytest.mark.parametrize("preset", BAD)
def test_a_candidate_beyond_the_bound_is_seen_and_one_like_stable_passes(
    preset: Preset, tmp_path: Path
) -> None:
    bounds, good, bad, shown = BAD[preset]
    found = judged(preset, bounds, good, bad, tmp_path)
    assert (found.verdict, found.candidate) == (Verdict.BREACH, shown), found
    found = judged(preset, bounds, good, good, tmp_path)
    assert found.verdict is Verdict.PASS, found


@pytest.mark.parametrize("preset", GAUGES)
def test_gauges_are_no_counters(preset: Preset, tmp_path: Path) -> None:
    bounds, good, bad, shown = GAUGES[preset]
    found = judged(preset, bounds, good, bad, tmp_path, counts=False)
    assert (found.verdict, found.candidate) == (Verdict.BREACH, shown), found
    found = judged(preset, bounds, good, good, tmp_path, counts=False)
    assert found.verdict is Verdict.PASS, found


def test_a_bound_within_a_bucket_is_too_coarse_to_blame_anybody(tmp_path: Path) -> None:
    bad = (
        'model_output_confidence_bucket{le="0.4"} 2\nmodel_output_confidence_bucket{le="0.5"} 40\n'
        'model_output_confidence_bucket{le="+Inf"} 100'
    )
    found = judged(Preset.LOW_CONFIDENCE_RATIO, {"below": "45%", "max": "10%"}, bad, bad, tmp_path)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "BucketsTooCoarse" in found.message


def outside(name: str, pod: str, value: float, **labels: str) -> dict[str, object]:
    labels = {"__name__": name, "namespace": "shop", "pod": pod, "container": "model", **labels}
    return {"metric": labels, "value": [1.0, str(value)]}


def test_the_clusters_own_exporters_know_pods_by_name() -> None:
    pods = ("red-digits-aaaa1111-7d9c5b6f4-x2k9p", "red-digits-bbbb2222-7d9c5b6f4-abcde")
    name = "kube_pod_container_status_restarts_total"
    shares = share_out(family_query(Family.RESTARTS), [outside(name, pod, 3.0) for pod in pods])
    (rows,) = [found.rows for whose, found in shares.items() if whose == ("shop", "red-digits")]
    assert [(row.revision, row.pod, row.value) for row in rows] == [
        ("aaaa1111", pods[0], 3.0),
        ("bbbb2222", pods[1], 3.0),
    ]


def test_what_the_container_uses_counts_rather_than_the_process_alone() -> None:
    query = family_query(Family.CPU)
    assert 'process_cpu_seconds_total",modeldeploy_revision!=""' in query.expression
    assert ' or {__name__="container_cpu_usage_seconds_total",container=~"model|"' in query.expression
    of_one = narrowed(query, "shop", "digits").expression
    assert of_one.count('namespace="shop"') == 2
    assert 'pod=~"digits-.+"' in of_one
    asked = [query, family_query(Family.NULLS)]
    assert by_name(asked)["container_cpu_usage_seconds_total"] == [query]
    assert together(asked).count(" or {") == 1


def restarts(now: int) -> str:
    return f"kube_pod_container_status_restarts_total {now}"


@pytest.mark.parametrize(
    ("stable", "candidate", "verdict", "message"),
    [
        (0, 0, Verdict.PASS, "m 0 restarts within the last hour (max 1)"),
        (0, 1, Verdict.PASS, "m 1 restarts within the last hour, (max 1)"),
        (0, 2, Verdict.BREACH, "m 2 restarts within the last hour (max 1)"),
        (3, 2, Verdict.BREACH, "m 2 restarts within the last hour (max 1); so is stable"),
    ],
)
def test_restarts_have_a_hard_bound(
    stable: int, candidate: int, verdict: Verdict, message: str, tmp_path: Path
) -> None:
    totals = {STABLE: stable, CANDIDATE: candidate}
    scrapes = [
        (INTERVAL * look, revision, restarts(5 + min(look, total)))
        for look in range(LOOKS)
        for revision, total in totals.items()
    ]
    spec = made("OpenInference", [metric(Preset.RESTARTS, {"max": 1})])
    found = verdicts(recording(scrapes, tmp_path), spec, LOOKS)["m"]
    assert (found.verdict, found.message) == (verdict, message.replace(", (", " ("))


def test_what_nobody_exports_says_who_would(tmp_path: Path) -> None:
    spec = made("OpenInference", [metric(Preset.GPU, {"max": "90%"})])
    found = verdicts(recording([(0.0, STABLE, "x 1"), (0.0, CANDIDATE, "x 1")], tmp_path), spec, 2)["m"]
    assert found.verdict is Verdict.NO_DATA
    assert found.message.endswith("; it comes from NVIDIA's dcgm-exporter, which Prometheus must scrape")


def test_a_gpus_use_is_the_mean_of_a_pods_gpus() -> None:
    pod = "digits-aaaa1111-7d9c5b6f4-x2k9p"
    vector = [outside("DCGM_FI_DEV_GPU_UTIL", pod, use, gpu=str(gpu)) for gpu, use in enumerate((50.0, 90.0))]
    rows = share_out(family_query(Family.GPU), vector)["shop", "digits"].rows
    assert sorted(row.value for row in rows) == [0.5, 0.9]
