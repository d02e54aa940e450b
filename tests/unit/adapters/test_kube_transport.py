"""Servers that don't answer, and credentials that change, over real sockets and files."""

import asyncio
import datetime as dt
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import incluster_config

from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.config import configuration
from modeldeploy.adapters.kube.errors import NotFound, TimedOut, Unavailable
from modeldeploy.adapters.kube.limiter import Limiter
from modeldeploy.adapters.kube.resources import POD

pytestmark = pytest.mark.unit


@asynccontextmanager
async def server(answer: bytes | None) -> AsyncIterator[str]:
    """Answers every connection with these bytes, or never."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    listening.close()


@asynccontextmanager
async def client(host: str, timeout: float = 5.0) -> AsyncIterator[Kube]:  # noqa: ASYNC109 - it is what is tested
    kube = Kube(ApiClient(Configuration(host=host)), timeout=timeout)
    yield kube
    await kube.close()


async def test_a_server_that_never_answers_is_given_up() -> None:
    async with server(None) as host, client(host, timeout=0.2) as kube:
        with pytest.raises(TimedOut, match=r"get Pod: no answer from the API server in 0\.[2-9] s"):
            await kube.get(POD, "ns", "a")


async def test_a_server_that_is_not_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        async with client(f"http://127.0.0.1:{port}") as kube:
            with pytest.raises(Unavailable, match="get Pod: the API server can't be reached"):
                await kube.get(POD, "ns", "a")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    ],
)
async def test_an_answer_that_is_none(answer: bytes) -> None:
    async with server(answer) as host, client(host) as kube:
        with pytest.raises(Unavailable):
            await kube.get(POD, "ns", "a")


async def test_a_proxys_404_is_still_one() -> None:
    answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 18\r\n\r\n404 page not found"
    async with server(answer) as host, client(host) as kube:
        with pytest.raises(NotFound, match="404 page not found"):
            await kube.get(POD, "ns", "a")


async def test_writes_wait_for_their_turn_and_reads_do_not() -> None:
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    loop = asyncio.get_running_loop()
    async with server(answer) as host:
        kube = Kube(ApiClient(Configuration(host=host)), limiter=Limiter(rate=10.0, burst=1))
        began = loop.time()
        await kube.get(POD, "ns", "a")
        await kube.patch(POD, "ns", "a", {})
        free = loop.time() - began
        await kube.patch(POD, "ns", "a", {})
        await kube.patch(POD, "ns", "a", {})
        took = loop.time() - began
        await kube.close()
    assert free < took
    assert took >= 0.19


async def test_a_rotated_token_is_used_a_minute_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, authority = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("first")
    authority.write_text("a certificate")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))
    found = await configuration()
    assert found.host == "https://127.0.0.1:6443"
    token.write_text("second")
    assert await found.get_api_key_with_prefix("BearerToken") == "bearer first"
    monkeypatch.setattr(incluster_config, "datetime", _later(dt.timedelta(seconds=61)))
    assert await found.get_api_key_with_prefix("BearerToken") == "bearer second"


def _later(by: dt.timedelta) -> object:
    class Later(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
            return dt.datetime.now(tz) + by

    return SimpleNamespace(datetime=Later, timedelta=dt.timedelta)
