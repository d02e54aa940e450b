"""A real Envoy with model-like backends and a steady load, all on loopback."""

import asyncio
import contextlib
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from cluster.network import free_port
from modeldeploy.adapters.xds import Nack, Tls, XdsServer
from modeldeploy.render.traffic import bootstrap
from modeldeploy.render.traffic.model import REVISION_HEADER, Backend, Endpoint, RoutedModel
from modeldeploy.render.traffic.router import CONFIG_DIR

ENVOY = resources.files("envoy") / "_bin" / "envoy"
NAMESPACE = "voice-search"
nacks: list[Nack] = []


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def revision(self) -> str:
        return self.headers.get(REVISION_HEADER, "")


async def _headers(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    pairs = (line.partition(":") for line in head[1:] if line)
    return head[0], {key.strip().lower(): value.strip() for key, _, value in pairs}


async def _message(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    first, headers = await _headers(reader)
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    elif length := int(headers.get("content-length", "0")):
        body = await reader.readexactly(length)
    return first, headers, body


@dataclass
class Pod:
    """A model server of 40 lines: keep-alive, a delay, and the graceful end of a pod."""

    delay: float = 0.0
    status: int = 200
    deaf: bool = False
    draining: bool = False
    arrivals: list[float] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> "Pod":
        _running.append(self)
        self._server = await asyncio.start_server(self._serve, host, port, limit=2**26)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self.deaf:
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            return
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                _, headers, body = await _message(reader)
                self.arrivals.append(time.monotonic())
                self.requests.append(headers)
                await asyncio.sleep(self.delay)
                closing = "connection: close\r\n" if self.draining else ""
                text = str(len(body))
                writer.write(
                    f"HTTP/1.1 {self.status} \r\n{closing}content-length: {len(text)}\r\n\r\n{text}".encode()
                )
                await writer.drain()
                if self.draining:
                    break
        self._writers.discard(writer)
        writer.close()

    async def end(self, drain: float = 0.0) -> None:
        """Stop listening, answer with `Connection: close` for `drain` seconds, then be gone."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        await asyncio.sleep(drain)
        for writer in list(self._writers):
            writer.close()


_running: list[Pod] = []


async def end_pods() -> None:
    while _running:
        await _running.pop().end()


@dataclass
class Router:
    """A router pod: Envoy with the product's bootstrap, its paths and fixed ports moved."""

    folder: Path
    xds_port: int
    ca_pem: str | None = None
    tls_secrets: Mapping[str, Path] = field(default_factory=dict)
    metrics_port: int = field(default_factory=free_port)
    admin_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "token").exists():
            (self.folder / "token").write_text(NAMESPACE)
        files = bootstrap.files("127.0.0.1", self.xds_port, self.ca_pem, self.tls_secrets)
        for name, text in files.items():
            moved = text.replace(CONFIG_DIR, str(self.folder))
            moved = moved.replace(bootstrap.TOKEN_DIR, str(self.folder))
            for secret, mounted in self.tls_secrets.items():
                moved = moved.replace(f"{bootstrap.TLS_DIR}/{secret}", str(mounted))
            moved = moved.replace(f": {bootstrap.ADMIN_PORT}", f": {self.admin_port}")
            moved = moved.replace(f": {bootstrap.METRICS_PORT}", f": {self.metrics_port}")
            (self.folder / name).write_text(moved)
        with (self.folder / "envoy.log").open("ab") as log:
            command = [str(ENVOY), "-c", str(self.folder / "bootstrap.json"), "--concurrency", "2"]
            command += ["--disable-hot-restart", "--service-node", "router-0", "--service-cluster", "router"]
            self.process = subprocess.Popen([*command, "--drain-time-s", "2"], stderr=log)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)

    def cpu_seconds(self) -> float:
        assert self.process is not None
        user, system = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / 100

    def log(self) -> str:
        return (self.folder / "envoy.log").read_text()

    async def ready(self, limit: float = 10.0) -> None:
        await until(self._ready, limit)

    async def _ready(self) -> bool:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            return (await get(self.metrics_port, "/ready")).status == 200
        return False

    async def metrics(self) -> str:
        return (await get(self.metrics_port, "/stats/prometheus")).body.decode()


async def until(condition: object, limit: float = 5.0) -> None:
    """Wait for a (possibly asynchronous) condition."""
    deadline = time.monotonic() + limit
    while True:
        assert callable(condition)
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return
        assert time.monotonic() < deadline, "not within the time limit"
        await asyncio.sleep(0.005)


