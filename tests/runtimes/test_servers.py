"""Each runtime's preset against the server itself: probes, ports, and metrics read to a verdict."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cluster.shell import UnavailableError, run
from modeldeploy.adapters.directory import Directory
from modeldeploy.adapters.history import part
from modeldeploy.adapters.prometheus import Prometheus
from modeldeploy.api.v1alpha1.server import Runtime
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core.cause import Who
from modeldeploy.core.judgement import Answer, Counters, Query, QueryFailed, problems, together
from modeldeploy.core.judgement.plan import share
from modeldeploy.core.judgement.queries import question
from modeldeploy.core.judgement.sources import ERRORLESS, MEAN_ONLY, Family
from modeldeploy.render.runtimes import PRESETS
from runtimes.environments import variables
from runtimes.reading import CANDIDATE, INTERVAL, WHO, Scrape, answers, made, recording, verdicts
from runtimes.servers import SERVERS, Running, running
from unit.adapters.prometheus_server import PrometheusServer, program

pytestmark = pytest.mark.runtimes

ERRORS: dict[str, object] = {"name": "errors", "category": "Software", "preset": "errorRatio", "max": "5%"}
P95: dict[str, object] = {"name": "p95", "category": "Software", "preset": "latencyP95"}
ROUNDS, GOOD, BAD = 6, 12, 3
LATE = 60.0
"""Seconds after which what was sent must be on the page: Ray writes it every ten."""
LABELS = {"namespace": WHO.namespace, "modeldeploy_name": WHO.name, "modeldeploy_revision": CANDIDATE}


@dataclass
class Seen:
    """What one server showed."""

    runtime: Runtime
    probes: dict[str, int] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    scrapes: list[Scrape] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    stored: dict[Query, Answer] = field(default_factory=dict)

    @property
    def spec(self) -> ModelDeploymentSpec:
        return made(self.runtime, [] if self.runtime in ERRORLESS else [ERRORS])

    @property
    def queries(self) -> tuple[Query, ...]:
        return tuple(question(self.spec, family) for family in (Family.REQUESTS, Family.LATENCY))


@pytest.fixture(scope="module", params=sorted(SERVERS))
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """A server that has answered rounds of good and failing requests, with a page after each."""
    runtime, folder = Runtime(request.param), tmp_path_factory.mktemp(request.param)
    try:
        with running(runtime, PRESETS[runtime].readiness) as server:
            yield _watched(Seen(runtime), server, folder)
    except UnavailableError as error:
        pytest.skip(str(error))


def _watched(seen: Seen, server: Running, folder: Path) -> Seen:
    preset = PRESETS[seen.runtime]
    printed = run(
        [server.interpreter, "-c", server.server.defaults], env=variables(server.interpreter), cwd=folder
    )
    seen.ports = tuple(int(port) for port in printed.split())
    with contextlib.ExitStack() as stack:
        prometheus = None
        if program():
            target = f"127.0.0.1:{server.metrics_port}"
            labels = LABELS | {"pod": f"pod-{CANDIDATE}"}
            prometheus = stack.enter_context(
                PrometheusServer(folder, target, path=preset.metrics_path, labels=labels)
            )
        for look in range(ROUNDS + 1):
            seen.sent += [server.call(number) for number in (*range(GOOD), *([-1] * BAD))]
            for path in filter(None, (preset.readiness, preset.liveness)):
                seen.probes[path] = server.get(path)[0]
            seen.scrapes.append((look * INTERVAL, CANDIDATE, _page(seen, server, folder)))
        if prometheus:
            seen.stored = _stored(seen, prometheus.url, folder)
    return seen


def _page(seen: Seen, server: Running, folder: Path) -> str:
    """The page of metrics once all that was sent is on it, by the product's own reading."""
    deadline = time.monotonic() + LATE
    while True:
        status, text = server.get(PRESETS[seen.runtime].metrics_path, server.metrics_port)
        seen.probes["metrics"] = status
        counted = _shares(seen, answers(recording([(0.0, CANDIDATE, text)], folder), seen.queries))
        if all(asked >= len(seen.sent) for _, asked in counted.values()) or time.monotonic() > deadline:
            return text
        time.sleep(0.5)


