"""The client against a real Prometheus, and against servers that misbehave."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cluster.network import free_port
from modeldeploy.adapters.prometheus import Prometheus, Result
from modeldeploy.adapters.replies import Body
from modeldeploy.core.judgement import QueryFailed
from modeldeploy.core.promql import confine
from unit.adapters.prometheus_server import Page, PrometheusServer, program

pytestmark = [
    pytest.mark.api,
    pytest.mark.skipif(program() is None, reason="Prometheus isn't installed (Debian package prometheus)"),
]


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with closing(Page()) as served:
        served.add("answers_total", {"namespace": "shop", "pod": "a"}, 3)
        served.add("answers_total", {"namespace": "bank", "pod": "b"}, 5)
        yield served


@pytest.fixture(scope="module")
def server(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    with PrometheusServer(Path(tmp_path_factory.mktemp("prometheus")), page.target) as running:
        page.wait_scraped()
        yield running


@pytest.fixture
def client(server: PrometheusServer) -> Iterator[Prometheus]:
    with closing(Prometheus(server.url)) as made:
        yield made


def now() -> datetime:
    return datetime.now(UTC)


def values(result: Result | QueryFailed) -> list[str]:
    assert not isinstance(result, QueryFailed), result
    return sorted(item["value"][1] for item in result)


async def test_a_vector_a_scalar_and_nothing(client: Prometheus) -> None:
    assert values(await client.query("answers_total", now())) == ["3", "5"]
    scalar = await client.query("scalar(sum(answers_total))", now())
    assert not isinstance(scalar, QueryFailed)
    assert scalar[1] == "8"
    assert await client.query("absent_total", now()) == []


async def test_a_confined_query_reads_its_namespace_only(client: Prometheus) -> None:
    for query in (
        "answers_total",
        '{__name__=~".+_total"}',
        'answers_total{namespace=~".*"}',
        "max_over_time(answers_total[1m:1s])",
        "answers_total or answers_total offset 1s",
        'label_replace(answers_total, "x", "$1", "pod", "(.*)")',
    ):
        assert values(await client.query(confine(query, "shop"), now())) == ["3"], query


async def test_a_range_has_the_asked_times(client: Prometheus) -> None:
    end = now()
    start = end - timedelta(seconds=1)
    result = await client.query_range("sum(answers_total)", start, end, 0.5)
    assert not isinstance(result, QueryFailed)
    times = [point[0] for point in result[0]["values"]]
    assert times == pytest.approx([start.timestamp() + step for step in (0.0, 0.5, 1.0)], abs=0.002)


async def test_a_query_that_is_refused_says_what_prometheus_says(
    client: Prometheus, server: PrometheusServer
) -> None:
    failed = await client.query("sum(", now())
    assert isinstance(failed, QueryFailed)
    assert failed.reason.startswith(f"Prometheus at {server.url}: HTTP 400: ")
    assert "unclosed left parenthesis" in failed.reason


async def test_nobody_there() -> None:
    with closing(Prometheus(f"http://127.0.0.1:{free_port()}")) as client:
        failed = await client.query("up", now())
    assert isinstance(failed, QueryFailed)
    assert failed.reason.endswith(": connection refused")


async def test_an_unknown_name() -> None:
    with closing(Prometheus("http://prometheus.invalid:9090")) as client:
        failed = await client.query("up", now())
    assert isinstance(failed, QueryFailed)
    assert failed.reason == "Prometheus at http://prometheus.invalid:9090: its name is unknown"


class Answering:
    """A server that gives every request the same answer."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        answering = self
        self.asked = 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answering.asked += 1
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (503, b"overloaded", "HTTP 503"),
        (422, b'{"status":"error","error":"found duplicate series"}', "HTTP 422: found duplicate series"),
        (200, b'{"status":"success","data":{"result":[{"met', "its answer is cut short or no JSON"),
        (200, b"[]", "its answer is not one of Prometheus' API"),
        (200, b'{"data":{}}', "its answer can't be read (KeyError)"),
        (
            200,
            b'{"status":"error","error":"too many\\n samples"}',
            "it failed: too many samples",
        ),
        (
            200,
            b'{"status":"success","isPartial":true,"data":{"result":[]}}',
            "it answered in part (isPartial): some of its storage is away",
        ),
        (
            200,
            b'{"status":"success","data":{"result":[]},"warnings":["store a: away","store b: away"]}',
            "it answered with a warning, so perhaps in part: store a: away; store b: away",
        ),
    ],
)
async def test_an_answer_that_is_none_is_a_failed_query_at_once(
    status: int, body: bytes, reason: str
) -> None:
    with closing(Answering(status, body, {})) as server, closing(Prometheus(server.url)) as client:
        started = time.monotonic()
        failed = await client.query("up", now())
        assert time.monotonic() - started < 1.0
        assert server.asked == 1
    assert isinstance(failed, QueryFailed)
    assert failed.reason == f"Prometheus at {server.url}: {reason}"


