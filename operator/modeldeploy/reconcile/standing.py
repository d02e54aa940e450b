"""Whether a provider has taken in what it was told, as far as it tells anything.

- An HTTPRoute says so in its status, see `modeldeploy.reconcile.gateways`.
- The Service `<name>` is seen by its EndpointSlices, which the node's proxies read as well.
- A TraefikService and a VirtualService say nothing. They count as served once they have stood at the API
  server for `SETTLING` seconds: Traefik takes a change up at once or, right after another one, within two
  seconds (`providers.providersThrottleDuration`).

Only what comes after a shift waits for this: the next step, the end of a revision's pods. A shift does not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.traffic import Provider
from modeldeploy.core.finding import Finding
from modeldeploy.core.naming import object_name
from modeldeploy.core.plan import covers
from modeldeploy.core.traffic import Split
from modeldeploy.reconcile.gateways import Class, Gateways, taken, taken_by_all
from modeldeploy.reconcile.route_weights import RouteWeights
from modeldeploy.render.meta import Owner
from modeldeploy.render.traffic import gateway_api, istio, route_ref, traefik
from modeldeploy.render.traffic.gateway_api import Features

Object = Mapping[str, Any]

SETTLING = {Provider.TRAEFIK: 2.5, Provider.ISTIO: 5.0, Provider.SERVICE: 1.5, Provider.GATEWAY_API: 0.5}
"""Seconds from when the provider is seen to have heard until its data plane is trusted to follow."""


@dataclass(slots=True)
class ProviderMemory:
    """What is remembered of an object's provider between looks; losing it costs requests, never a decision.

    Attributes:
        provider: Of which all this is true.
        findings: What it lacks or can't do.
        installed: Whether the cluster has the kinds that it needs.
        gateways: What is known of the Gateways; None before they were looked at.
        serving: The traffic generation that was last verified.
        told: What the provider was told, and since when it is known to have heard, in monotonic seconds;
            None before the first look.
    """

    provider: Provider = Provider.ROUTER
    findings: tuple[Finding, ...] = ()
    installed: bool = False
    gateways: Class | None = None
    serving: int | None = None
    told: tuple[str, float] | None = None

    def begin(self, provider: Provider) -> None:
        """Nothing is known of another provider."""
        self.provider = provider
        self.findings, self.installed, self.gateways, self.serving, self.told = (), False, None, None, None


@dataclass(frozen=True, slots=True)
class Standing:
    """How the provider stands to what is wanted.

    Attributes:
        heard: It has said that it took everything in, as far as it says anything.
        findings: What is in the way.
        settling: Seconds from then until its data plane is trusted to follow.
    """

    heard: bool
    findings: tuple[Finding, ...] = ()
    settling: float = 0.0


class Standings:
    """Looks at providers.

    Args:
        cache: What was last seen of the API server.
        gateways: Asks about Gateways.
        weights: Asks about routes of users' own.
    """

    def __init__(self, cache: Cache, gateways: Gateways, weights: RouteWeights) -> None:
        self._cache = cache
        self._gateways = gateways
        self._weights = weights

    async def look(
        self,
        of: Owner,
        spec: ModelDeploymentSpec,
        split: Split,
        wanted: list[Object],
        memory: ProviderMemory,
        *,
        behind: bool,
    ) -> Standing:
        """How the provider stands to the wanted objects; `behind` says that it wasn't known to serve them."""
        provider, traffic = spec.traffic.provider, spec.traffic
        if not self.present(of, wanted):
            return Standing(heard=False)
        if traffic.route_ref:
            return await self._own_route(of, spec, split, behind=behind)
        if provider is Provider.GATEWAY_API:
            return await self._http_route(of, spec, split, memory, behind=behind)
        if provider is Provider.SERVICE:
            heard = leads_to(self._cache, of, "", split.stable)
            return Standing(heard=heard, settling=SETTLING[provider])
        findings = tuple(istio.limits(traffic)) if provider is Provider.ISTIO else ()
        return Standing(heard=True, findings=findings, settling=SETTLING[provider])

    async def _http_route(
        self, of: Owner, spec: ModelDeploymentSpec, split: Split, memory: ProviderMemory, *, behind: bool
    ) -> Standing:
        gateway = spec.traffic.gateway
        if gateway is None:  # the API server does not let such an object in
            return Standing(heard=False)
        known = memory.gateways or Class()
        if behind and (known.findings or gateway_api.limits(spec.traffic, split, known.features, known.name)):
            known = memory.gateways = await self._gateways.learn(of, spec.traffic)
        limits = gateway_api.limits(spec.traffic, split, known.features, known.name)
        findings = [*known.findings, *limits]
        names = [item["metadata"]["name"] for item in route_objects(of, spec, split, memory)]
        found = [taken(self._cache.get("HTTPRoute", of.namespace, name) or {}, of, gateway) for name in names]
        findings += [one.finding for one in found if one.finding]
        heard = all(one.done for one in found)
        if heard and behind:
            findings += await self._gateways.programmed(of, gateway)
        throttled = any(one.throttled for one in found)
        settling = SETTLING[Provider.TRAEFIK if throttled else Provider.GATEWAY_API]
        return Standing(heard, tuple(findings), settling)

    async def _own_route(
        self, of: Owner, spec: ModelDeploymentSpec, split: Split, *, behind: bool
    ) -> Standing:
        traffic, ref = spec.traffic, spec.traffic.route_ref
        if ref is None or not behind:
            return Standing(heard=True)
        findings, route = await self._weights.look(of, traffic, ref, split)
        stands = route is not None and not route_ref.patch(route, of, route_ref.weights(split))
        candidate = split.candidate if split.weights.get(split.candidate or "") else None
        heard = stands and leads_to(self._cache, of, "-stable", split.stable)
        if candidate:
            heard = heard and leads_to(self._cache, of, "-candidate", candidate)
        accepted = taken_by_all(route) if route else None
        if accepted and accepted.finding:
            findings = (*findings, accepted.finding)
        heard = heard and accepted is not None and accepted.done
        settling = SETTLING[Provider.TRAEFIK if accepted and accepted.throttled else Provider.SERVICE]
        return Standing(heard, findings, settling)

    def present(self, of: Owner, wanted: Iterable[Object]) -> bool:
        """Whether everything stands at the API server as it is wanted, as far as was last seen."""
        return all(
            covers(self._cache.get(item["kind"], of.namespace, item["metadata"]["name"]), item)
            for item in wanted
        )


