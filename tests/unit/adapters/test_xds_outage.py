import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from envoy.service.discovery.v3 import discovery_pb2

from modeldeploy.render.traffic import router, router_clusters
from modeldeploy.render.traffic.envoy import CLUSTER
from unit.adapters.data_plane import (
    NAMESPACE,
    Plane,
    Pod,
    backend,
    get,
    load,
    model,
    plane,
    serves,
    until,
)

pytestmark = pytest.mark.api


@pytest.fixture
async def routed(tmp_path: Path) -> AsyncIterator[Plane]:
    async with plane(tmp_path) as running:
        yield running


async def updates(routed: Plane) -> dict[str, int]:
    pattern = r"^envoy_(cluster|listener)_manager_.ds_update_success{} (\d+)$"
    found = re.findall(pattern, await routed.router.metrics(), re.MULTILINE)
    return {kind: int(count) for kind, count in found}


async def test_traffic_goes_on_without_the_operator_when_the_last_known_pod_is_replaced(
    routed: Plane,
) -> None:
    known, replacement = await Pod().start(), await Pod().start()
    await routed.serving(1, backend("r1", 100, known, service=replacement))

    async with load(routed.port) as clients:
        await routed.server.stop(0)
        await asyncio.sleep(0.5)
        assert replacement.arrivals == []
        await known.end(drain=0.5)
        await until(lambda: len(replacement.arrivals) > 300)

    assert clients.failures == []


async def test_a_router_waits_quietly_for_an_operator_that_is_away(routed: Plane) -> None:
    pod = await Pod().start()
    await routed.serving(1, backend("r1", 100, pod))
    await routed.server.stop(0)
    await asyncio.sleep(2)

    before = routed.router.cpu_seconds()
    await asyncio.sleep(15)
    used = (routed.router.cpu_seconds() - before) / 15

    print(f"CPU of a router without operator: {used:.2%}")
    assert used < 0.02


async def test_a_router_that_has_the_current_version_is_sent_nothing_again(routed: Plane) -> None:
    pod = await Pod().start()
    await routed.serving(3, backend("r1", 100, pod))
    before = await updates(routed)

    await routed.restarted()
    routed.publish(3, backend("r1", 100, pod))
    await until(lambda: routed.server.connected(NAMESPACE) == 1)
    await asyncio.sleep(0.3)
    assert await updates(routed) == before

    await routed.serving(4, backend("r1", 100, pod), backend("r2", 0, pod))
    assert await updates(routed) == before | {"cluster": before["cluster"] + 1}


async def test_an_operator_whose_cache_is_behind_does_not_take_a_router_back(routed: Plane) -> None:
    pods = {"a": await Pod().start(), "b": await Pod().start()}
    await routed.serving(7, backend("a", 0, pods["a"]), backend("b", 100, pods["b"]))

    await routed.restarted()
    routed.publish(6, backend("a", 100, pods["a"]), backend("b", 0, pods["b"]))
    await until(lambda: routed.server.connected(NAMESPACE) == 1)
    await asyncio.sleep(0.5)

    assert await serves(routed.port, 7)
    assert (await get(routed.port)).revision == "b"
    assert routed.server.behind(NAMESPACE) == {"recogniser": 7}

    await routed.serving(8, backend("a", 100, pods["a"]), backend("b", 0, pods["b"]))
    assert (await get(routed.port)).revision == "a"
    assert routed.server.behind(NAMESPACE) == {}


async def test_an_operator_that_knows_nothing_yet_says_nothing(routed: Plane) -> None:
    pod = await Pod().start()
    await routed.serving(2, backend("r1", 100, pod))

    await routed.restarted()
    await until(lambda: routed.server.connected(NAMESPACE) == 1)
    await asyncio.sleep(0.5)

    assert (await get(routed.port)).revision == "r1"


async def test_what_changed_while_the_operator_was_away_is_brought_in_order(routed: Plane) -> None:
    old, new = await Pod().start(), await Pod().start()
    await routed.serving(2, backend("r1", 100, old))

    async with load(routed.port) as clients:
        await routed.restarted()
        routed.publish(3, backend("r1", 0, old), backend("r2", 100, new))
        await until(lambda: new.arrivals)
        await asyncio.sleep(0.2)

    assert clients.failures == []


