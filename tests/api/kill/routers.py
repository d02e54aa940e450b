"""A stand-in for a router pod: nothing runs in the pods of a control plane alone.

It is to the operator what Envoy is: it asks for its configuration with a real token over ADS, keeps the last
one while nobody answers, repeats what it has when it connects again, and tells at each model's listener which
traffic generation it serves. What it does not do is carry requests. It notes every route table that it was
given, so a test can tell what clients would have met.
"""

import asyncio
import contextlib
import itertools
import random
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from aiohttp import web
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import json_format

import modeldeploy.adapters.xds.resources  # noqa: F401 - knows the messages that answers are made of
from api.kill.world import cancelled
from modeldeploy.render.traffic.model import GENERATION_HOST

_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
CLUSTER, ENDPOINTS, LISTENER, ROUTES = (
    f"type.googleapis.com/envoy.config.{name}"
    for name in (
        "cluster.v3.Cluster",
        "endpoint.v3.ClusterLoadAssignment",
        "listener.v3.Listener",
        "route.v3.RouteConfiguration",
    )
)
_ORDER = (CLUSTER, ENDPOINTS, LISTENER, ROUTES)
_PAUSE = 0.1
_SILENCE = 13.0
"""Seconds after which a real one leaves an operator that doesn't answer its pings; this one counts words."""
_GUARD = 9999
"""The port, of UDP, that says whose an address is."""
Content = dict[str, Any]


def _own_address() -> socket.socket:
    """Holds an address that no other router has, also of other processes, until it is closed.

    All of them open the same ports, for operators number those from the first one in each namespace.
    """
    for _ in range(100):
        numbers = random.randrange(64, 128), random.randrange(256), random.randrange(1, 255)  # noqa: S311
        held = socket.socket(type=socket.SOCK_DGRAM)
        try:
            held.bind((f"127.{numbers[0]}.{numbers[1]}.{numbers[2]}", _GUARD))
        except OSError:
            held.close()
        else:
            return held
    raise AssertionError("no address of 127.64.0.0/10 is free")


@dataclass(eq=False)
class Router:
    """One router.

    Attributes:
        xds_ports: Where on this machine operators answer; it turns to one after the other.
        token: Shows which namespace it belongs to.
        generations: Every traffic generation that it was given, by model, in order.
        connections: The ports at which an operator answered, in order.
    """

    xds_ports: Sequence[int]
    token: str
    generations: dict[str, list[int]] = field(default_factory=dict)
    configured: asyncio.Event = field(default_factory=asyncio.Event)
    connections: list[int] = field(default_factory=list)
    _held: dict[str, dict[str, Content]] = field(default_factory=lambda: {kind: {} for kind in _ORDER})
    _versions: dict[str, str] = field(default_factory=dict)
    _nonces: dict[str, str] = field(default_factory=dict)
    _sites: dict[int, web.AppRunner] = field(default_factory=dict)
    _place: socket.socket = field(default_factory=_own_address)
    _task: "asyncio.Task[None] | None" = None

    @property
    def address(self) -> str:
        """On which its listeners open; of 127.0.0.0/8."""
        return str(self._place.getsockname()[0])

    @property
    def failure(self) -> str | None:
        """Why it ended by itself, as no real one does."""
        ended = self._task is not None and self._task.done() and not self._task.cancelled()
        return f"router {self.address}: {self._task.exception()!r}" if ended and self._task else None

    def start(self) -> None:
        self._task = asyncio.create_task(self._live())

    async def stop(self) -> None:
        self._place.close()
        if self._task:
            await cancelled(self._task)
        for port in list(self._sites):
            await self._sites.pop(port).cleanup()

    async def _live(self) -> None:
        for port in itertools.cycle(self.xds_ports):
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError):
                    await self._converse(channel, port)
            await asyncio.sleep(_PAUSE)

    async def _converse(self, channel: grpc.aio.Channel, port: int) -> None:
        call = channel.stream_stream(
            _METHOD,
            request_serializer=discovery_pb2.DiscoveryRequest.SerializeToString,
            response_deserializer=discovery_pb2.DiscoveryResponse.FromString,
        )
        self._nonces = {}
        stream = call(metadata=(("authorization", f"Bearer {self.token}"),))
        try:
            for kind in _ORDER:
                if kind in (CLUSTER, LISTENER) or self._names(kind):
                    await stream.write(self._request(kind))
            while (response := await asyncio.wait_for(stream.read(), _SILENCE)) is not grpc.aio.EOF:
                if port not in self.connections[-1:]:
                    self.connections.append(port)
                for request in await self._take(response):
                    await stream.write(request)
        finally:
            stream.cancel()

    async def _take(self, response: Any) -> list[Any]:
        kind = response.type_url
        found = {}
        for packed in response.resources:
            content = json_format.MessageToDict(packed, preserving_proto_field_name=True)
            found[str(content.get("name") or content.get("cluster_name"))] = content
        whole = kind in (CLUSTER, LISTENER)
        self._held[kind] = found if whole else self._held[kind] | found
        self._versions[kind], self._nonces[kind] = response.version_info, response.nonce
        requests = [self._request(kind)]
        if kind == CLUSTER:
            requests.append(self._request(ENDPOINTS))
        elif kind == LISTENER:
            await self._listen()
            self.configured.set()
            requests.append(self._request(ROUTES))
        elif kind == ROUTES:
            for name, content in found.items():
                self.generations.setdefault(name.rpartition("/")[2], []).append(_generation(content))
        return requests

    def _request(self, kind: str) -> Any:
        return discovery_pb2.DiscoveryRequest(
            type_url=kind,
            version_info=self._versions.get(kind, ""),
            response_nonce=self._nonces.get(kind, ""),
            resource_names=self._names(kind),
        )

    def _names(self, kind: str) -> list[str]:
        if kind == ENDPOINTS:
            return sorted(self._held[CLUSTER])
        return sorted(map(_routes_of, self._held[LISTENER].values())) if kind == ROUTES else []

    async def _listen(self) -> None:
        wanted = {
            content["address"]["socket_address"]["port_value"]: _routes_of(content)
            for content in self._held[LISTENER].values()
        }
        for port in self._sites.keys() - wanted.keys():
            await self._sites.pop(port).cleanup()
        for port in wanted.keys() - self._sites.keys():
            self._sites[port] = await self._site(port, wanted[port])

    async def _site(self, port: int, routes: str) -> web.AppRunner:
        async def answer(request: web.Request) -> web.Response:
            table = self._held[ROUTES].get(routes)
            if table is None or request.headers.get("Host") != GENERATION_HOST:
                return web.Response(status=503)
            return web.Response(text=str(_generation(table)))

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, self.address, port).start()
        return runner


def _routes_of(listener: Content) -> str:
    for found in _values(listener, "route_config_name"):
        return str(found)
    raise AssertionError(f"a listener without routes: {listener}")


def _generation(table: Content) -> int:
    (host,) = (one for one in table["virtual_hosts"] if GENERATION_HOST in one["domains"])
    return int(host["routes"][0]["direct_response"]["body"]["inline_string"])


def _values(content: Any, name: str) -> Iterable[Any]:
    if isinstance(content, dict):
        if name in content:
            yield content[name]
        for inner in content.values():
            yield from _values(inner, name)
    elif isinstance(content, list):
        for inner in content:
            yield from _values(inner, name)