async def get(
    port: int, path: str = "/", host: str = "model", body: bytes = b"", headers: str = ""
) -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await exchange(reader, writer, path, host, body, headers)
    finally:
        writer.close()


async def exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    path: str = "/",
    host: str = "model",
    body: bytes = b"",
    headers: str = "",
) -> Answer:
    """One request; `headers` are whole lines."""
    method = "POST" if body else "GET"
    head = f"{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
    writer.write(head.encode() + body)
    first, told, answered = await _message(reader)
    return Answer(int(first.split()[1]), told, answered)


async def serves(port: int, generation: int) -> bool:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        answer = await get(port, host="generation.modeldeploy.internal")
        return answer.status == 200 and answer.body == str(generation).encode()
    return False


@dataclass
class Load:
    """Requests at a steady rate over keep-alive connections; every answer counted, every failure kept."""

    port: int
    rate: float = 500.0
    connections: int = 8
    answers: Counter[tuple[int, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _stop: bool = False

    async def _client(self, offset: float) -> None:
        pause = self.connections / self.rate
        due = time.monotonic() + offset * pause
        reader = writer = None
        while not self._stop:
            due += pause
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            try:
                if reader is None or writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                answer = await exchange(reader, writer)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.failures.append(repr(error))
                reader = writer = None
                continue
            self.answers[answer.status, answer.revision] += 1
            if answer.status != 200:
                self.failures.append(f"{answer.status} {answer.body!r}")
            if answer.headers.get("connection") == "close":
                writer.close()
                reader = writer = None
        if writer is not None:
            writer.close()

    @property
    def sent(self) -> int:
        return sum(self.answers.values())


@contextlib.asynccontextmanager
async def load(port: int, rate: float = 500.0, connections: int = 8) -> AsyncIterator[Load]:
    running = Load(port, rate, connections)
    running._tasks = [asyncio.create_task(running._client(i / connections)) for i in range(connections)]
    try:
        yield running
    finally:
        running._stop = True
        await asyncio.gather(*running._tasks)


async def authenticate(token: str) -> str | None:
    """A test token is the name of its namespace."""
    return token if token in {NAMESPACE, "search"} else None


async def start_server(port: int = 0, tls: Tls | None = None) -> tuple[XdsServer, int]:
    server = XdsServer(authenticate, nacks.append)
    return server, await server.start(f"127.0.0.1:{port}", tls)


def backend(
    revision: str, weight: int, *pods: Pod, service: Pod | None = None, http2: bool = False
) -> Backend:
    addresses = tuple(Endpoint("127.0.0.1", pod.port) for pod in pods)
    fallback = service or (pods[0] if pods else None)
    return Backend(
        revision,
        weight,
        "127.0.0.1" if fallback else "",
        fallback.port if fallback else 0,
        addresses,
        http2=http2,
    )


def model(
    port: int, generation: int, *backends: Backend, name: str = "recogniser", **more: Any
) -> RoutedModel:
    return RoutedModel(NAMESPACE, name, port, generation, backends, uid="0b8f1c52-7d0a", **more)


@dataclass
class Plane:
    """One router and the server that configures it."""

    server: XdsServer
    router: Router
    port: int = field(default_factory=free_port)
    name: str = "recogniser"

    def made(self, generation: int, *backends: Backend, **more: Any) -> RoutedModel:
        return model(self.port, generation, *backends, name=self.name, **more)

    def publish(self, generation: int, *backends: Backend, **more: Any) -> None:
        self.server.publish(NAMESPACE, [self.made(generation, *backends, **more)])

    async def serving(self, generation: int, *backends: Backend, **more: Any) -> None:
        """Publish, and wait until the router says that it serves it."""
        self.publish(generation, *backends, **more)
        await until(lambda: serves(self.port, generation))

    async def restarted(self) -> None:
        """Another operator takes over on the same address, knowing nothing yet."""
        await self.server.stop(0)
        self.server, _ = await start_server(self.router.xds_port)


@contextlib.asynccontextmanager
async def plane(
    folder: Path, tls: Tls | None = None, tls_secrets: Mapping[str, Path] | None = None
) -> AsyncIterator[Plane]:
    server, port = await start_server(tls=tls)
    ca_pem = tls.certificate.read_text() if tls else None
    running = Plane(server, Router(folder / "router", port, ca_pem, tls_secrets or {}))
    running.router.start()
    try:
        yield running
    finally:
        running.router.stop()
        await running.server.stop(0)
        await end_pods()
