"""Ending a real server process under clients that keep their connections."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import pytest

from digits.drain import Drain
from digits.load_requests import body
from unit.digits.processes import BLANK, INFER, Serve, ServerProcess

pytestmark = pytest.mark.api


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60)) as made:
        yield made


class RouterLike:
    """Workers that send one request after another over kept connections, to where they are told."""

    def __init__(self, session: aiohttp.ClientSession, target: ServerProcess) -> None:
        self.target = target
        self.answers: Counter[tuple[int, int]] = Counter()
        self.closing: Counter[int] = Counter()
        self.failures: list[str] = []
        self._session = session
        self._stop = False

    async def run(self, workers: int) -> None:
        await asyncio.gather(*(self._work() for _ in range(workers)))

    def stop(self) -> None:
        self._stop = True

    async def _work(self) -> None:
        while not self._stop:
            port = self.target.port
            try:
                async with self._session.post(f"{self.target.url}{INFER}", data=body("1", [BLANK])) as answer:
                    await answer.read()
            except aiohttp.ClientError as error:
                self.failures.append(repr(error))
            else:
                self.answers[port, answer.status] += 1
                self.closing[port] += answer.headers.get("connection") == "close"
            await asyncio.sleep(0.02)


async def exit_code(server: ServerProcess) -> int:
    return await asyncio.to_thread(server.process.wait, 20)


async def test_no_request_fails_when_a_server_ends_under_a_router_that_learns_of_it_late(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    ending, staying = serve(quiet=0.5), serve(quiet=0.1)
    for server in (ending, staying):
        await asyncio.to_thread(server.wait_until_ready)
    router = RouterLike(session, ending)
    running = asyncio.create_task(router.run(workers=8))
    await asyncio.sleep(0.4)
    assert not router.closing[ending.port]
    ending.process.terminate()
    await asyncio.sleep(0.6)
    router.target = staying
    assert await exit_code(ending) == 0
    await asyncio.sleep(0.2)
    router.stop()
    await running
    assert router.failures == []
    assert set(router.answers) == {(ending.port, 200), (staying.port, 200)}
    # It went on answering for longer than its quiet time, and gave back every connection that was used.
    assert router.closing[ending.port] >= 8
    assert router.closing[staying.port] == 0


async def test_a_server_told_to_end_stays_reachable_but_not_ready_until_it_is_quiet(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    server = serve(quiet=0.6)
    await asyncio.to_thread(server.wait_until_ready)
    server.process.terminate()
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        async with session.get(f"{server.url}/v2/health/ready") as ready:
            assert ready.status == 503
        await asyncio.sleep(0.05)
    async with session.post(f"{server.url}{INFER}", data=body("1", [BLANK])) as answer:
        assert (answer.status, answer.headers["connection"]) == (200, "close")
    answered = time.monotonic()
    assert await exit_code(server) == 0
    assert 0.5 <= time.monotonic() - answered < 3


async def test_requests_in_flight_are_finished_after_the_quiet_time_is_over(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    server = serve(quiet=0.05, slow=True)
    await asyncio.to_thread(server.wait_until_ready)

    async def ask() -> int:
        async with session.post(f"{server.url}{INFER}", data=body("1", [BLANK])) as answer:
            await answer.read()
            return answer.status

    # Three in ten wait for 350 ms or more: that none of 40 does happens once in a million runs.
    asked = [asyncio.create_task(ask()) for _ in range(40)]
    await asyncio.sleep(0.15)
    assert any(not task.done() for task in asked)
    server.process.terminate()
    assert await asyncio.gather(*asked) == [200] * 40
    assert await exit_code(server) == 0


async def test_requests_without_end_do_not_keep_it_beyond_its_limit(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    server = serve(quiet=0.5, limit=0.8)
    await asyncio.to_thread(server.wait_until_ready)
    router = RouterLike(session, server)
    running = asyncio.create_task(router.run(workers=2))
    await asyncio.sleep(0.1)
    server.process.terminate()
    start = time.monotonic()
    assert await exit_code(server) == 0
    assert 0.7 <= time.monotonic() - start < 4
    router.stop()
    await running


async def test_told_a_second_time_it_closes_at_once(serve: Serve) -> None:
    server = serve(quiet=60, limit=60)
    await asyncio.to_thread(server.wait_until_ready)
    server.process.terminate()
    await asyncio.sleep(0.2)
    assert server.process.poll() is None
    start = time.monotonic()
    server.process.terminate()
    await exit_code(server)
    assert time.monotonic() - start < 5


def test_a_server_that_was_not_told_to_end_never_closes() -> None:
    drain = Drain()
    assert not drain.begun
    assert not drain.over(quiet=0, limit=0)
    drain.begin()
    assert drain.over(quiet=0, limit=60)
