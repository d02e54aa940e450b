"""Ending a server without failing a request.

A router keeps connections open and takes a moment to learn that a pod is ending, so for a while requests go
on arriving after SIGTERM. A server that closes its idle connections at once, as uvicorn does, closes some of
them just when a request is on its way, and that request fails. Here a server that is told to end

1. says that it isn't ready, and goes on accepting and answering, with ``Connection: close``, so that the
   connections are given back one by one by the side that would use them;
2. once no request has come for a quiet time (or at a limit) closes what is left, lets requests in flight end,
   and exits with 0.

The same race exists without any SIGTERM where a server's keep-alive timeout is shorter than the router's: see
:data:`KEEP_ALIVE_SECONDS`.
"""

from time import monotonic
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Longer than Envoy keeps an idle connection (an hour): the side that sends requests must be the one to close.
KEEP_ALIVE_SECONDS = 3900


class Drain:
    """Whether the server is ending, and when the last request came."""

    def __init__(self) -> None:
        self._begun: float | None = None
        self._last_request = 0.0

    @property
    def begun(self) -> bool:
        """Whether the server has been told to end."""
        return self._begun is not None

    def begin(self) -> None:
        """Note that the server has been told to end."""
        self._begun = monotonic()

    def request(self) -> None:
        """Note that a request has come."""
        self._last_request = monotonic()

    def over(self, quiet: float, limit: float) -> bool:
        """Whether it may close: no request for ``quiet`` seconds, or ``limit`` seconds since it began."""
        if self._begun is None:
            return False
        now = monotonic()
        return now - max(self._begun, self._last_request) >= quiet or now - self._begun >= limit


class DrainMiddleware:
    """Notes requests, and gives connections back while the server is ending.

    Args:
        app: the application.
        drain: the server's state.
        ignore: paths whose requests don't keep the server from closing: probes and scrapes go on to the end.
    """

    def __init__(self, app: ASGIApp, drain: Drain, ignore: frozenset[str]) -> None:
        self._app = app
        self._drain = drain
        self._ignore = ignore

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] not in self._ignore:
            self._drain.request()

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and self._drain.begun:
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, closing)


class DrainingServer(uvicorn.Server):
    """A uvicorn server that drains first when it is told to end. Told a second time, it closes at once.

    Args:
        config: uvicorn's.
        drain: state shared with :class:`DrainMiddleware` and the readiness probe.
        quiet: seconds without a request after which it closes.
        limit: seconds after which it closes anyway; with uvicorn's ``timeout_graceful_shutdown`` it must fit
            into the pod's termination grace period.
    """

    def __init__(self, config: uvicorn.Config, drain: Drain, *, quiet: float, limit: float) -> None:
        super().__init__(config)
        self._drain = drain
        self._quiet = quiet
        self._limit = limit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called on SIGTERM and SIGINT."""
        if self._drain.begun:
            super().handle_exit(sig, frame)
        else:
            self._drain.begin()

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second; whether to close."""
        over = self._drain.over(self._quiet, self._limit)
        return await super().on_tick(counter) or over
