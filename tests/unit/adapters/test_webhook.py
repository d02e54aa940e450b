"""The client against a real HTTP server that takes events, refuses them, or misbehaves."""

import asyncio
import hashlib
import hmac
import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from modeldeploy.adapters.webhook import Webhook

pytestmark = pytest.mark.unit

EVENT = {"specversion": "1.0", "id": "uid-1.20261122-120000", "data": {"name": "recogniser"}}


@dataclass
class Service:
    """Answers as told, and keeps what it was sent."""

    port: int = 0
    status: int = 202
    slow: float = 0.0
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/retrain?why=drift"

    async def take(self, request: web.Request) -> web.Response:
        self.calls.append((dict(request.headers), await request.read()))
        await asyncio.sleep(self.slow)
        headers = {"Location": self.url} if self.status in range(300, 400) else {}
        return web.Response(status=self.status, text="inner secrets", headers=headers)


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Service]:
    made = Service()
    app = web.Application()
    app.router.add_post("/retrain", made.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as made:
        yield made


def client(session: aiohttp.ClientSession, service: Service, timeout: float = 5.0) -> Webhook:
    return Webhook(session, [f"127.0.0.1:{service.port}"], timeout=timeout)


async def test_an_event_is_posted_signed_and_under_its_key(
    session: aiohttp.ClientSession, service: Service
) -> None:
    answer = await client(session, service).post(service.url, EVENT, b"key")
    assert answer == (True, "the webhook at 127.0.0.1 was told (HTTP 202)")
    ((headers, body),) = service.calls
    assert json.loads(body) == EVENT
    assert headers["Content-Type"] == "application/cloudevents+json"
    assert headers["Idempotency-Key"] == EVENT["id"]
    signed = hmac.new(b"key", body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature-256"] == f"sha256={signed}"


async def test_without_a_secret_nothing_is_signed(session: aiohttp.ClientSession, service: Service) -> None:
    await client(session, service).post(service.url, EVENT, None)
    assert "X-Hub-Signature-256" not in service.calls[0][0]


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (500, "the webhook at 127.0.0.1 answered HTTP 500"),
        (404, "the webhook at 127.0.0.1 answered HTTP 404"),
        (302, "the webhook at 127.0.0.1 redirects elsewhere, which is not followed"),
        (307, "the webhook at 127.0.0.1 redirects elsewhere, which is not followed"),
    ],
)
async def test_anything_but_2xx_is_not_taken(
    session: aiohttp.ClientSession, service: Service, status: int, told: str
) -> None:
    service.status = status
    assert await client(session, service).post(service.url, EVENT, None) == (False, told)
    assert len(service.calls) == 1


async def test_a_slow_one_is_left_behind(session: aiohttp.ClientSession, service: Service) -> None:
    service.slow = 3.0
    begun = time.monotonic()
    answer = await client(session, service, timeout=0.2).post(service.url, EVENT, None)
    assert answer == (False, "the webhook at 127.0.0.1 gave no answer within 0.2s")
    assert time.monotonic() - begun < 2


async def test_nobody_there(session: aiohttp.ClientSession) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nobody listens
        hook = Webhook(session, [f"127.0.0.1:{held.getsockname()[1]}"])
        answer = await hook.post(f"http://127.0.0.1:{held.getsockname()[1]}/", EVENT, None)
    assert answer == (False, "the webhook at 127.0.0.1 cannot be called: no connection, or no HTTP answer")


async def test_no_http(session: aiohttp.ClientSession) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"+OK ready\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        answer = await Webhook(session, [f"127.0.0.1:{port}"]).post(f"http://127.0.0.1:{port}/", EVENT, None)
    assert answer == (False, "the webhook at 127.0.0.1 cannot be called: no connection, or no HTTP answer")


async def test_a_host_that_is_not_allowed_is_never_called(
    session: aiohttp.ClientSession, service: Service
) -> None:
    answer = await Webhook(session, ["127.0.0.1"]).post(service.url, EVENT, None)
    assert answer.taken is False
    assert answer.message == (
        f"spec.retraining.trigger.webhook.url: 127.0.0.1:{service.port} is not on the operator's allow-list; "
        "add it to the chart value retraining.allowedHosts"
    )
    assert service.calls == []


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("https://pipelines.example.org/retrain", True),
        ("https://PIPELINES.example.org", True),
        ("http://pipelines.example.org", True),
        ("https://pipelines.example.org:443", True),
        ("https://pipelines.example.org:8443", False),
        ("https://evil.example.org", False),
        ("https://pipelines.example.org.evil.example", False),
        ("https://evil.example/pipelines.example.org", False),
        ("https://pipelines.example.org@evil.example", False),
        ("https://user:secret@pipelines.example.org", False),
        ("http://argo.events:12000/x", True),
        ("http://argo.events/x", False),
        ("http://[::1]:8080/", True),
        ("http://[::1]/", False),
        ("http://[::1/", False),
        ("http://argo.events:99999/", False),
        ("https://evil.example\\@pipelines.example.org", False),
        ("https://evil.example\\.pipelines.example.org", False),
        ("https://pipelines.example.org:443\\@evil.example", False),
        ("ftp://pipelines.example.org", False),
        ("http:///retrain", False),
    ],
)
async def test_hosts_are_allowed_one_by_one(
    session: aiohttp.ClientSession,
    url: str,
    is_allowed: bool,  # noqa: FBT001
) -> None:
    hook = Webhook(session, ["Pipelines.example.org", "argo.events:12000", "[::1]:8080"])
    complaint = hook.complaint(url)
    assert (complaint is None) == is_allowed
    if complaint:
        assert complaint.startswith("spec.retraining.trigger.webhook.url: ")
        assert "secret@" not in complaint
