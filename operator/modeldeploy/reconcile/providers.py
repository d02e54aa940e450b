"""The providers of traffic besides the embedded Router: what they need, and whether they serve it.

Route objects go the way of all children: server-side apply, owned by the ModelDeployment, deleted when no
longer asked for. What is different is that somebody else carries them out. So each look ends with a
verification at the provider, `modeldeploy.reconcile.standing`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from modeldeploy.adapters.clock import Clock
from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import Forbidden
from modeldeploy.adapters.kube.optional import OptionalKinds
from modeldeploy.adapters.kube.resources import HTTP_ROUTE, TRAEFIK_SERVICE, VIRTUAL_SERVICE, Resource
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus
from modeldeploy.api.v1alpha1.traffic import Provider
from modeldeploy.core.finding import Finding
from modeldeploy.core.naming import digest
from modeldeploy.core.plan import key
from modeldeploy.core.snapshot import Routers
from modeldeploy.core.traffic import Split
from modeldeploy.reconcile.gateways import Gateways
from modeldeploy.reconcile.route_weights import RouteWeights
from modeldeploy.reconcile.standing import ProviderMemory, Standings, route_objects
from modeldeploy.render.meta import Owner, is_owned
from modeldeploy.render.traffic import plain_service, route_ref

Object = Mapping[str, Any]

SOON = timedelta(milliseconds=100)
HOUR = 3600.0
ABSENT = frozenset({"ProviderNotInstalled", "ProviderForbidden"})
LATER = timedelta(seconds=5)
"""Until what somebody else has to mend is looked at again."""
KINDS: Mapping[Provider, Resource] = {
    Provider.GATEWAY_API: HTTP_ROUTE,
    Provider.TRAEFIK: TRAEFIK_SERVICE,
    Provider.ISTIO: VIRTUAL_SERVICE,
}
"""The add-on's kind that each provider's routes are."""
ADD_ONS: Mapping[Provider, str] = {
    Provider.GATEWAY_API: "the Gateway API and a gateway that implements it",
    Provider.TRAEFIK: "Traefik and its custom resources",
    Provider.ISTIO: "Istio",
}


def uses_router(spec: ModelDeploymentSpec) -> bool:
    """Whether the embedded Router moves the object's traffic."""
    return spec.traffic.provider is Provider.ROUTER