def _shares(seen: Seen, found: dict[Query, Answer]) -> dict[Family, tuple[float, float]]:
    """Failures and requests, and of latencies the sum (0 with buckets) and how many."""
    shares = {}
    for query in seen.queries:
        answer, family = found[query], query.family or Family.REQUESTS
        parts = {row.part: row.value for row in answer.rows} if isinstance(answer, Counters) else {}
        shares[family] = share(family, parts)
        if family is Family.LATENCY and seen.runtime not in MEAN_ONLY:
            shares[family] = (0.0, parts.get("+Inf", parts.get("inf", 0.0)))
    return shares


def _stored(seen: Seen, url: str, folder: Path) -> dict[Query, Answer]:
    """The same out of a real Prometheus, by the product's own questions, once it has the last page."""
    last = answers(recording([(0.0, *seen.scrapes[-1][1:])], folder), seen.queries)
    deadline = time.monotonic() + LATE
    while True:
        found = _asked(seen, url)
        if _shares(seen, found) == _shares(seen, last) or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def _asked(seen: Seen, url: str) -> dict[Query, Answer]:
    client = Prometheus(url, timeout=5)
    try:
        asked = client.query_shared(
            together(seen.queries), datetime.now(UTC), lambda body: Directory().share(seen.queries, body)
        )
        result = asyncio.run(asked)
    finally:
        client.close()
    if isinstance(result, QueryFailed):
        return dict.fromkeys(seen.queries, result)
    return {query: part(result[query], WHO) for query in seen.queries}


def test_its_probes_and_its_page_of_metrics_are_where_the_preset_says(seen: Seen) -> None:
    preset = PRESETS[seen.runtime]
    assert seen.probes == dict.fromkeys({"metrics", preset.readiness, preset.liveness} - {None}, 200)


def test_its_ports_are_what_the_preset_says(seen: Seen) -> None:
    preset = PRESETS[seen.runtime]
    assert seen.ports == (preset.port, preset.metrics_port or preset.port)


def test_the_failing_requests_fail(seen: Seen) -> None:
    rounds = [seen.sent[at : at + GOOD + BAD] for at in range(0, len(seen.sent), GOOD + BAD)]
    assert all(code == 200 for sent in rounds for code in sent[:GOOD])
    assert all(code >= 500 for sent in rounds for code in sent[GOOD:])


def test_every_request_is_counted_and_nothing_else(seen: Seen, tmp_path: Path) -> None:
    page = (0.0, *seen.scrapes[-1][1:])
    (failed, asked) = _shares(seen, answers(recording([page], tmp_path), seen.queries))[Family.REQUESTS]
    assert asked == len(seen.sent), "probes and pages of metrics are no requests"
    assert failed == (0 if seen.runtime in ERRORLESS else sum(code >= 500 for code in seen.sent))


def test_a_prometheus_that_scrapes_it_answers_the_products_question_alike(seen: Seen, tmp_path: Path) -> None:
    if not seen.stored:
        pytest.skip("there is no program prometheus, and no apt-get to unpack it: install the package")
    page = (0.0, *seen.scrapes[-1][1:])
    assert _shares(seen, seen.stored) == _shares(seen, answers(recording([page], tmp_path), seen.queries))


def test_a_candidate_that_fails_is_blamed(seen: Seen, tmp_path: Path) -> None:
    read_back = recording(seen.scrapes, tmp_path)
    if seen.runtime in ERRORLESS:
        assert problems(made(seen.runtime, [ERRORS]))
        return
    errors = verdicts(read_back, seen.spec, looks=ROUNDS + 1)["errors"]
    assert (errors.verdict, errors.who) == (Verdict.BREACH, Who.CANDIDATE), errors
    assert errors.candidate == f"{100 * BAD / (GOOD + BAD):.1f}%"


@pytest.mark.parametrize(("bound", "broken"), [("25ms", True), ("30s", False)])
def test_latencies_have_their_unit(seen: Seen, tmp_path: Path, bound: str, *, broken: bool) -> None:
    """Good answers take 60 ms or more: in another unit they'd be on the bounds' other side."""
    spec = made(seen.runtime, [{**P95, "max": bound}])
    assert not problems(spec)
    p95 = verdicts(recording(seen.scrapes, tmp_path), spec, looks=ROUNDS + 1)["p95"]
    assert (p95.verdict is Verdict.BREACH) is broken, p95
    assert p95.verdict in {Verdict.BREACH, Verdict.PASS, Verdict.INCONCLUSIVE}
    if broken:
        assert p95.who is (Who.UNSURE if seen.runtime in MEAN_ONLY else Who.CANDIDATE)
    assert ("on average" in p95.message) == (seen.runtime in MEAN_ONLY)
