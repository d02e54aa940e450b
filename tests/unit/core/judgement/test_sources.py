"""What each runtime exports, read: names, labels, units. The pages are in tests/runtimes/samples."""

from pathlib import Path

import pytest

from modeldeploy.api.v1alpha1.server import Runtime
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core import judgement
from modeldeploy.core.cause import Who
from modeldeploy.core.judgement import Counters, Query, problems
from modeldeploy.core.judgement.plan import share
from modeldeploy.core.judgement.queries import by_name, family_query, question, together
from modeldeploy.core.judgement.sources import MEAN_ONLY, SERVED, Family, asked_of
from runtimes.reading import CANDIDATE, INTERVAL, STABLE, answers, made, recording, verdicts

pytestmark = pytest.mark.unit

SAMPLES = Path(__file__).parents[3] / "runtimes" / "samples"
RUNTIMES = [one for one in Runtime if one not in (Runtime.OPEN_INFERENCE, Runtime.CUSTOM)]
ERRORS: dict[str, object] = {"name": "errors", "category": "Software", "preset": "errorRatio", "max": "2%"}
P95: dict[str, object] = {"name": "p95", "category": "Software", "preset": "latencyP95", "max": "100ms"}
SIZE: dict[str, object] = {"name": "size", "category": "Input", "preset": "inputSize", "max": 4000}
READ = {
    # what is read of each page: (failed, all) requests, and latencies by upper edge in milliseconds
    "MLServer": ((2, 7), {5: 6, 25: 7, 100: 7}),
    "KServe": ((0, 5), {5: 2, 25: 5, 100: 5}),
    "TensorFlowServing": ((3, 48), {0.01: 0, 11.0199: 25, 1156.83: 40}),
    "VLLM": ((3, 48), {300: 10, 2500: 39}),
    "BentoML": ((3, 8), {10: 4, 50: 7, 100: 7}),
    "RayServe": ((2, 9), {10: 0, 50: 4, 1000: 5}),
    "Triton": ((4, 49), {}),
    "TorchServe": ((2, 6), {}),
}
MEANS = {"Triton": (820.0, 40.0), "TorchServe": (116.443139, 6.0)}
"""Of runtimes without buckets: the sum in milliseconds, and of how many."""


def sample(runtime: str) -> str:
    return (SAMPLES / f"{runtime}.txt").read_text()


def parts(runtime: str, family: Family, folder: Path) -> dict[str, float]:
    query = question(made(runtime, []), family)
    read = recording([(0.0, CANDIDATE, sample(runtime))], folder)
    assert read.lacks([query]) is None
    found = answers(read, [query])[query]
    assert isinstance(found, Counters), found
    return {row.part: row.value for row in found.rows}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_failures_and_requests_are_read_from_its_own_page_without_probes(
    runtime: Runtime, tmp_path: Path
) -> None:
    assert share(Family.REQUESTS, parts(runtime, Family.REQUESTS, tmp_path)) == READ[runtime][0]


@pytest.mark.parametrize("runtime", [one for one in RUNTIMES if one not in MEAN_ONLY])
def test_latencies_come_out_in_milliseconds(runtime: Runtime, tmp_path: Path) -> None:
    found = {float(edge): count for edge, count in parts(runtime, Family.LATENCY, tmp_path).items()}
    assert found.pop(float("inf")) >= max(found.values())
    assert found == READ[runtime][1]


@pytest.mark.parametrize("runtime", sorted(MEAN_ONLY))
def test_microseconds_without_buckets_give_a_mean_in_milliseconds(runtime: Runtime, tmp_path: Path) -> None:
    found = share(Family.LATENCY, parts(runtime, Family.LATENCY, tmp_path))
    assert found == pytest.approx(MEANS[runtime])


def test_prompt_tokens_are_the_input_size_of_vllm_behind_a_router_too(tmp_path: Path) -> None:
    assert share(Family.SIZE, parts("VLLM", Family.SIZE, tmp_path)) == (5120, 40)
    routed = made("VLLM", [], provider="Router")
    assert asked_of(routed, Family.SIZE) is Runtime.VLLM
    assert asked_of(routed, Family.LATENCY) is None, "the router's latencies, as for every runtime"
    assert asked_of(made("MLServer", []), Family.SIZE) is None, "telemetry's, if the image exports it"


