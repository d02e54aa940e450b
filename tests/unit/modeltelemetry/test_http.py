"""Middleware and endpoints, through real ASGI calls."""

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from modeltelemetry import Telemetry, TelemetryMiddleware, telemetry_routes

pytestmark = pytest.mark.unit


class Model:
    """A model server whose one path answers as the test asks it to."""

    def __init__(self) -> None:
        self.telemetry = Telemetry(("digits",), events=("redo", "typed"))
        self.release = asyncio.Event()
        self.started = asyncio.Event()
        routes = [
            Route("/infer/{how}", self.answer, methods=["POST"]),
            Route("/health", self.health),
            *telemetry_routes(self.telemetry),
        ]
        paths = {
            f"/infer/{how}": "digits" for how in ("ok", "raise", "stream", "broken", "wait", "later", "404")
        }
        self.app = Starlette(
            routes=routes,
            middleware=[Middleware(TelemetryMiddleware, telemetry=self.telemetry, paths=paths)],
        )
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://model")

    async def health(self, _: Request) -> Response:
        return PlainTextResponse("ok")

    async def answer(self, request: Request) -> Response:
        match request.path_params["how"]:
            case "ok":
                return PlainTextResponse("7")
            case "stream":
                return StreamingResponse(self.chunks(broken=False))
            case "broken":
                return StreamingResponse(self.chunks(broken=True))
            case "wait":
                self.started.set()
                await self.release.wait()
                return PlainTextResponse("7")
            case "later":
                return PlainTextResponse("7", background=BackgroundTask(asyncio.sleep, 0.3))
            case "404":
                return PlainTextResponse("no such model", 404)
        raise RuntimeError

    async def chunks(self, *, broken: bool) -> AsyncIterator[bytes]:
        yield b"7"
        await asyncio.sleep(0.02)
        if broken:
            raise RuntimeError
        yield b"8"

    async def metrics(self) -> dict[str, float]:
        text = (await self.client.get("/metrics")).text
        return {
            sample.name
            + "".join(
                f" {sample.labels[name]}" for name in ("code", "event") if name in sample.labels
            ): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if "le" not in sample.labels
        }


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    served = Model()
    async with served.client:
        yield served


async def test_answers_are_counted_by_status_and_timed(model: Model) -> None:
    for how in ("ok", "ok", "404"):
        await model.client.post(f"/infer/{how}")
    metrics = await model.metrics()
    assert metrics["model_requests_total 200"] == 2
    assert metrics["model_requests_total 404"] == 1
    assert metrics["model_request_duration_seconds_count"] == 3
    assert 0 < metrics["model_request_duration_seconds_sum"] < 1


async def test_a_wrong_method_on_the_models_path_is_counted_too(model: Model) -> None:
    assert (await model.client.get("/infer/ok")).status_code == 405
    assert (await model.metrics())["model_requests_total 405"] == 1


async def test_probes_scrapes_and_feedback_are_not_the_models_requests(model: Model) -> None:
    await model.client.get("/health")
    await model.client.post("/feedback", json={"event": "redo"})
    metrics = await model.metrics()
    assert metrics["model_request_duration_seconds_count"] == 0


async def test_an_exception_counts_as_500(model: Model) -> None:
    assert (await model.client.post("/infer/raise")).status_code == 500
    metrics = await model.metrics()
    assert metrics["model_requests_total 500"] == 1
    assert metrics["model_requests_total 200"] == 0
    assert metrics["model_inflight_requests"] == 0


async def test_a_stream_is_timed_to_its_last_byte(model: Model) -> None:
    assert (await model.client.post("/infer/stream")).text == "78"
    assert (await model.metrics())["model_request_duration_seconds_sum"] >= 0.02


async def test_a_stream_that_breaks_after_its_200_counts_as_500(model: Model) -> None:
    with pytest.raises(RuntimeError):
        await httpx.AsyncClient(transport=httpx.ASGITransport(model.app), base_url="http://model").post(
            "/infer/broken"
        )
    metrics = await model.metrics()
    assert metrics["model_requests_total 500"] == 1
    assert metrics["model_requests_total 200"] == 0