async def test_a_model_deleted_meanwhile_goes_after_a_while(routed: Plane) -> None:
    pod = await Pod().start()
    await routed.serving(2, backend("r1", 100, pod))

    await routed.restarted()
    routed.server.publish(NAMESPACE, [])
    await until(lambda: routed.server.connected(NAMESPACE) == 1)
    assert await serves(routed.port, 2)

    async def gone() -> bool:
        return not await serves(routed.port, 2)

    await until(gone, limit=10)


class Client:
    """A client of the discovery service that isn't Envoy."""

    def __init__(self, port: int, *metadata: tuple[str, str]) -> None:
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
        self.call = self.channel.stream_stream(
            method,
            request_serializer=discovery_pb2.DiscoveryRequest.SerializeToString,
            response_deserializer=discovery_pb2.DiscoveryResponse.FromString,
        )(metadata=metadata)

    async def ask(self, type_url: str) -> discovery_pb2.DiscoveryResponse:
        await self.call.write(discovery_pb2.DiscoveryRequest(type_url=type_url))
        return await self.call.read()


async def test_a_router_that_never_answers_holds_up_no_other(routed: Plane) -> None:
    pod = await Pod().start()
    await routed.serving(1, backend("r1", 100, pod))
    stuck = Client(routed.router.xds_port, ("authorization", f"Bearer {NAMESPACE}"))
    assert len((await stuck.ask(CLUSTER)).resources) == 1
    assert routed.server.connected(NAMESPACE) == 2

    for generation in range(2, 8):
        await routed.serving(generation, *(backend(f"r{i}", 1, pod) for i in range(generation)))

    await stuck.channel.close()
    await until(lambda: routed.server.connected(NAMESPACE) == 1)


@pytest.mark.parametrize(
    "metadata",
    [[], [("authorization", "Bearer forged")], [("authorization", NAMESPACE)], [("x-namespace", NAMESPACE)]],
)
async def test_without_a_routers_token_nothing_is_shown(
    routed: Plane, metadata: list[tuple[str, str]]
) -> None:
    routed.server.publish(NAMESPACE, [model(1, 1, backend("r1", 100))])
    client = Client(routed.router.xds_port, *metadata)

    # Not asked: the refusal comes first, and a question that meets it is another error, of the client's own.
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.call.read()

    await client.channel.close()
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_a_router_is_shown_its_own_namespace_only(routed: Plane) -> None:
    routed.server.publish(NAMESPACE, [model(1, 1, backend("r1", 100))])
    routed.server.publish("search", [])
    client = Client(routed.router.xds_port, ("authorization", "Bearer search"))

    answer = await client.ask(CLUSTER)

    await client.channel.close()
    assert list(answer.resources) == []


async def test_a_router_pod_that_ends_loses_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "CONNECTION_SECONDS", 1)
    pod = await Pod(delay=0.002).start()
    async with plane(tmp_path / "a") as ending, plane(tmp_path / "b") as staying:
        for routed in (ending, staying):
            await routed.serving(1, backend("r1", 100, pod))

        async with load(ending.port) as clients:
            await asyncio.sleep(0.5)
            clients.port = staying.port  # kube-proxy: new connections go elsewhere from here on
            await asyncio.sleep(1.5)  # preStop
            ending.router.stop()
            await asyncio.sleep(0.5)

    assert clients.failures == []
    assert clients.sent > 1000


async def test_another_rendering_of_clusters_and_listeners_loses_no_request(
    routed: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = await Pod(delay=0.005).start()
    await routed.serving(1, backend("r1", 100, pod))
    before = await updates(routed)

    async with load(routed.port) as clients:
        await asyncio.sleep(0.3)
        rendered = router_clusters.cluster
        monkeypatch.setattr(router, "cluster", lambda *of: rendered(*of) | {"connect_timeout": "0.4s"})
        monkeypatch.setattr(router, "CONNECTION_SECONDS", 20)
        await routed.serving(2, backend("r1", 100, pod))
        await asyncio.sleep(3)

    assert clients.failures == []
    assert await updates(routed) == {kind: count + 1 for kind, count in before.items()}
