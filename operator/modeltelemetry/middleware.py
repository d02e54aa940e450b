"""ASGI middleware that counts and times requests."""

import asyncio
from collections.abc import Mapping
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modeltelemetry.recorder import Recorder
from modeltelemetry.telemetry import Telemetry

SERVER_ERROR = 500
CLIENT_CLOSED_REQUEST = 499


class TelemetryMiddleware:
    """Counts and times the requests of a model's own paths; all other paths pass untouched.

    Probes, ``/metrics`` and ``/feedback`` are not the model's work, so only the paths named here count.

    Args:
        app: the application.
        telemetry: where to record.
        paths: full request path to module, e.g. ``{"/v2/models/digits/infer": "digits"}``.

    Raises:
        KeyError: a module that ``telemetry`` doesn't have.
    """

    def __init__(self, app: ASGIApp, telemetry: Telemetry, paths: Mapping[str, str]) -> None:
        self._app = app
        self._recorders = {path: telemetry.module(module) for path, module in paths.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        recorder = self._recorders.get(scope["path"]) if scope["type"] == "http" else None
        if recorder is None:
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(recorder, send)
        try:
            await self._app(scope, receive, exchange)
        except asyncio.CancelledError:
            exchange.finish(CLIENT_CLOSED_REQUEST)
            raise
        finally:
            # Raised, or returned without an end: whatever its head said, the answer is broken.
            exchange.finish(SERVER_ERROR)


class _Exchange:
    """One request: stands in for ``send`` and notes status and end."""

    __slots__ = ("_done", "_recorder", "_send", "_start", "_status")

    def __init__(self, recorder: Recorder, send: Send) -> None:
        self._recorder = recorder
        self._send = send
        self._status = SERVER_ERROR
        self._done = False
        recorder.started()
        self._start = perf_counter()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            # Here and not when the application returns: background tasks are no part of the answer.
            self.finish(self._status)

    def finish(self, code: int) -> None:
        if not self._done:
            self._done = True
            self._recorder.finished(code, perf_counter() - self._start)