def test_every_runtime_says_where_its_requests_and_latencies_are() -> None:
    assert all({Family.REQUESTS, Family.LATENCY} <= SERVED[runtime].keys() for runtime in Runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_families_that_share_a_name_are_told_apart(runtime: Runtime) -> None:
    """Of Triton and TorchServe one counter is both the requests and what latencies are divided by."""
    asked = [family_query(family, runtime=runtime) for family in SERVED[runtime]]
    names = {name for query in asked for name in query.source.names}
    found = by_name(asked)
    for query in asked:
        assert {name for name, askers in found.items() if query in askers} == set(query.source.names)
    assert all(name in together(asked) for name in names)


def test_probes_are_left_out_by_prometheus_itself() -> None:
    asked = [family_query(family, runtime=Runtime.BENTOML) for family in SERVED[Runtime.BENTOML]]
    expression = together([*asked, family_query(Family.NULLS)])
    assert expression.count('endpoint!~"/(readyz|livez|healthz)"') == 1
    assert isinstance(asked[0], Query)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_one_runtime_leaves_out_takes_nothing_from_another(runtime: Runtime) -> None:
    """All objects are asked about in one question, with all runtimes' exceptions."""
    left_out = {one.unless[0] for one in SERVED[runtime].values() if one.unless}
    for other in set(RUNTIMES) - {runtime}:
        assert not [label for label in left_out if f"{label}=" in sample(other)], other


RUNNING = {"MLServer": 0.0, "BentoML": 0.0, "RayServe": 0.0, "VLLM": 2.0}


@pytest.mark.parametrize(("runtime", "count"), RUNNING.items())
def test_requests_in_flight_are_found_behind_a_router_too(runtime: str, count: float, tmp_path: Path) -> None:
    assert sum(parts(runtime, Family.IN_FLIGHT, tmp_path).values()) == count
    assert asked_of(made(runtime, [], provider="Router"), Family.IN_FLIGHT) == runtime


def grown(runtime: str, factor: int) -> str:
    """The page after `factor` times as much."""

    def more(line: str) -> str:
        if line.startswith("#"):
            return line
        series, value = line.rsplit(" ", 1)
        return f"{series} {float(value) * factor}"

    return "\n".join(map(more, sample(runtime).splitlines()))


@pytest.mark.parametrize("runtime", [one for one in RUNTIMES if one is not Runtime.KSERVE])
def test_a_candidate_that_fails_is_blamed_by_the_runtimes_own_counts(
    runtime: Runtime, tmp_path: Path
) -> None:
    """The candidate's requests fail as on the page, and stable has none."""
    good = sample(runtime)
    scrapes = [(0.0, STABLE, good), (0.0, CANDIDATE, good)]
    for look in range(1, 9):
        at = look * INTERVAL
        scrapes += [(at, CANDIDATE, grown(runtime, 1 + 10 * look)), (at, STABLE, good)]
    seen = verdicts(recording(scrapes, tmp_path), made(runtime, [ERRORS]), looks=9)["errors"]
    failed, asked = READ[runtime][0]
    assert (seen.verdict, seen.who) == (Verdict.BREACH, Who.CANDIDATE), seen
    assert seen.candidate == f"{100 * failed / asked:.1f}%"


@pytest.mark.parametrize(("runtime", "value"), [("Triton", "20 ms"), ("TorchServe", "19 ms")])
@pytest.mark.parametrize("bound", ["15ms", "100ms"])
def test_a_mean_alone_pauses_and_never_rolls_back(
    runtime: str, value: str, bound: str, tmp_path: Path
) -> None:
    scrapes = [(look * INTERVAL, CANDIDATE, grown(runtime, 1 + 10 * look)) for look in range(9)]
    spec = made(runtime, [{**P95, "max": bound}])
    seen = verdicts(recording(scrapes, tmp_path), spec, looks=9)["p95"]
    assert seen.candidate == value
    assert seen.message.startswith(f"p95 {value} on average over ")
    if bound == "100ms":
        assert seen.verdict is Verdict.PASS
    else:
        assert (seen.verdict, seen.who) == (Verdict.BREACH, Who.UNSURE)
        assert seen.message.endswith("(max 15ms); Heuristic, a number without a count behind it")


COMPARED: dict[str, object] = {**P95, "compare": {"maxRatio": "1.2"}}
REFUSED = {
    "KServe counts no errors": (
        made("KServe", [ERRORS]),
        "[errors].preset: runtime KServe counts no errors; ",
    ),
    "Triton has no quantiles to compare": (
        made("Triton", [COMPARED]),
        "[p95].compare: runtime Triton exports the mean of latencies only, which can't be compared; ",
    ),
    "the router counts for KServe": (made("KServe", [ERRORS], provider="Router"), None),
    "the router has quantiles for Triton": (made("Triton", [COMPARED], provider="Router"), None),
    "a mean is held against a bound": (made("Triton", [P95, ERRORS]), None),
    "KServe has quantiles": (made("KServe", [COMPARED, SIZE]), None),
}


@pytest.mark.parametrize(("spec", "complaint"), REFUSED.values(), ids=REFUSED)
def test_what_a_runtime_does_not_export_is_refused_with_the_mend(
    spec: ModelDeploymentSpec, complaint: str | None
) -> None:
    found = problems(spec)
    assert len(found) == (complaint is not None)
    if complaint:
        assert f"spec.monitoring.metrics{complaint}" in found[0]
        assert "take traffic.provider: Router" in found[0]
    assert judgement.queries(spec, "shop", "tiny", judgement.Roles(STABLE))
