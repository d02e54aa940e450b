"""The sampler against a real Prometheus: one question for many objects, the same evidence after a restart."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cluster.network import free_port
from modeldeploy.adapters.endpoint import Endpoint
from modeldeploy.adapters.history import Ticket, next_tick, tick
from modeldeploy.adapters.prometheus import Prometheus, Read, Result
from modeldeploy.adapters.replies import Body
from modeldeploy.adapters.sampler import Sampler
from modeldeploy.adapters.stores import Stores
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core import judgement
from modeldeploy.core.judgement import Counters, Evidence, NoData, Number, QueryFailed, Roles
from unit.adapters.prometheus_server import Page, PrometheusServer, program
from unit.core.judgement.simulation import make_spec

pytestmark = [
    pytest.mark.api,
    pytest.mark.skipif(program() is None, reason="Prometheus isn't installed (Debian package prometheus)"),
]

NULLS = {"name": "nulls", "category": "Output", "preset": "nullRatio", "max": "5%"}
ERRORS = {
    "name": "errors",
    "category": "Software",
    "preset": "errorRatio",
    "max": "1%",
    "compare": {"maxRatio": 2},
}
P95 = {"name": "p95", "category": "Software", "preset": "latencyP95", "max": "300ms"}
SIZE = {"name": "size", "category": "Input", "preset": "inputSize", "max": 100}
OWN = {
    "name": "own",
    "category": "Output",
    "max": 100_000,
    "query": 'sum(model_output_values_total{modeldeploy_name="$name",modeldeploy_revision="$revision"})',
}


class Models:
    """Counters of an object's revisions as routers and model pods export them."""

    def __init__(self, page: Page, name: str) -> None:
        self._page = page
        self._name = name

    def serve(self, revision: str, requests: int, *, nulls: int = 0, errors: int = 0, slow: int = 0) -> None:
        labels = {"namespace": "shop", "modeldeploy_name": self._name, "modeldeploy_revision": revision}
        router, pod = {**labels, "pod": "router-0"}, {**labels, "pod": f"{self._name}-{revision}"}
        add = self._page.add
        add("envoy_cluster_upstream_rq_xx", {**router, "envoy_response_code_class": "2"}, requests - errors)
        if errors:
            add("envoy_cluster_upstream_rq_xx", {**router, "envoy_response_code_class": "5"}, errors)
        for edge, count in (
            ("100", requests - slow),
            ("300", requests - slow),
            ("1000", requests),
            ("+Inf", requests),
        ):
            add("envoy_cluster_upstream_rq_time_bucket", {**router, "le": edge}, count)
        add("model_output_values_total", {**pod, "module": "m"}, requests)
        add("model_output_null_total", {**pod, "module": "m"}, nulls)
        add("model_input_size_sum", {**pod, "module": "m"}, 64.0 * requests)
        add("model_input_size_count", {**pod, "module": "m"}, requests)


class Counting(Prometheus):
    """The real client, counting what goes out."""

    asked = 0

    async def query(self, expression: str, at: datetime) -> Result | QueryFailed:
        Counting.asked += 1
        return await super().query(expression, at)

    async def query_shared(
        self, expression: str, at: datetime, read: Callable[[Body], Read]
    ) -> Read | QueryFailed:
        Counting.asked += 1
        return await super().query_shared(expression, at, read)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with closing(Page()) as served:
        yield served