async def test_work_after_the_answer_is_not_counted_as_its_duration(model: Model) -> None:
    await model.client.post("/infer/later")
    metrics = await model.metrics()
    assert metrics["model_request_duration_seconds_sum"] < 0.25


async def test_a_request_is_in_flight_until_it_is_answered(model: Model) -> None:
    request = asyncio.create_task(model.client.post("/infer/wait"))
    await model.started.wait()
    assert (await model.metrics())["model_inflight_requests"] == 1
    model.release.set()
    await request
    assert (await model.metrics())["model_inflight_requests"] == 0


async def test_a_request_that_is_cancelled_counts_as_499(model: Model) -> None:
    request = asyncio.create_task(model.client.post("/infer/wait"))
    await model.started.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    metrics = await model.metrics()
    assert metrics["model_requests_total 499"] == 1
    assert metrics["model_requests_total 500"] == 0
    assert metrics["model_inflight_requests"] == 0


async def test_lifespan_and_websockets_pass_through() -> None:
    seen = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.sleep(0)
        seen.append(scope["type"])

    telemetry = Telemetry(("digits",))
    middleware = TelemetryMiddleware(app, telemetry, {"/infer": "digits"})

    async def receive() -> Message:
        raise AssertionError

    async def send(_: Message) -> None:
        raise AssertionError

    for scope in ({"type": "lifespan"}, {"type": "websocket", "path": "/infer"}):
        await middleware(scope, receive, send)
    assert seen == ["lifespan", "websocket"]
    assert 'model_request_duration_seconds_count{module="digits"} 0.0' in telemetry.exposition().decode()


def test_a_path_of_an_unknown_module_is_refused_at_start() -> None:
    with pytest.raises(KeyError, match="no module 'other'"):
        TelemetryMiddleware(Starlette(), Telemetry(("digits",)), {"/infer": "other"})


async def test_metrics_are_served_as_prometheus_text(model: Model) -> None:
    answer = await model.client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "# TYPE model_output_null_total counter" in answer.text


async def test_feedback_is_counted_and_its_request_id_is_logged_not_labelled(
    model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="modeltelemetry.feedback"):
        answer = await model.client.post("/feedback", json={"event": "redo", "request_id": "a1b2-c3"})
    assert (answer.status_code, answer.json()) == (202, {"event": "redo"})
    assert (await model.metrics())["model_feedback_total redo"] == 1
    assert "a1b2-c3" not in (await model.client.get("/metrics")).text
    assert caplog.messages == ["feedback event=redo request_id=a1b2-c3"]


async def test_an_unknown_event_is_refused_naming_the_known_ones(model: Model) -> None:
    answer = await model.client.post("/feedback", json={"event": "redone"})
    assert answer.status_code == 422
    assert answer.json() == {"error": "unknown event 'redone'; known events: redo, typed"}
    assert "redone" not in (await model.client.get("/metrics")).text


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"redo", 400, "must be JSON"),
        (b'"\xff"', 400, "must be JSON"),
        (b"[" * 4000, 400, "must be JSON"),
        (b"[]", 400, "must be a JSON object"),
        (b"{}", 400, "event must be a string"),
        (b'{"event": 1}', 400, "event must be a string"),
        (b'{"event": "redo", "user": "x"}', 400, "unknown field 'user'; known fields: event, request_id"),
        (b'{"event": "redo", "request_id": 7}', 400, "request_id must be 1 to 128"),
        (b'{"event": "redo", "request_id": "a\\nb"}', 400, "request_id must be 1 to 128"),
        (b'{"event": "' + b"x" * 5000 + b'"}', 413, "more than 4096 bytes"),
    ],
    ids=[
        "text",
        "not utf-8",
        "deep",
        "list",
        "empty",
        "number",
        "extra",
        "id-number",
        "id-newline",
        "too long",
    ],
)
async def test_feedback_that_makes_no_sense_is_refused(
    model: Model, body: bytes, status: int, message: str
) -> None:
    answer = await model.client.post("/feedback", content=body)
    assert answer.status_code == status
    assert message in answer.json()["error"]
    metrics = await model.metrics()
    assert metrics["model_feedback_total redo"] == 0