class Providers:
    """The providers of all objects.

    Args:
        kube: The API server.
        cache: What was last seen of it.
        optional: The add-ons' kinds.
        clock: The time.
    """

    def __init__(self, kube: Kube, cache: Cache, optional: OptionalKinds, clock: Clock) -> None:
        self._cache = cache
        self._optional = optional
        self._clock = clock
        self._gateways = Gateways(kube)
        self._weights = RouteWeights(kube, cache)
        self._standings = Standings(cache, self._gateways, self._weights)

    def routers(self, memory: ProviderMemory) -> Routers:
        """What the provider was seen to serve, in the words that all decisions are made from."""
        blocking = next((one.message for one in memory.findings if one.blocks), None)
        return Routers(ready=int(memory.serving is not None), serving=memory.serving, problem=blocking)

    async def prepare(
        self, of: Owner, spec: ModelDeploymentSpec, status: ModelDeploymentStatus, memory: ProviderMemory
    ) -> None:
        """Learn what is installed and what it can do, before anything is made for it."""
        if not spec.traffic.route_ref:
            await self._weights.release(of)
        if memory.provider is not spec.traffic.provider:
            memory.begin(spec.traffic.provider)
        if uses_router(spec):
            return
        provider, traffic = spec.traffic.provider, spec.traffic
        kind = KINDS.get(provider)
        try:
            memory.installed = kind is None or await self._optional.ensure(kind)
            if memory.installed and traffic.gateway and provider is Provider.GATEWAY_API:
                memory.gateways = memory.gateways or await self._gateways.learn(of, traffic)
        except Forbidden as error:
            memory.installed = False
            message = f"the operator may not look after provider {provider}: {error.message}"
            memory.findings = (Finding("ProviderForbidden", message),)
            return
        if not memory.installed:
            message = f"provider {provider} is not installed in this cluster; install {ADD_ONS[provider]}"
            memory.findings = (Finding("ProviderNotInstalled", f"{message}, or take provider: Router"),)
            return
        memory.findings = tuple(one for one in memory.findings if one.reason not in ABSENT)
        if memory.told is None:  # what another process applied has been heard by now
            wanted = self.objects(of, spec, status, memory)
            stands = digest(wanted) if wanted and self._standings.present(of, wanted) else ""
            memory.told = stands, -HOUR

    def objects(
        self, of: Owner, spec: ModelDeploymentSpec, status: ModelDeploymentStatus, memory: ProviderMemory
    ) -> list[Object]:
        """The Services and routes of the decided traffic, in the order in which to apply them."""
        split, ports, ref = Split.of(status), plain_service.ports(spec.server), spec.traffic.route_ref
        wanted: list[Object] = []
        if not uses_router(spec) and memory.installed:
            wanted += plain_service.services(of, split, ports)
        # Somebody's route may lead to the tracks for as long as the object is there.
        if (ref and memory.installed) or self._cache.get("Service", of.namespace, f"{of.name}-stable"):
            route = "/".join(route_ref.place(of, ref)) if ref else None
            wanted += plain_service.tracks(of, split, ports, route)
        if memory.installed:
            wanted += route_objects(of, spec, split, memory)
        return wanted

    def unwanted(
        self, of: Owner, spec: ModelDeploymentSpec, wanted: Iterable[Object], memory: ProviderMemory
    ) -> list[Object]:
        """Routes and Services by fixed names, of whatever provider, that are not among what is wanted."""
        if not (uses_router(spec) or (memory.installed and memory.serving is not None)):
            return []  # the way that there is stays until another one is known to serve
        names = {key(item) for item in wanted} | {("Service", of.name)}
        fixed = {of.name, *(of.name + suffix for suffix in ("-preview", "-shadow"))}
        return [
            found
            for kind in (*(resource.kind for resource in KINDS.values()), "Service")
            for found in self._cache.children(of.namespace, of.name, kind)
            if found["metadata"]["name"] in fixed
            and is_owned(found["metadata"], of)
            and key(found) not in names
        ]

    async def shift(
        self, of: Owner, spec: ModelDeploymentSpec, status: ModelDeploymentStatus, memory: ProviderMemory
    ) -> None:
        """Set the weights in a route of the user's own."""
        ref, split = spec.traffic.route_ref, Split.of(status)
        if ref and memory.installed and split.weights and memory.serving != status.traffic_generation:
            await self._weights.set(of, spec.traffic, ref, split)

    async def verify(
        self, of: Owner, spec: ModelDeploymentSpec, status: ModelDeploymentStatus, memory: ProviderMemory
    ) -> datetime | None:
        """Learn whether the provider serves what is decided; when to look again, None when all is known."""
        split, generation = Split.of(status), status.traffic_generation
        if uses_router(spec):
            return None
        if not memory.installed:
            return self._clock.now() + LATER
        before = memory.findings, memory.serving
        if not split.weights:
            return await self._expect(of, spec, memory)
        wanted = self.objects(of, spec, status, memory)
        standing = await self._standings.look(
            of, spec, split, wanted, memory, behind=memory.serving != generation
        )
        memory.findings = standing.findings
        blocked = any(one.blocks for one in standing.findings)
        told = digest(wanted) if standing.heard and not blocked else ""
        if memory.told is None or memory.told[0] != told:
            memory.told = told, self._clock.monotonic()
        rest = memory.told[1] + standing.settling - self._clock.monotonic()
        if told and rest <= 0:
            memory.serving = generation
        elif not told and memory.serving == generation:
            memory.serving = None
        if (memory.findings, memory.serving) != before:
            return self._clock.now()
        if memory.serving == generation:
            return None
        return self._clock.now() + (LATER if blocked else timedelta(seconds=rest) if told else SOON)

    async def release(self, of: Owner) -> None:
        """Hand back what somebody else keeps, of an object that is to go, and let it go.

        Raises:
            Conflict: Somebody changed the route meanwhile; try again.
        """
        await self._weights.release(of)

    async def _expect(self, of: Owner, spec: ModelDeploymentSpec, memory: ProviderMemory) -> datetime | None:
        """Before anything serves: tell what is missing, so that it can be mended while the pods start."""
        if memory.gateways is None or not memory.gateways.findings:
            return None
        news = memory.findings != memory.gateways.findings
        memory.findings = memory.gateways.findings
        memory.gateways = await self._gateways.learn(of, spec.traffic)
        return self._clock.now() + (timedelta() if news else LATER)