@pytest.fixture(scope="module")
def server(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    with PrometheusServer(Path(tmp_path_factory.mktemp("prometheus")), page.target) as running:
        page.wait_scraped()
        yield running


@pytest.fixture
def sampler(server: PrometheusServer) -> Iterator[Sampler]:
    Counting.asked = 0
    with closing(Sampler(Stores(server.url, connect=Counting))) as made:
        yield made


def test_ticks_are_the_same_for_all() -> None:
    at = datetime(2026, 11, 22, 12, 0, 7, 500000, UTC)
    assert tick(at, "5s") == datetime(2026, 11, 22, 12, 0, 5, tzinfo=UTC)
    assert next_tick(at, "5s") == datetime(2026, 11, 22, 12, 0, 10, tzinfo=UTC)
    assert tick(tick(at, "5s"), "5s") == tick(at, "5s")
    assert tick(at, "1500ms").timestamp() % 1.5 == pytest.approx(0.0)


@pytest.mark.parametrize("interval", ["1s", "5s", "7s", "1500ms", "1m30s", "1h"])
def test_a_tick_is_its_own_tick(interval: str) -> None:
    at = tick(datetime(2026, 11, 22, 12, 0, 7, 500000, UTC), interval)
    for _ in range(100):
        following = next_tick(at, interval)
        assert following > at
        assert tick(following, interval) == following
        at = following


async def test_many_objects_with_many_metrics_cost_one_question_and_get_their_own_part(
    page: Page, sampler: Sampler
) -> None:
    for number in range(20):
        Models(page, f"m{number}").serve("aaaa", 10 * number)
    page.wait_scraped()
    spec = make_spec(NULLS, ERRORS, P95, SIZE)
    roles = Roles("aaaa")
    at = datetime.now(UTC)
    answers = await asyncio.gather(
        *(
            sampler.ask(
                Ticket("shop", f"m{number}"), judgement.queries(spec, "shop", f"m{number}", roles), at
            )
            for number in range(20)
        ),
        sampler.ask(Ticket("bank", "m1"), judgement.queries(spec, "bank", "m1", roles), at),
    )
    assert Counting.asked == 1
    *mine, foreign = answers
    for number, answer in enumerate(mine):
        counted = next(iter(answer.values()))
        assert isinstance(counted, Counters)
        assert [row.value for row in counted.rows] == [10.0 * number]
        assert all(isinstance(part, Counters) for part in answer.values())
    assert set(foreign.values()) == {NoData()}


async def test_a_new_tick_is_asked_again_and_an_own_query_per_revision(page: Page, sampler: Sampler) -> None:
    models = Models(page, "digits")
    models.serve("aaaa", 10)
    models.serve("bbbb", 7)
    page.wait_scraped()
    queries = judgement.queries(make_spec(OWN), "shop", "digits", Roles("aaaa", "bbbb"))
    at = datetime.now(UTC)
    first = await sampler.ask(Ticket("shop", "digits"), queries, at)
    assert [answer.value for answer in first.values() if isinstance(answer, Number)] == [10.0, 7.0]
    await sampler.ask(Ticket("shop", "digits"), queries, at)
    assert Counting.asked == 3
    await sampler.ask(Ticket("shop", "digits"), queries, at + timedelta(seconds=1))
    assert Counting.asked == 6


async def test_who_gives_up_takes_no_answer_from_others(page: Page, sampler: Sampler) -> None:
    Models(page, "words").serve("aaaa", 10)
    page.wait_scraped()
    queries = judgement.queries(make_spec(), "shop", "words", Roles("aaaa"))
    at = datetime.now(UTC)
    impatient = asyncio.create_task(sampler.ask(Ticket("shop", "words"), queries, at))
    patient = asyncio.create_task(sampler.ask(Ticket("shop", "words"), queries, at))
    await asyncio.sleep(0)
    impatient.cancel()
    assert isinstance(next(iter((await patient).values())), Counters)


async def test_only_allowed_servers_are_asked(server: PrometheusServer) -> None:
    elsewhere = f"http://127.0.0.1:{free_port()}"
    queries = judgement.queries(make_spec(), "shop", "nothing", Roles("aaaa"))
    with closing(Sampler(Stores(elsewhere, [server.url + "/"]))) as sampler:
        own = await sampler.ask(Ticket("shop", "nothing"), queries, datetime.now(UTC))
        named = await sampler.ask(Ticket("shop", "nothing", Endpoint(server.url)), queries, datetime.now(UTC))
        foreign = await sampler.ask(
            Ticket("shop", "nothing", Endpoint("http://169.254.169.254")), queries, datetime.now(UTC)
        )
    assert [type(next(iter(answers.values()))) for answers in (own, named, foreign)] == [
        QueryFailed,
        NoData,
        QueryFailed,
    ]
    reason = next(iter(foreign.values()))
    assert isinstance(reason, QueryFailed)
    assert (
        "is not on the operator's allow-list; add it to the chart value prometheus.allowedURLs"
        in reason.reason
    )


async def _watched(
    sampler: Sampler, spec: ModelDeploymentSpec, roles: Roles, page: Page, seconds: float
) -> Evidence:
    """Live looks at every tick, with traffic: nulls on the candidate well beyond the bound."""
    models, evidence, who = Models(page, "faces"), Evidence(), Ticket("shop", "faces")
    until = time.time() + seconds
    while time.time() < until:
        models.serve("aaaa", 90, nulls=1, errors=0, slow=1)
        models.serve("bbbb", 10, nulls=3, errors=0, slow=2)
        due = next_tick(datetime.now(UTC), "1s")
        await asyncio.sleep((due - datetime.now(UTC)).total_seconds())
        at = tick(datetime.now(UTC), "1s")
        then = roles if at.timestamp() >= roles.started_at else Roles(roles.stable)
        answers = await sampler.ask(who, judgement.queries(spec, "shop", "faces", then), at)
        evidence = judgement.advance(
            evidence, spec, namespace="shop", name="faces", roles=then, answers=answers, at=at
        )
    return evidence


async def test_a_replay_after_a_restart_comes_to_the_same_verdicts(page: Page, sampler: Sampler) -> None:
    spec = make_spec(NULLS, ERRORS, P95, SIZE, OWN, interval="1s")
    models = Models(page, "faces")
    models.serve("aaaa", 0)
    models.serve("bbbb", 0)
    page.wait_scraped()
    started = time.time() + 3
    roles = Roles("aaaa", "bbbb", started, started)
    live = await _watched(sampler, spec, roles, page, 22)
    at = datetime.fromtimestamp(live.at, UTC)
    replayed = await sampler.rebuild(Ticket("shop", "faces"), spec, roles, at)
    assert isinstance(replayed, Evidence)
    assert replayed.at == live.at
    before = {seen.name: seen for seen in judgement.assess(live, spec, roles, at)}
    after = {seen.name: seen for seen in judgement.assess(replayed, spec, roles, at)}
    assert before["nulls"].verdict is Verdict.BREACH
    assert {name: seen.verdict for name, seen in after.items()} == {
        name: seen.verdict for name, seen in before.items()
    }
    # A live look may miss a scrape that ends while it asks, and sees its counts one look later; totals agree.
    assert replayed.metrics["nulls"].tracks["bbbb"].requests == pytest.approx(
        live.metrics["nulls"].tracks["bbbb"].requests, abs=25
    )
    assert judgement.requests(replayed, roles) == pytest.approx(judgement.requests(live, roles), abs=25)


async def test_a_replay_without_a_server_says_so() -> None:
    with closing(Sampler(Stores(f"http://127.0.0.1:{free_port()}"))) as sampler:
        failed = await sampler.rebuild(
            Ticket("shop", "digits"), make_spec(NULLS), Roles("aaaa"), datetime.now(UTC)
        )
    assert isinstance(failed, QueryFailed)
    assert failed.reason.endswith("connection refused")
