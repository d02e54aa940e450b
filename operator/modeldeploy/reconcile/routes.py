"""The routers' route tables, from the statuses and the endpoints; on every replica, whoever leads.

Weights come from status alone. So a status write is the moment at which traffic changes, for this replica as
for the others, and after a restart the routers are told what they know already.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.xds.server import XdsServer
from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.server import Protocol
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus, PreviewRoute
from modeldeploy.api.v1alpha1.traffic import Incumbent, Traffic
from modeldeploy.core import naming
from modeldeploy.core.request import read_spec, read_status
from modeldeploy.core.traffic import INCUMBENT, shares
from modeldeploy.render.revision import read_controller_revision
from modeldeploy.render.traffic.model import Backend, Endpoint, ExtraPort, RoutedModel, Trial

logger = logging.getLogger(__name__)

Object = Mapping[str, Any]
NEEDED = ("ModelDeployment", "Service", "EndpointSlice", "ControllerRevision")
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


def tls_secret(obj: Object) -> str:
    """The Secret with the certificate for an object's clients, also of a spec that isn't valid; or empty."""
    traffic = (obj.get("spec") or {}).get("traffic") or {}
    return str((traffic.get("tls") or {}).get("secretName") or "")


def _routed(cache: Cache, obj: Object, status: ModelDeploymentStatus) -> RoutedModel:
    meta = obj["metadata"]
    spec = read_spec(obj).spec
    traffic = spec.traffic if spec else Traffic()
    parts = (status.stable, status.candidate, status.previous, *status.draining)
    weights = shares(status)
    found = _Pods(cache, meta, traffic.incumbent)
    names = sorted({part.revision for part in parts if part})
    assert status.routing is not None  # noqa: S101
    return RoutedModel(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        listener_port=status.routing.port,
        generation=status.traffic_generation,
        backends=tuple(found.backend(name, weights.get(name, 0)) for name in names),
        timeout_s=seconds(traffic.timeout) if traffic.timeout else None,
        trial=_trial(status),
        sticky=traffic.sticky,
        tls_secret=tls_secret(obj),
        extra_ports=tuple(
            ExtraPort(
                port,
                listener,
                tuple(
                    found.backend(name, weights.get(name, 0), port) for name in names if found.has(name, port)
                ),
            )
            for port, listener in sorted(status.routing.extra_ports.items())
        ),
    )


def _trial(status: ModelDeploymentStatus) -> Trial | None:
    candidate = status.candidate
    if candidate is None:
        return None
    preview = candidate.preview or PreviewRoute()
    header = (preview.header, preview.value) if preview.header and preview.value else None
    return Trial(candidate.revision, candidate.mirror, header, preview.hostname)


class _Pods:
    """Where the revisions of an object answer.

    Args:
        cache: What was last seen.
        meta: The object's metadata.
        incumbent: The user's own Service that answers as `incumbent`.
    """

    def __init__(self, cache: Cache, meta: Object, incumbent: Incumbent | None) -> None:
        self._cache = cache
        self._namespace, self._name = meta["namespace"], meta["name"]
        self._incumbent = incumbent
        records = cache.children(self._namespace, self._name, "ControllerRevision")
        read = (read_controller_revision(record) for record in records)
        self._servers = {revision.name: revision.content["server"] for revision in read if revision}

    def has(self, revision: str, port: str) -> bool:
        """Whether a revision has this extra port."""
        return bool(self._port(revision, port))

    def backend(self, revision: str, weight: int, port: str = "") -> Backend:
        """A revision at its own port, or at an extra one."""
        if revision == INCUMBENT and self._incumbent:
            host = f"{self._incumbent.service}.{self._namespace}.svc"
            return Backend(revision, weight, "", self._incumbent.port, hostname=host)
        name = naming.object_name(self._name, revision)
        service = self._cache.get("Service", self._namespace, name) or {}
        stated = self._port(revision, port) if port else self._servers.get(revision) or {}
        return Backend(
            revision=revision,
            weight=weight,
            cluster_ip=(service.get("spec") or {}).get("clusterIP", ""),
            service_port=stated["port"] if port else SERVICE_PORT,
            endpoints=_usable(tuple(_endpoints(self._slices(revision), port or "http"))),
            http2=stated.get("protocol") == Protocol.HTTP2,
        )

    def _port(self, revision: str, port: str) -> Object:
        stated = (self._servers.get(revision) or {}).get("extraPorts") or ()
        return next((one for one in stated if one["name"] == port), {})

    def _slices(self, revision: str) -> Iterable[Object]:
        for part in self._cache.children(self._namespace, self._name, "EndpointSlice"):
            if part["metadata"]["labels"].get(naming.REVISION) == revision:
                yield part


def _endpoints(slices: Iterable[Object], name: str) -> Iterable[Endpoint]:
    for part in slices:
        ports = part.get("ports") or []
        port = next((one["port"] for one in ports if one.get("name") == name and one.get("port")), None)
        if port is None:
            continue
        for endpoint in part.get("endpoints") or []:
            conditions = endpoint.get("conditions") or {}
            if conditions.get("serving") is False:
                continue
            for address in endpoint.get("addresses") or ():
                yield Endpoint(address, port, ready=conditions.get("ready") is not False)


def _usable(endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Where no pod is ready, those that end but still answer are used, as kube-proxy does."""
    if any(endpoint.ready for endpoint in endpoints):
        return endpoints
    return tuple(replace(endpoint, ready=True) for endpoint in endpoints)
