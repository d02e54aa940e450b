"""What the kubelet and Prometheus ask of the operator itself."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

Metrics = Mapping[str, float]
Page = Callable[[], web.Response]


class HealthServer:
    """Answers `/livez` and `/readyz` on one port, `/metrics` and `/targets` on another.

    Args:
        alive: None while the process does its work, else what is stuck.
        ready: None once the process can do its work, else what it waits for.
        metrics: Gauges and counters by name, with labels where there are any.
        targets: What Prometheus should scrape, as its HTTP service discovery reads it.
    """

    def __init__(
        self,
        alive: Callable[[], str | None],
        ready: Callable[[], str | None],
        metrics: Callable[[], Metrics],
        targets: Callable[[], list[dict[str, Any]]],
    ) -> None:
        self._health: Mapping[str, Page] = {
            "/livez": lambda: _verdict(alive()),
            "/readyz": lambda: _verdict(ready()),
        }
        self._observed: Mapping[str, Page] = {
            "/metrics": lambda: web.Response(text=_exposition(metrics())),
            "/targets": lambda: web.json_response(targets()),
        }
        self._runners: list[web.AppRunner] = []

    async def start(self, health_port: int, metrics_port: int) -> None:
        """Listen on all addresses of the pod."""
        await self._listen(health_port, self._health)
        await self._listen(metrics_port, self._observed)

    async def stop(self) -> None:
        """Stop listening."""
        for runner in self._runners:
            await runner.cleanup()

    async def _listen(self, port: int, pages: Mapping[str, Page]) -> None:
        app = web.Application()
        for path, page in pages.items():
            app.router.add_get(path, _handler(page))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, None, port).start()


def _handler(page: Page) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_: web.Request) -> web.Response:
        return page()

    return handle


def _verdict(problem: str | None) -> web.Response:
    return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)


def _exposition(metrics: Metrics) -> str:
    return "".join(f"{name} {value:g}\n" for name, value in sorted(metrics.items()))
