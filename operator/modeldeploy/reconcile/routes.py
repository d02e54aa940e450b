"""The routers' route tables, from the statuses and the endpoints; on every replica, whoever leads.

Weights come from status alone. So a status write is the moment at which traffic changes, for this replica as
for the others, and after a restart the routers are told what they know already.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.xds.server import XdsServer
from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus
from modeldeploy.core import naming
from modeldeploy.core.request import read_spec, read_status
from modeldeploy.core.traffic import shares
from modeldeploy.render.traffic.model import Backend, Endpoint, RoutedModel

logger = logging.getLogger(__name__)

Object = Mapping[str, Any]
NEEDED = ("ModelDeployment", "Service", "EndpointSlice")
"""Kinds that must have been listed before the first route table is made."""
SERVICE_PORT = 80


class Routes:
    """Publishes route tables, each namespace's at most once per turn of the event loop."""

    def __init__(self, cache: Cache, server: XdsServer) -> None:
        self._cache = cache
        self._server = server
        self._pending: set[str] = set()

    def changed(self, namespace: str) -> None:
        """Something that a route table is made of has changed; publish in this turn of the loop."""
        if namespace not in self._pending:
            self._pending.add(namespace)
            asyncio.get_running_loop().call_soon(self.publish, namespace)

    def publish(self, namespace: str) -> None:
        """Publish a namespace's route tables now."""
        self._pending.discard(namespace)
        if not all(self._cache.listed(kind) for kind in NEEDED):
            return
        try:
            self._server.publish(namespace, routed_models(self._cache, namespace))
        except ValueError:  # the routers keep what they have
            logger.exception("the routes of %s can't be made", namespace)

    def publish_all(self) -> None:
        """Publish every namespace that has a ModelDeployment."""
        for namespace in {obj["metadata"]["namespace"] for obj in self._cache.objects("ModelDeployment")}:
            self.publish(namespace)


def routed_models(cache: Cache, namespace: str) -> list[RoutedModel]:
    """The route tables of a namespace: one for each object that has a port and a stable revision."""
    models = []
    for obj in cache.objects("ModelDeployment", namespace):
        status = read_status(obj)
        if status.routing and status.stable:
            models.append(_routed(cache, obj, status))
    return sorted(models, key=lambda model: model.name)


def _routed(cache: Cache, obj: Object, status: ModelDeploymentStatus) -> RoutedModel:
    meta = obj["metadata"]
    spec = read_spec(obj).spec
    timeout = spec.traffic.timeout if spec else None
    weights = shares(status)
    parts = (status.stable, status.candidate, status.previous, *status.draining)
    names = sorted({part.revision for part in parts if part})
    assert status.routing is not None  # noqa: S101
    return RoutedModel(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        listener_port=status.routing.port,
        generation=status.traffic_generation,
        backends=tuple(_backend(cache, meta, name, weights.get(name, 0)) for name in names),
        timeout_s=seconds(timeout) if timeout else None,
    )


def _backend(cache: Cache, meta: Object, revision: str, weight: int) -> Backend:
    service = cache.get("Service", meta["namespace"], naming.object_name(meta["name"], revision)) or {}
    slices = (
        part
        for part in cache.children(meta["namespace"], meta["name"], "EndpointSlice")
        if part["metadata"]["labels"].get(naming.REVISION) == revision
    )
    return Backend(
        revision=revision,
        weight=weight,
        cluster_ip=(service.get("spec") or {}).get("clusterIP", ""),
        service_port=SERVICE_PORT,
        endpoints=tuple(_endpoints(slices)),
    )


def _endpoints(slices: Iterable[Object]) -> Iterable[Endpoint]:
    for part in slices:
        port = next((one["port"] for one in part.get("ports") or [] if one.get("port")), None)
        if port is None:
            continue
        for endpoint in part.get("endpoints") or []:
            ready = (endpoint.get("conditions") or {}).get("ready")
            for address in endpoint.get("addresses") or ():
                yield Endpoint(address, port, ready=ready is not False)
