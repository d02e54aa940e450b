"""Leadership on a real API server: taken, kept, lost and handed over."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from kubernetes.aio.client import ApiClient

from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.config import api_client, configuration
from modeldeploy.adapters.kube.lease import Lease
from modeldeploy.adapters.kube.resources import LEASE, Object

pytestmark = pytest.mark.api

DURATION, RENEW = 3.0, 0.8


class Replica:
    """A participant, and when it gained and lost leadership (monotonic seconds)."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Kube]],
        namespace: str,
        identity: str,
        renew: float = RENEW,
    ) -> None:
        self.gained: list[float] = []
        self.lost: list[float] = []
        self.lease = Lease(
            connect,
            namespace=namespace,
            name="leader",
            identity=identity,
            duration=DURATION,
            renew=renew,
            gained=lambda: self.gained.append(time.monotonic()),
            lost=lambda: self.lost.append(time.monotonic()),
        )


@asynccontextmanager
async def replicas(*members: Replica) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for member in members:
            await member.lease.stop()


@pytest.fixture
def connect(kubeconfig: Path) -> Callable[[], Awaitable[Kube]]:
    async def connected() -> Kube:
        return Kube(await api_client(kubeconfig), timeout=DURATION / 6)

    return connected


async def until(condition: Callable[[], object], seconds: float) -> float:
    """Wait for the condition; returns how long it took."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
    return time.monotonic() - began


Connect = Callable[[], Awaitable[Kube]]


async def test_one_leads_and_hands_over_at_once_when_it_stops(
    connect: Connect, kube: Kube, namespace: str
) -> None:
    a, b = Replica(connect, namespace, "a"), Replica(connect, namespace, "b")
    async with replicas(a, b):
        a.lease.start()
        await until(lambda: a.gained, 5)
        assert a.lease.is_leader()
        b.lease.start()
        await asyncio.sleep(DURATION + RENEW)
        assert a.lease.is_leader()
        assert not b.lease.is_leader()
        assert (b.gained, a.lost) == ([], [])
        held = await kube.get(LEASE, namespace, "leader")
        assert held["spec"]["holderIdentity"] == "a"
        await a.lease.stop()
        assert not a.lease.is_leader()
        assert await until(lambda: b.gained, 2) < DURATION / 15 + 0.5
        held = await kube.get(LEASE, namespace, "leader")
        assert held["spec"]["holderIdentity"] == "b"
        assert held["spec"]["leaseTransitions"] == 1


async def test_the_last_one_leaves_the_lease_free(connect: Connect, kube: Kube, namespace: str) -> None:
    a = Replica(connect, namespace, "a")
    async with replicas(a):
        a.lease.start()
        await until(lambda: a.gained, 5)
    held = await kube.get(LEASE, namespace, "leader")
    assert "holderIdentity" not in held["spec"]


async def test_long_work_on_the_main_loop_does_not_cost_the_lease(connect: Connect, namespace: str) -> None:
    a, b = Replica(connect, namespace, "a"), Replica(connect, namespace, "b")
    async with replicas(a, b):
        a.lease.start()
        await until(lambda: a.gained, 5)
        b.lease.start()
        time.sleep(DURATION + 1.0)  # noqa: ASYNC251 - a blocked loop is what is tested
        assert a.lease.is_leader()
        assert not b.lease.is_leader()


async def test_a_crashed_process_of_the_same_pod_goes_on_at_once(connect: Connect, namespace: str) -> None:
    crashed, restarted = Replica(connect, namespace, "pod-1"), Replica(connect, namespace, "pod-1")
    async with replicas(crashed, restarted):
        crashed.lease.start()
        await until(lambda: crashed.gained, 5)
        restarted.lease.start()
        assert await until(lambda: restarted.gained, 5) < 1.0


class Relay:
    """A path to the API server that can be cut without a word."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._open = asyncio.Event()
        self._open.set()

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        self._open.clear()

    def mend(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._server.close()

    async def _serve(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        await self._open.wait()
        far_in, far_out = await asyncio.open_connection(self._host, self._port)
        await asyncio.gather(self._pump(near_in, far_out), self._pump(far_in, near_out))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._open.wait()
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()


async def test_a_leader_that_is_cut_off_stops_before_another_takes_over(
    connect: Connect, kubeconfig: Path, namespace: str
) -> None:
    relay = Relay((await configuration(kubeconfig)).host)
    host = await relay.start()

    async def through_the_relay() -> Kube:
        found = await configuration(kubeconfig)
        found.host = host
        return Kube(ApiClient(found), timeout=DURATION / 6)

    a, b = Replica(through_the_relay, namespace, "a"), Replica(connect, namespace, "b")
    try:
        async with replicas(a, b):
            a.lease.start()
            await until(lambda: a.gained, 5)
            b.lease.start()
            await asyncio.sleep(1.0)
            relay.cut()
            cut = time.monotonic()
            await until(lambda: not a.lease.is_leader(), DURATION)
            stopped = time.monotonic()
            await until(lambda: a.lost, 1)
            assert not b.lease.is_leader()
            await until(lambda: b.gained, 2 * DURATION)
            print(
                f"stopped {stopped - cut:.2f} s after the cut, taken over {b.gained[0] - cut:.2f} s after it"
            )
            assert stopped - cut <= DURATION * 2 / 3 + 0.1
            assert b.gained[0] - stopped > DURATION / 4, "time for what is under way to end"
            relay.mend()
            await asyncio.sleep(1.0)
            assert b.lease.is_leader()
            assert not a.lease.is_leader()
            assert (len(a.gained), len(a.lost), b.lost) == (1, 1, [])
    finally:
        relay.mend()
        relay.close()


async def test_leaders_write_and_followers_only_read(connect: Connect, namespace: str) -> None:
    clients: list[Kube] = []

    async def noted() -> Kube:
        clients.append(await connect())
        return clients[-1]

    a = Replica(noted, namespace, "a")
    b = Replica(noted, namespace, "b")
    async with replicas(a, b):
        a.lease.start()
        await until(lambda: a.gained, 5)
        b.lease.start()
        await asyncio.sleep(4 * RENEW)
        leader, follower = clients
        assert set(follower.requests) == {("get", "Lease")}
        renewals = leader.requests["update", "Lease"]
        assert 3 <= renewals <= 5
        assert leader.requests["get", "Lease"] == 1


class Starved(Kube):
    """A client in a thread that gets no processor for a while after each renewal."""

    async def replace(self, obj: Object) -> Object:
        answer = await super().replace(obj)
        time.sleep(0.3)  # noqa: ASYNC251
        return answer


async def test_whoever_was_refused_a_write_is_told_when_writes_may_go_on(
    kubeconfig: Path, namespace: str
) -> None:
    """A renewal may come after the belief has lapsed and yet before anything noticed."""

    async def connected() -> Kube:
        return Starved(await api_client(kubeconfig), timeout=DURATION / 6)

    a = Replica(connected, namespace, "a", renew=1.9)
    async with replicas(a):
        a.lease.start()
        await until(a.lease.is_leader, 5)
        await until(lambda: not a.lease.is_leader(), 5)
        await until(lambda: len(a.gained) == 2, 2)
        assert len(a.lost) == 1
        assert a.lost[0] <= a.gained[1]


async def test_an_election_that_cannot_begin_is_tried_again(
    connect: Connect, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    async def at_the_second_try() -> Kube:
        tries.append(1)
        if len(tries) == 1:
            raise FileNotFoundError("the token isn't mounted yet")
        return await connect()

    a = Replica(at_the_second_try, namespace, "a")
    async with replicas(a):
        a.lease.start()
        await until(lambda: a.gained, 5)
    assert "the token isn't mounted yet" in caplog.text


def test_a_renewal_that_cannot_keep_the_lease_is_refused(connect: Connect) -> None:
    with pytest.raises(ValueError, match=r"a lease of 3\.0 s can't be kept by renewing it every 2\.5 s"):
        Lease(connect, namespace="n", name="l", identity="a", duration=3.0, renew=2.5)
