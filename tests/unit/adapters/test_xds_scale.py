"""Many models at one router, several operators, and a router that is left alone."""

import asyncio
import time
from functools import partial
from pathlib import Path

import pytest

from cluster.network import free_port
from modeldeploy.render.traffic.model import RoutedModel
from unit.adapters.data_plane import (
    NAMESPACE,
    Plane,
    Pod,
    backend,
    end_pods,
    get,
    load,
    model,
    nacks,
    plane,
    serves,
    start_server,
    until,
)

pytestmark = pytest.mark.api

MODELS = 100


def rss_mib(routed: Plane) -> float:
    assert routed.router.process is not None
    status = Path(f"/proc/{routed.router.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def test_a_hundred_models_share_a_namespaces_router(tmp_path: Path) -> None:
    pods = [await Pod().start() for _ in range(2)]
    ports = [free_port() for _ in range(MODELS)]

    def models(generation: int, share: int) -> list[RoutedModel]:
        split = backend("r1", 100 - share, pods[0]), backend("r2", share, pods[1])
        return [model(port, generation, *split, name=f"model-{number}") for number, port in enumerate(ports)]

    async with plane(tmp_path) as routed:
        routed.server.publish(NAMESPACE, [])
        await routed.router.ready()
        before = rss_mib(routed)
        nacks.clear()

        started = time.monotonic()
        routed.server.publish(NAMESPACE, models(1, 0))
        blocked = time.monotonic() - started
        for port in ports:
            await until(partial(serves, port, 1), limit=20)
        served = time.monotonic() - started

        async with load(ports[50]) as clients:
            started = time.monotonic()
            changed = models(1, 0)
            changed[70] = models(2, 100)[70]
            routed.server.publish(NAMESPACE, changed)
            await until(lambda: serves(ports[70], 2))
            moved = time.monotonic() - started
            await asyncio.sleep(0.5)

        print(
            f"{MODELS} models: rendered in {blocked * 1e3:.0f} ms, served after {served:.2f} s, one changed "
            f"after {moved * 1e3:.0f} ms, router {before:.0f} -> {rss_mib(routed):.0f} MiB"
        )
        assert clients.failures == []
        assert (await get(ports[70])).revision == "r2"
        assert (await get(ports[71])).revision == "r1"
        assert nacks == []
        assert served < 10
        assert moved < 0.5
        assert rss_mib(routed) < 250
    await end_pods()


async def test_any_operator_answers_a_router(tmp_path: Path) -> None:
    """The Service leads a router to one of two; when that one ends, to the other."""
    pods = {"a": await Pod().start(), "b": await Pod().start()}
    async with plane(tmp_path) as routed:
        other, port = await start_server()
        for server in (routed.server, other):
            server.publish(
                NAMESPACE, [routed.made(3, backend("a", 100, pods["a"]), backend("b", 0, pods["b"]))]
            )
        await until(lambda: serves(routed.port, 3))
        assert (routed.server.connected(NAMESPACE), other.connected(NAMESPACE)) == (1, 0)

        async with load(routed.port) as clients:
            address = routed.router.xds_port
            await routed.server.stop(0)
            forward = await asyncio.start_server(lambda r, w: relay(r, w, port), "127.0.0.1", address)
            await until(lambda: other.connected(NAMESPACE) == 1, limit=15)
            moved = routed.made(4, backend("a", 0, pods["a"]), backend("b", 100, pods["b"]))
            other.publish(NAMESPACE, [moved])
            await until(lambda: serves(routed.port, 4))

        assert clients.failures == []
        assert (await get(routed.port)).revision == "b"
        await other.stop(0)
        forward.close()
    await end_pods()


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    onward, back = await asyncio.open_connection("127.0.0.1", port)

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
        target.close()

    await asyncio.gather(copy(reader, back), copy(onward, writer), return_exceptions=True)
