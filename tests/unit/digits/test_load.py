"""The load generator: against the real server, and against servers that do what they shouldn't."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from digits.load import Load, main
from digits.load_requests import check_answer
from digits.load_stats import Latencies, RevisionSeen, Snapshot, Tally
from unit.digits.processes import ServerProcess

pytestmark = pytest.mark.api

Behaviour = Callable[["Handler", dict[str, Any]], None]


class Handler(BaseHTTPRequestHandler):
    """Reads a request and does with it what the test wants."""

    protocol_version = "HTTP/1.1"
    behaviour: Behaviour

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["content-length"])))
        type(self).behaviour(self, content)

    def reply(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not on the terminal."""


def good(request: dict[str, Any], **changes: Any) -> dict[str, Any]:
    count = request["inputs"][0]["shape"][0]
    output = {"name": "digit", "datatype": "INT64", "shape": [count], "data": [7] * count}
    return {
        "model_name": "digits",
        "model_version": "v0",
        "id": request["id"],
        "outputs": [output],
        **changes,
    }


@contextmanager
def served(behaviour: Behaviour) -> Iterator[str]:
    handler = type("ThisHandler", (Handler,), {"behaviour": staticmethod(behaviour)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def load_of(behaviour: Behaviour, **arguments: Any) -> Snapshot:
    with served(behaviour) as url:
        load = Load(url, **{"rate": 100, "duration": 0.1, **arguments})
        load.start()
        return load.join(10)


def test_a_good_server_is_found_good(server: ServerProcess) -> None:
    load = Load(server.url, rate=200, duration=1, missing=0.05)
    load.start()
    seen = load.join(20)
    assert not load.running
    assert seen.clean(), seen.first_failure
    assert (seen.sent, seen.ok, seen.in_flight, seen.failures) == (200, 200, 0, 0)
    assert seen.versions == {"v1": 200}
    assert seen.revisions == {}
    assert 400 < seen.outputs < 600
    assert seen.p50 is not None
    assert seen.p99 is not None
    assert 0 < seen.p50 <= seen.p99 < 5


def test_answers_are_noted_by_the_revision_that_the_router_names() -> None:
    before = time.time()

    def behaviour(handler: Handler, request: dict[str, Any]) -> None:
        number = int(request["id"])
        revision = "5d4c" if number < 6 else "9f1a"
        answer = good(request)
        if number == 7:
            answer["outputs"][0]["data"][0] = None
        status = 503 if number == 8 else 200
        handler.reply(status, answer, {"x-modeldeploy-revision": revision})

    seen = load_of(behaviour)
    stable, candidate = seen.revisions["5d4c"], seen.revisions["9f1a"]
    assert (stable.answers, stable.ok, stable.errors, stable.nulls) == (6, 6, 0, 0)
    assert (candidate.answers, candidate.ok, candidate.errors, candidate.nulls) == (4, 3, 1, 1)
    assert before < stable.first_answer < stable.last_answer < candidate.last_answer < time.time()
    assert candidate.last_sent < candidate.last_answer
    assert (seen.nulls, seen.failed) == (1, {"http_503": 1})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "other"}, "not an answer of model digits to request 0"),
        ({"model_name": "letters"}, "not an answer of model digits"),
        ({"outputs": []}, "no output digit among"),
        ({"outputs": ["digit"]}, "no output digit among"),
        ({"outputs": [{"name": "digit", "shape": [2], "data": [1]}]}, "no output digit of shape [1]"),
        ({"outputs": [{"name": "digit", "shape": [1], "data": [1, 2]}]}, "no output digit of shape [1]"),
        ({"outputs": [{"name": "digit", "shape": [1], "data": [10]}]}, "not digits: [10]"),
        ({"outputs": [{"name": "digit", "shape": [1], "data": [True]}]}, "not digits: [True]"),
        ({"outputs": [{"name": "digit", "shape": [1], "data": ["7"]}]}, "not digits: ['7']"),
    ],
)
def test_a_200_that_is_no_answer_is_a_failure(changes: dict[str, Any], message: str) -> None:
    request = {"id": "0", "inputs": [{"shape": [1, 64]}]}
    assert check_answer(json.dumps(good(request)).encode(), "0", 1) == ("v0", 0)
    with pytest.raises(ValueError, match=r".") as refused:
        check_answer(json.dumps(good(request, **changes)).encode(), "0", 1)
    assert message in str(refused.value)


def test_a_bad_answer_is_counted_and_shown() -> None:
    seen = load_of(lambda handler, _: handler.reply(200, "hello"))
    assert seen.failed == {"bad_answer": 10}
    assert seen.first_failure is not None
    assert "hello" in seen.first_failure
    assert not seen.clean()


def test_a_deliberate_500_is_told_from_any_other() -> None:
    def behaviour(handler: Handler, request: dict[str, Any]) -> None:
        mark = {"x-digits-fault": "deliberate"} if int(request["id"]) % 2 else {}
        handler.reply(500, {"error": "fault"}, mark)

    seen = load_of(behaviour)
    assert (seen.deliberate, seen.failed) == (5, {"http_500": 5})


def test_deliberate_errors_are_permitted_only_when_expected() -> None:
    seen = load_of(lambda handler, _: handler.reply(500, {}, {"x-digits-fault": "deliberate"}))
    assert not seen.clean()
    assert seen.clean(expect_errors=True)


