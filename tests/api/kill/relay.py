"""An operator's own way to the API server: it notes what is written, and can be cut without a word."""

import asyncio
import contextlib
import ssl
import time
from pathlib import Path
from typing import NamedTuple

import aiohttp
import yaml
from aiohttp import web
from yarl import URL

from modeldeploy.adapters.kube.config import configuration

_READS = frozenset({"GET", "HEAD"})
_KEPT = ("Content-Type", "Accept", "User-Agent")
_ENDLESS = aiohttp.ClientTimeout(total=None)


class Write(NamedTuple):
    """A request that was to change something.

    Attributes:
        at: When it came, in monotonic seconds.
        text: Method and path.
        status: The API server's answer.
    """

    at: float
    text: str
    status: int


class Relay:
    """Carries requests of one client, as an administrator.

    Attributes:
        writes: Those that came, without the lease's and mere questions.
    """

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self.writes: list[Write] = []
        self.kubeconfig = folder / f"relay-{id(self)}.kubeconfig"
        self._target = kubeconfig
        self._open = asyncio.Event()
        self._open.set()

    async def start(self) -> None:
        found = await configuration(self._target)
        context = ssl.create_default_context(cafile=found.ssl_ca_cert)
        context.load_cert_chain(found.cert_file, found.key_file)
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, timeout=_ENDLESS)
        self._server = found.host
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._carry)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.kubeconfig.write_text(yaml.safe_dump(_kubeconfig(f"http://127.0.0.1:{port}")))

    async def stop(self) -> None:
        self._open.set()
        await self._session.close()
        await self._runner.cleanup()

    def cut(self) -> None:
        """From now on nothing gets through, in either direction, and nobody is told."""
        self._open.clear()

    def mend(self) -> None:
        self._open.set()

    def accepted(self, since: float = 0.0) -> list[Write]:
        """Writes since a moment that the API server took."""
        return [
            write
            for write in self.writes
            if write.at >= since and write.status < web.HTTPBadRequest.status_code
        ]

    async def _carry(self, request: web.Request) -> web.StreamResponse:
        await self._open.wait()
        url = URL(self._server + request.raw_path, encoded=True)
        headers = {name: request.headers[name] for name in _KEPT if name in request.headers}
        headers["Accept-Encoding"] = "identity"
        came, body = time.monotonic(), await request.read()
        async with self._session.request(request.method, url, data=body or None, headers=headers) as answer:
            self._note(came, request, answer.status)
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            await response.prepare(request)
            with contextlib.suppress(ConnectionError):  # the client has gone
                async for chunk in answer.content.iter_any():
                    await self._open.wait()
                    await response.write(chunk)
            return response

    def _note(self, came: float, request: web.Request, status: int) -> None:
        asks = request.path.endswith("/tokenreviews") or "/leases" in request.path
        if request.method not in _READS and not asks and "dryRun" not in request.query:
            self.writes.append(Write(came, f"{request.method} {request.path}", status))


def _kubeconfig(server: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "relay", "cluster": {"server": server}}],
        "users": [{"name": "relay", "user": {}}],
        "contexts": [{"name": "relay", "context": {"cluster": "relay", "user": "relay"}}],
        "current-context": "relay",
    }
