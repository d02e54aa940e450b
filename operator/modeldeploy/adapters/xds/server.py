"""The gRPC server that the routers' ADS streams end at."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from envoy.service.discovery.v3 import discovery_pb2

from modeldeploy.adapters.xds.session import Session
from modeldeploy.adapters.xds.snapshot import Snapshot
from modeldeploy.render.traffic.model import RoutedModel

logger = logging.getLogger(__name__)

Authenticate = Callable[[str], Awaitable[str | None]]
_SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_ADMISSION_SECONDS = 10.0
_OPTIONS = (
    ("grpc.so_reuseport", 0),
    # Tells a router that has vanished without a word from one that has nothing to say.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_receive_message_length", 1024 * 1024),
    ("grpc.max_send_message_length", -1),
)


@dataclass(frozen=True, slots=True)
class Nack:
    """A router's refusal of a configuration. It keeps the last one that it accepted.

    Attributes:
        namespace: Namespace of the router.
        type_url: Type of the refused resources.
        message: Envoy's reason, which names the resource.
    """

    namespace: str
    type_url: str
    message: str


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of the server's certificate chain and key, in PEM. They are read anew for every handshake."""

    certificate: Path
    key: Path


@dataclass(slots=True, eq=False)
class _Stream:
    session: Session
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    ending: bool = False


class _Ended(Exception):  # noqa: N818 - an order, not a fault
    """The router should look for an operator anew."""


@dataclass(slots=True)
class _Namespace:
    snapshot: Snapshot | None = None
    streams: set[_Stream] = field(default_factory=set)


class XdsServer:
    """Serves each namespace's routers its route tables.

    All methods belong to the event loop's thread.

    Args:
        authenticate: Bearer token -> namespace of the router that holds it, or None. What it raises refuses
            the stream for now; the router tries again.
        on_nack: Called with every refusal.
    """

    def __init__(self, authenticate: Authenticate, on_nack: Callable[[Nack], None] | None = None) -> None:
        self._authenticate = authenticate
        self._on_nack = on_nack
        self._namespaces: dict[str, _Namespace] = {}
        self._server: grpc.aio.Server | None = None

    async def start(self, address: str, tls: Tls | None = None) -> int:
        """Listen on `address` (`host:port`, port 0 for any); return the port. RuntimeError if taken."""
        server = grpc.aio.server(options=_OPTIONS)
        handler = grpc.stream_stream_rpc_method_handler(
            self._serve,
            discovery_pb2.DiscoveryRequest.FromString,
            discovery_pb2.DiscoveryResponse.SerializeToString,
        )
        methods = {"StreamAggregatedResources": handler}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, methods),))
        if tls is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, _credentials(tls))
        await server.start()
        self._server = server
        return int(port)

    async def stop(self, grace: float) -> None:
        """End all streams; the routers keep what they have and look for another operator."""
        if self._server is not None:
            await self._server.stop(grace)

    def publish(self, namespace: str, models: Sequence[RoutedModel]) -> None:
        """Make `models` the namespace's whole route table, and send every router of it what changed.

        Only call it with knowledge of all ModelDeployments of the namespace: a model that is missing here
        loses its listener. A model with a lower generation than one published before keeps what it has.
        ValueError for values that Envoy's protos don't admit; the routers keep what they have then.
        """
        held = self._namespaces.setdefault(namespace, _Namespace())
        held.snapshot = (held.snapshot or Snapshot()).succeeded_by(models)
        for stream in held.streams:
            stream.wake.set()

    def end_streams(self) -> None:
        """Let every router look for an operator anew: this one may know less than another.

        A router keeps what it has, and one that comes back is sent nothing that it has already.
        """
        for held in self._namespaces.values():
            for stream in held.streams:
                stream.ending = True
                stream.wake.set()

    def connected(self, namespace: str) -> int:
        """Number of routers of the namespace that are connected to this server."""
        held = self._namespaces.get(namespace)
        return len(held.streams) if held else 0

    def behind(self, namespace: str) -> dict[str, int]:
        """Models of which a connected router has a later generation than was published here, and which one.

        Such a router is sent nothing until `publish` has caught up. If the object's status really is older
        than the router (it was restored from a backup), its next generation must be higher than the one given
        here.
        """
        held = self._namespaces.get(namespace)
        found: dict[str, int] = {}
        for stream in held.streams if held else ():
            for name, number in stream.session.behind(held.snapshot if held else None).items():
                found[name] = max(number, found.get(name, 0))
        return found

    async def _serve(self, requests: AsyncIterator[discovery_pb2.DiscoveryRequest], context: Any) -> None:
        namespace = await self._admit(context)
        held = self._namespaces.setdefault(namespace, _Namespace())
        stream = _Stream(Session(secrets.token_hex(8), asyncio.get_running_loop().time()))
        held.streams.add(stream)
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write(held, stream, context))
                async for request in requests:
                    refused = stream.session.receive(request)
                    if refused is not None:
                        self._refused(Nack(namespace, request.type_url, refused))
                    stream.wake.set()
                writer.cancel()
        except* _Ended:
            logger.info("a router in %s was asked to connect anew", namespace)
        finally:
            held.streams.discard(stream)

    async def _write(self, held: _Namespace, stream: _Stream, context: Any) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(stream.session.patience(loop.time())):
                    await stream.wake.wait()
            stream.wake.clear()
            if stream.ending:
                raise _Ended
            while (response := stream.session.next(held.snapshot, loop.time())) is not None:
                await context.write(response)

    async def _admit(self, context: Any) -> str:
        header = next((value for key, value in context.invocation_metadata() if key == "authorization"), "")
        scheme, _, token = str(header).partition(" ")
        if scheme.lower() != "bearer" or not token:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "a bearer token is required")
        try:
            async with asyncio.timeout(_ADMISSION_SECONDS):
                namespace = await self._authenticate(token)
        except Exception:
            logger.warning("a router's token could not be checked", exc_info=True)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the token could not be checked")
        if namespace is None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "not a router's token")
        return str(namespace)

    def _refused(self, nack: Nack) -> None:
        logger.error("a router in %s refused %s: %s", nack.namespace, nack.type_url, nack.message)
        if self._on_nack is not None:
            self._on_nack(nack)


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    def read() -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(tls.key.read_bytes(), tls.certificate.read_bytes())]
        )

    return grpc.dynamic_ssl_server_credentials(read(), read)
