"""What the kubelet and Prometheus ask of the operator itself."""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

Metrics = Mapping[str, float]


class HealthServer:
    """Answers `/livez` and `/readyz` on one port, `/metrics` on another.

    Args:
        alive: None while the process does its work, else what is stuck.
        ready: None once the process can do its work, else what it waits for.
        metrics: Gauges and counters by name, with labels where there are any.
    """

    def __init__(
        self,
        alive: Callable[[], str | None],
        ready: Callable[[], str | None],
        metrics: Callable[[], Metrics],
    ) -> None:
        self._alive = alive
        self._ready = ready
        self._metrics = metrics
        self._runners: list[web.AppRunner] = []

    async def start(self, health_port: int, metrics_port: int) -> None:
        """Listen on all addresses of the pod."""
        await self._listen(
            health_port,
            {"/livez": lambda: _verdict(self._alive()), "/readyz": lambda: _verdict(self._ready())},
        )
        await self._listen(
            metrics_port, {"/metrics": lambda: web.Response(text=_exposition(self._metrics()))}
        )

    async def stop(self) -> None:
        """Stop listening."""
        for runner in self._runners:
            await runner.cleanup()

    async def _listen(self, port: int, pages: Mapping[str, Callable[[], web.Response]]) -> None:
        app = web.Application()
        for path, page in pages.items():
            app.router.add_get(path, _handler(page))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, None, port).start()


def _handler(page: Callable[[], web.Response]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_: web.Request) -> web.Response:
        return page()

    return handle


def _verdict(problem: str | None) -> web.Response:
    return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)


def _exposition(metrics: Metrics) -> str:
    return "".join(f"{name} {value:g}\n" for name, value in sorted(metrics.items()))