async def test_a_page_for_people_is_no_answer() -> None:
    page = Answering(200, b"<html>Sign in", {"Content-Type": "text/html; charset=utf-8"})
    with closing(page) as server, closing(Prometheus(server.url)) as client:
        failed = await client.query("up", now())
    assert isinstance(failed, QueryFailed)
    assert failed.reason.endswith("its answer is no JSON but text/html; see that the URL is an API's")


async def test_a_body_that_ends_early_is_no_answer() -> None:
    cut = Answering(200, b'{"status":"success","data":{"result":[]}}', {"Content-Length": "100"})
    with closing(cut) as server, closing(Prometheus(server.url)) as client:
        failed = await client.query("up", now())
    assert isinstance(failed, QueryFailed)
    assert failed.reason.endswith(": its answer is cut short")


@pytest.mark.parametrize(("minutes", "said"), [(5, "5m ahead of"), (-5, "5m behind")])
async def test_a_clock_that_is_off_is_told_of(minutes: int, said: str) -> None:
    date = format_datetime(now() + timedelta(minutes=minutes, seconds=0.5), usegmt=True)
    wrong = Answering(200, b'{"status":"success","data":{"result":[]}}', {"Date": date})
    with closing(wrong) as server, closing(Prometheus(server.url)) as client:
        failed = await client.query("up", now())
    assert isinstance(failed, QueryFailed)
    assert failed.reason == (
        f"Prometheus at {server.url}: its clock is {said} the operator's, so its answers are about another "
        "time; set both clocks"
    )


async def test_a_clock_that_is_a_little_off_does_no_harm() -> None:
    date = format_datetime(now() - timedelta(seconds=20), usegmt=True)
    late = Answering(200, b'{"status":"success","data":{"result":[]}}', {"Date": date})
    with closing(late) as server, closing(Prometheus(server.url)) as client:
        assert await client.query("up", now()) == []


async def test_one_objects_slow_queries_leave_the_threads_of_what_all_wait_for() -> None:
    with closing(Silent(drips=False)) as silent, closing(Prometheus(silent.url, timeout=1.0)) as hanging:
        own = [asyncio.create_task(hanging.query("slow", now())) for _ in range(12)]
        await asyncio.sleep(0.1)
        begun = time.monotonic()
        await hanging.query_shared("up", now(), Body.parsed)
        assert time.monotonic() - begun < 2.5  # its own time-out; the others need three times that
        assert sum(task.done() for task in own) <= 8
        for task in own:
            task.cancel()


async def test_a_redirect_is_not_followed() -> None:
    with closing(Answering(200, b'{"data":{"result":[]}}', {})) as inside:
        moved = Answering(302, b"", {"Location": inside.url})
        with closing(moved), closing(Prometheus(moved.url)) as client:
            failed = await client.query("up", now())
        assert inside.asked == 0
    assert isinstance(failed, QueryFailed)
    assert "redirects elsewhere" in failed.reason


class Silent:
    """A server that takes connections and says nothing, or one byte now and then."""

    def __init__(self, *, drips: bool) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._drips = drips
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._done = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._hold, args=(connection,), daemon=True).start()

    def _hold(self, connection: socket.socket) -> None:
        with connection:
            if self._drips:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not self._done.wait(0.1):
                if self._drips:
                    with contextlib.suppress(OSError):  # who asked has gone
                        connection.sendall(b" ")

    def close(self) -> None:
        self._done.set()
        self._socket.close()


@pytest.mark.parametrize("drips", [False, True])
async def test_a_server_that_hangs_costs_its_timeout_and_nobody_else(
    drips: bool,  # noqa: FBT001 - a parameter
    client: Prometheus,
) -> None:
    with closing(Silent(drips=drips)) as silent, closing(Prometheus(silent.url, timeout=0.5)) as hanging:
        started = time.monotonic()
        hung = [asyncio.create_task(hanging.query("up", now())) for _ in range(8)]
        assert values(await client.query("answers_total", now())) == ["3", "5"]
        assert not any(task.done() for task in hung)
        answers = await asyncio.gather(*hung)
        assert time.monotonic() - started < 4.0
    assert all(isinstance(answer, QueryFailed) for answer in answers)
    assert {answer.reason for answer in answers if isinstance(answer, QueryFailed)} == {
        f"Prometheus at {silent.url}: no answer within 0.5s"
    }


async def test_a_closed_client_fails_quietly() -> None:
    client = Prometheus("http://127.0.0.1:9")
    client.close()
    assert isinstance(await client.query("up", now()), QueryFailed)
