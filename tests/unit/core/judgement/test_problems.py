"""Faults that only the operator can find, each in a sentence that names field and mend."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy.api.v1alpha1.monitoring import Category, Metric, Preset
from modeldeploy.core.judgement import problems
from unit.core.judgement.simulation import SEVEN, make_spec

pytestmark = pytest.mark.unit

OK = {"name": "m", "category": "Output", "preset": "nullRatio", "max": "5%"}


def test_a_sound_spec_has_none() -> None:
    assert problems(make_spec(*SEVEN, {"name": "q", "category": "Output", "query": "sum(x)", "max": 1})) == ()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"min": "6%"}, "spec.monitoring.metrics[m].max: 5% is below min 6%; raise max or lower min"),
        ({"max": "101%"}, ".max: 101% is no share; give a percentage from 0% to 100%"),
        ({"max": 5}, ".max: 5 is no share"),
        ({"max": "9" * 31 + "%"}, ".max: 9"),
        ({"max": None}, ": has no bound; add max, min, compare or drift"),
        ({"preset": None}, ": gives nothing to measure; add preset, query or ratio"),
        ({"query": "x"}, ": gives more than one of preset, query and ratio; keep one"),
        (
            {"category": "Software", "preset": "latencyP95"},
            ".max: 5% is no latency; give a duration, e.g. 300ms",
        ),
        ({"category": "Software", "preset": "latencyP95", "max": "0ms"}, ".max: 0ms is no latency"),
        (
            {"category": "Software", "preset": "latencyP95", "max": "1s", "min": "1ms"},
            ".min: latencyP95 has no lower bound; use max",
        ),
        (
            {"category": "Input", "preset": "brightness", "max": "5ms"},
            ".max: 5ms has a unit that brightness has not; give a plain number",
        ),
        (
            {"category": "Input", "preset": "inputSize", "max": int("9" * 400)},
            "is too large; choose a finite number",
        ),
        ({"compare": {"maxRatio": "0.5"}}, ".compare.maxRatio: 0.5 is out of range; choose 1 to 1000"),
        ({"detect": "1.0"}, ".detect: 1.0 is out of range; choose more than 1 and at most 100"),
        ({"detect": 200}, ".detect: 200 is out of range"),
        (
            {"detect": 3, "evidence": "NonInferior"},
            ".detect: evidence: NonInferior excludes the bound itself",
        ),
        (
            {"category": "Input", "preset": "brightness", "max": 3, "detect": 3},
            ".detect: needs counts; only latency and ratio presets have them, so remove it",
        ),
        ({"max": "0%", "evidence": "NonInferior"}, ".evidence: that nothing ever happens can't be shown"),
        (
            {"compare": {"maxRatio": 1}, "evidence": "NonInferior"},
            ".compare.maxRatio: with evidence: NonInferior no candidate as good as stable is below 1",
        ),
        (
            {"category": "Software", "preset": "restarts", "max": 3, "compare": {"maxRatio": 2}},
            ".compare: restarts are counted, not compared; use max",
        ),
        ({"warmup": "1m"}, ".warmup: only latencies wait for warm caches; remove it"),
        ({"compare": {}}, ".compare: compares nothing; add maxRatio or minRatio"),
        ({"compare": {"minRatio": "1.1"}}, ".compare.minRatio: 1.1 is out of range; choose 0.001 to 1"),
        (
            {
                "category": "Software",
                "preset": "latencyP95",
                "max": "1s",
                "compare": {"minRatio": "0.9"},
            },
            ".compare.minRatio: a latency may fall as far as it can; use maxRatio",
        ),
        (
            {"preset": None, "ratio": {"numerator": "rate(x[1m])", "denominator": "y"}},
            ".ratio.numerator: takes rate() already; give counters as they stand",
        ),
        (
            {"preset": None, "ratio": {"numerator": "x", "denominator": "y[2m]"}},
            ".ratio.denominator: yields a range, not a number; wrap it",
        ),
        (
            {"preset": None, "ratio": {"numerator": "x", "denominator": "100"}},
            ".ratio.denominator: yields a number of its own; give counters",
        ),
        (
            {"preset": None, "ratio": {"numerator": "x", "denominator": "y"}, "max": 3},
            ".max: 3 is no share; give a percentage from 0% to 100%",
        ),
        (
            {"preset": "brightness", "max": 3},
            ".category: brightness speaks of Input, not Output; write Input",
        ),
        ({"preset": "feedbackRatio"}, ".event: is missing; preset feedbackRatio needs it, e.g. event: redo"),
        ({"event": "redo"}, ".event: only preset feedbackRatio has it; remove it"),
        ({"preset": "classRatio"}, ".outputClass: is missing; preset classRatio needs it"),
        ({"preset": "lowConfidenceRatio"}, ".below: is missing; preset lowConfidenceRatio needs it"),
        (
            {"preset": "lowConfidenceRatio", "below": "120%"},
            ".below: 120% is no confidence; choose between 0% and 100%",
        ),
        (
            {"preset": "lowConfidenceRatio", "below": "50%", "min": "1%"},
            ".min: lowConfidenceRatio has no lower bound; use max",
        ),
        (
            {"category": "Software", "preset": "memory"},
            ".max: 5% is no size; give it with its unit, e.g. 2Gi",
        ),
        (
            {"category": "Software", "preset": "cpu"},
            ".max: 5% has a unit that cpu has not; give a plain number",
        ),
        (
            {"category": "Software", "preset": "restarts", "max": 2, "min": 1},
            ".min: restarts has no lower bound; use max",
        ),
        (
            {"category": "Software", "preset": "latencyMean", "max": 3},
            ".max: 3 is no latency; give a duration, e.g. 300ms",
        ),
        ({"category": "Quality", "preset": "accuracy", "max": None, "min": 3}, ".min: 3 is no share"),
        ({"preset": None, "query": "sum(", "max": 1}, ".query: does not parse as PromQL"),
        ({"preset": None, "query": 'x{namespace="a"}', "max": 1}, '.query: asks for namespace "a"'),
    ],
)
def test_metric(change: dict[str, object], problem: str) -> None:
    [found] = problems(make_spec({**OK, **change}))
    assert found.startswith("spec.monitoring.metrics[m]")
    assert problem in found


def test_names_must_differ() -> None:
    assert problems(make_spec(OK, OK)) == (
        "spec.monitoring.metrics[m]: the name stands twice; give each metric its own",
    )


@pytest.mark.parametrize("interval", ["500ms", "0s", "2h", "99999h"])
def test_interval(interval: str) -> None:
    found = problems(make_spec(OK, interval=interval))
    assert found[0] == f"spec.monitoring.interval: {interval} is out of range; choose 1s to 1h"


def test_window_must_hold_an_interval() -> None:
    [found] = problems(make_spec(OK, interval="10m"))
    assert found == "spec.monitoring.window: 2m is out of range; choose between the interval (10m) and 7d"


@pytest.mark.parametrize("share", ["0%", "51%", "0.0%"])
def test_false_rollback(share: str) -> None:
    [found] = problems(make_spec(OK, false_rollback=share))
    assert found == f"spec.rollout.falseRollback: {share} cannot be kept; choose more than 0% and at most 50%"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://[::1", "is not a URL"),
        ("http://prom:99999", "is not a URL"),
        ("http://prom:x", "is not a URL"),
        ("http://:9090", "names no host and port"),
        (
            "http://user:secret@prom:9090",
            "holds credentials, which all could read here; use secretName",
        ),
        ("http://prom:9090/?a=b", "must end with its path"),
    ],
)
def test_url(url: str, problem: str) -> None:
    spec = make_spec(OK)
    monitoring = spec.monitoring.model_dump() | {"prometheus": {"url": url}}
    [found] = problems(spec.model_validate({**spec.model_dump(), "monitoring": monitoring}))
    assert found.startswith("spec.monitoring.prometheus.url: ")
    assert problem in found


@pytest.mark.parametrize(
    ("field", "given", "problem"),
    [
        ("query_parameters", {"query": "up"}, "queryParameters: query is not among those that may be set"),
        ("headers", {"Authorization": "t0ken"}, "headers: Authorization is not among those that may be set"),
    ],
)
def test_only_known_parameters_and_headers(field: str, given: dict[str, str], problem: str) -> None:
    spec = make_spec(OK)
    store = {"url": "http://prom:9090", field: given}
    monitoring = spec.monitoring.model_dump() | {"prometheus": store}
    [found] = problems(spec.model_validate({**spec.model_dump(), "monitoring": monitoring}))
    assert found.startswith(f"spec.monitoring.prometheus.{problem}; choose among ")
    assert "t0ken" not in found


_BOUNDS = st.one_of(
    st.none(), st.integers(), st.from_regex(r"-?[0-9]{1,6}(\.[0-9]{1,3})?(%|ms|s|m)?", fullmatch=True)
)


@given(
    st.builds(
        Metric,
        name=st.just("m"),
        category=st.sampled_from(Category),
        preset=st.none() | st.sampled_from(Preset),
        query=st.none() | st.text(min_size=1, max_size=30),
        min=_BOUNDS,
        max=_BOUNDS,
        compare=st.none() | st.builds(dict, max_ratio=st.integers(1, 10**6)),
    )
)
def test_any_metric_gets_an_answer(metric: Metric) -> None:
    spec = make_spec()
    monitoring = spec.monitoring.model_copy(update={"metrics": [metric]})
    assert all("\n" not in found for found in problems(spec.model_copy(update={"monitoring": monitoring})))