def test_the_mark_on_another_status_excuses_nothing() -> None:
    seen = load_of(lambda handler, _: handler.reply(503, {}, {"x-digits-fault": "deliberate"}))
    assert seen.failed == {"http_503": 10}


def test_connections_that_break_are_failures_and_not_sent_again() -> None:
    requests = []

    def behaviour(handler: Handler, request: dict[str, Any]) -> None:
        requests.append(request["id"])
        handler.close_connection = True

    seen = load_of(behaviour)
    assert seen.failed == {"disconnected": 10}
    assert len(requests) == 10


def test_a_server_that_is_not_there_is_a_failure() -> None:
    with served(lambda handler, _: handler.reply(200, {})) as url:
        pass
    load = Load(url, rate=100, duration=0.1)
    load.start()
    assert load.join(10).failed == {"connect": 10}


def test_a_server_that_hangs_is_a_failure_and_gets_no_less_load() -> None:
    release = threading.Event()

    def behaviour(*_: object) -> None:
        release.wait(5)

    seen = load_of(behaviour, timeout=0.3, max_outstanding=6)
    release.set()
    assert seen.failed == {"not_sent": 4, "timeout": 6}
    assert seen.p50 is None


def test_requests_that_go_out_late_are_told() -> None:
    class Slow(Tally):
        def fail(self, *_: str) -> None:
            time.sleep(0.02)

    load = Load("http://127.0.0.1:9", rate=500, duration=0.1)
    load._tally = Slow()
    load.start()
    seen = load.join(30)
    assert seen.late > 10
    assert seen.latest > 0.01


def test_a_load_that_sent_nothing_is_not_clean() -> None:
    load = Load("http://127.0.0.1:9")
    load.stop_sending()
    load.start()
    seen = load.join(10)
    assert (seen.sent, seen.clean()) == (0, False)


def test_stop_waits_for_answers_that_are_due() -> None:
    def behaviour(handler: Handler, request: dict[str, Any]) -> None:
        time.sleep(0.2)
        handler.reply(200, good(request))

    with served(behaviour) as url:
        load = Load(url, rate=50)
        load.start()
        time.sleep(0.15)
        assert load.snapshot().in_flight > 0
        seen = load.stop()
    assert seen.clean()
    assert seen.in_flight == 0
    assert seen.seconds < 2


def test_a_fault_of_the_load_itself_is_not_taken_for_success() -> None:
    class Broken(Tally):
        def seen(self, *_: object) -> RevisionSeen:
            raise RuntimeError("a fault")

    with served(
        lambda handler, request: handler.reply(200, good(request), {"x-modeldeploy-revision": "a"})
    ) as url:
        load = Load(url, rate=100, duration=0.1)
        load._tally = Broken()
        with pytest.raises(ExceptionGroup):
            load._main()
    assert not load.snapshot().clean()
    assert load.snapshot().failed == {"crashed": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "10.0.0.1"}, "url must start with http:// or https://"),
        ({"rate": 501}, "rate must be from 0.1 to 500, not 501"),
        ({"rate": 0}, "rate must be from"),
        ({"rate": float("nan")}, "rate must be from"),
        ({"duration": 3601}, "duration must be from 0.1 to 3600"),
        ({"max_images": 0}, "max_images must be from 1 to 64"),
        ({"missing": 1.1}, "missing must be from 0 to 1"),
        ({"timeout": 0}, "timeout must be from"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Load(**{"url": "http://127.0.0.1:9", **arguments})


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99, 1.0])
def test_quantiles_are_right_to_one_percent(share: float) -> None:
    latencies = Latencies()
    for milliseconds in range(1, 1001):
        latencies.add(milliseconds / 1000)
    assert latencies.quantile(share) == pytest.approx(share, rel=0.011)


def test_before_the_first_answer_there_is_no_quantile() -> None:
    assert Latencies().quantile(0.5) is None


def test_the_command_reports_and_exits_0_when_nothing_failed(
    server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [server.url, "--rate", "50", "--duration", "0.6", "--report-every", "0.2"]
    assert main(arguments) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kind"] for line in lines[:2]] == ["progress", "progress"]
    assert (lines[-1]["kind"], lines[-1]["sent"], lines[-1]["ok"]) == ("summary", 30, 30)


def test_the_command_exits_1_when_something_failed(capsys: pytest.CaptureFixture[str]) -> None:
    with served(lambda handler, _: handler.reply(503, {})) as url:
        assert main([url, "--duration", "0.1"]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["failed"] == {"http_503": 5}


def test_the_command_exits_2_and_says_why_when_an_argument_is_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["http://127.0.0.1:9", "--rate", "1000"]) == 2
    assert capsys.readouterr().err == "error: rate must be from 0.1 to 500, not 1000\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_with_its_summary(
    server: ServerProcess, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    threading.Timer(0.4, os.kill, (os.getpid(), number)).start()
    start = time.monotonic()
    assert main([server.url, "--duration", "60"]) == 0
    assert time.monotonic() - start < 20
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["kind"] == "summary"
    assert summary["sent"] == summary["ok"] > 0
    assert signal.getsignal(number) == before
