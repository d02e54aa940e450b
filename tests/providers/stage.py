"""What the tests of providers speak in: a namespace, the ways to a model, and the load on one of them."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cluster.addons import NAMESPACE
from digits.load import Load
from digits.load_stats import RevisionSeen
from e2e.reach import Object, until
from e2e.support import Place
from providers.load import HostLoad

IMAGES = ("operator", "envoy", "prometheus", "digits:v1", "digits:v2-nulls", "digits:v3")
ENVOY = "gateway.envoyproxy.io/owning-gateway-name=envoy"


@dataclass(frozen=True)
class Way:
    """One way to bring requests to a model.

    Attributes:
        name: Of the ModelDeployment, too.
        provider: `spec.traffic.provider`.
        gateway: The Gateway, or the one whose address is used.
        mirrors: Whether it copies requests.
    """

    name: str
    provider: str
    gateway: str
    mirrors: bool

    @property
    def host(self) -> str:
        return f"{self.name}.test"

    def traffic(self) -> Object:
        if self.provider != "GatewayAPI":
            return {"provider": self.provider}
        parents = [{"name": self.gateway, "namespace": NAMESPACE}]
        return {
            "provider": self.provider,
            "gateway": {"parentRefs": parents, "hostnames": [self.host]},
        }


ENVOY_ROUTE = Way("envoy-route", "GatewayAPI", "envoy", mirrors=True)
TRAEFIK_ROUTE = Way("traefik-route", "GatewayAPI", "traefik", mirrors=False)
TRAEFIK_SERVICE = Way("traefik-service", "Traefik", "traefik", mirrors=True)
WAYS = (ENVOY_ROUTE, TRAEFIK_ROUTE, TRAEFIK_SERVICE)


@dataclass(frozen=True)
class Stage:
    """A namespace with models behind gateways."""

    place: Place

    def url(self, gateway: str) -> str:
        """The address of a gateway's Service."""
        api = self.place.api
        if gateway == "envoy":
            (service,) = api.list("Service", NAMESPACE, ENVOY)
        else:
            found = api.get("Service", NAMESPACE, "traefik")
            assert found is not None
            service = found
        return f"http://{service['spec']['clusterIP']}"

    def manifest(
        self, name: str, version: str, traffic: Object, steps: list[Object] | None = None, **rollout: Any
    ) -> Object:
        """A version with one pod, judged by what its pods tell of themselves."""
        obj = self.place.manifest(version, replicas=1, name=name)
        obj["spec"]["traffic"] = traffic
        obj["spec"]["rollout"] |= {"steps": steps} if steps else {}
        obj["spec"]["rollout"] |= {"keepPrevious": "4s", "drain": "2s", **rollout}
        metrics = obj["spec"]["monitoring"]["metrics"]
        obj["spec"]["monitoring"]["metrics"] = [one for one in metrics if one["name"] == "nulls"]
        return obj

    def serve(self, way: Way) -> None:
        """Bring v1 up behind a way; for a TraefikService with the user's IngressRoute."""
        if way.provider == "Traefik":
            self.place.apply(ingress_route(way))
        self.place.apply(self.manifest(way.name, "v1", way.traffic()))
        self.place.until_ready("v1", name=way.name)

    @contextlib.contextmanager
    def load(self, way: Way, rate: float = 100) -> Iterator[HostLoad]:
        """A steady load while the block runs, of which no request may fail."""
        load = HostLoad(self.url(way.gateway), way.host, rate)
        load.start()
        try:
            until(lambda: load.snapshot().ok, "a first answer")
            yield load
        finally:
            seen = load.stop()
        assert seen.clean(), f"{seen.failed} of {seen.sent}: {seen.first_failure}"

    def until_served(self, name: str, step: int) -> Object:
        """The object once the provider is known to serve a step."""

        def so(status: Object) -> bool:
            candidate = status.get("candidate") or {}
            return candidate.get("step", 0) >= step and "waits for" not in status["message"]

        return self.place.until(so, f"step {step} being served", name=name)

    def get(self, kind: str, name: str) -> Object | None:
        return self.place.api.get(kind, self.place.namespace, name)


def ingress_route(way: Way) -> Object:
    """What the user of a TraefikService writes, with a rule for those who know the preview's header."""
    preview = f"Host(`{way.host}`) && Header(`x-modeldeploy-preview`, `candidate`)"
    rules = ((preview, f"{way.name}-preview"), (f"Host(`{way.host}`)", way.name))
    routes = [
        {"kind": "Rule", "match": match, "services": [{"kind": "TraefikService", "name": name}]}
        for match, name in rules
    ]
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": way.name},
        "spec": {"entryPoints": ["web"], "routes": routes},
    }


def answered(load: Load, version: str) -> RevisionSeen:
    return load.snapshot().revisions.get(version) or RevisionSeen()