def route_objects(of: Owner, spec: ModelDeploymentSpec, split: Split, memory: ProviderMemory) -> list[Object]:
    """The add-on's objects of the decided traffic, in the order in which to apply them."""
    provider, traffic = spec.traffic.provider, spec.traffic
    if provider is Provider.GATEWAY_API:
        features = memory.gateways.features if memory.gateways else Features()
        return [*gateway_api.routes(of, traffic, split, features)]
    if provider is Provider.TRAEFIK:
        return [*traefik.services(of, traffic, split)]
    return [*istio.virtual_services(of, traffic, split)] if provider is Provider.ISTIO else []


def leads_to(cache: Cache, of: Owner, suffix: str, revision: str | None) -> bool:
    """Whether the Service `<name><suffix>` has ready pods of this revision, and no others."""
    slices = cache.children(of.namespace, of.name, "EndpointSlice")
    found = _addresses(slices, of.name + suffix)
    return bool(found) and found <= _addresses(slices, object_name(of.name, revision or ""))


def _addresses(slices: Iterable[Object], service: str) -> set[str]:
    return {
        address
        for part in slices
        if part["metadata"]["labels"].get("kubernetes.io/service-name") == service
        for endpoint in part.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready") is not False
        for address in endpoint.get("addresses") or ()
    }
