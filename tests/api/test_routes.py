"""The routes of all providers, asked of an API server with the published kinds."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
import yaml

from cluster import Cluster, ensure
from cluster.addon_tools import CRD_FILE, module, traefik_file
from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.config import api_client
from modeldeploy.adapters.kube.errors import Conflict, Invalid
from modeldeploy.adapters.kube.optional import OptionalKinds
from modeldeploy.adapters.kube.resources import HTTP_ROUTE, NAMESPACE, TRAEFIK_SERVICE, Resource
from modeldeploy.api.v1alpha1.status import PreviewRoute
from modeldeploy.api.v1alpha1.traffic import Traffic
from modeldeploy.core.plan import covers
from modeldeploy.core.traffic import INCUMBENT, Split
from modeldeploy.reconcile.gateways import SESSIONS, Gateways
from modeldeploy.render.meta import Owner
from modeldeploy.render.traffic import gateway_api, istio, route_ref, traefik
from modeldeploy.render.traffic.gateway_api import Features

pytestmark = pytest.mark.api

GATEWAY_API = "sigs.k8s.io/gateway-api@v1.6.1"
ISTIO_API = "istio.io/api@v1.28.0"
OURS = "app.kubernetes.io/managed-by=modeldeploy"
PARENTS = {"parentRefs": [{"name": "public", "namespace": "infra"}], "hostnames": ["m.example"]}
FEATURES = Features(mirror=True, percent=True, timeout=True)
PREVIEW = PreviewRoute(header="x-preview", value="yes", hostname="next.example")
SPLITS = {
    "alone": Split("aaaa", None, {"aaaa": 100}),
    "canary": Split("aaaa", "bbbb", {"aaaa": 95, "bbbb": 5}),
    "shadow": Split("aaaa", "bbbb", {"aaaa": 100}, mirror=30),
    "preview": Split("aaaa", "bbbb", {"aaaa": 100}, preview=PREVIEW),
    "incumbent": Split(INCUMBENT, "bbbb", {INCUMBENT: 90, "bbbb": 10}),
}


@pytest.fixture(scope="module")
def routes_cluster() -> Iterator[Cluster]:
    found = ensure("control-plane", name="routes")
    kinds = [
        *sorted((module(GATEWAY_API) / "config/crd/standard").glob("gateway.*.yaml")),
        traefik_file(CRD_FILE),
    ]
    for path in kinds:
        found.run_kubectl("apply", "--server-side", "--filename", str(path))
    published = module(ISTIO_API) / "kubernetes" / "customresourcedefinitions.gen.yaml"
    for kind in yaml.safe_load_all(published.read_text(encoding="utf-8")):
        if kind and kind["spec"]["names"]["kind"] == "VirtualService":
            found.run_kubectl("apply", "--server-side", "--filename=-", given=yaml.safe_dump(kind))
    found.await_kinds("crd", "--all")
    yield found
    found.down()


@pytest_asyncio.fixture
async def routes_kube(routes_cluster: Cluster) -> AsyncIterator[Kube]:
    client = Kube(await api_client(routes_cluster.kubeconfig))
    yield client
    await client.close()


@pytest_asyncio.fixture
async def owner(routes_kube: Kube) -> AsyncIterator[Owner]:
    name = f"routes-{secrets.token_hex(4)}"
    await routes_kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield Owner(name, "recogniser", "0e0f7d84-8e8e-4b9e-8a3c-6f8f8e6d8a11")
    await routes_kube.delete(NAMESPACE, None, name)


def traffic(provider: str, **more: Any) -> Traffic:
    gateway: dict[str, Any] = {} if provider == "Traefik" else {"gateway": PARENTS}
    people: dict[str, Any] = {"incumbent": {"service": "people", "port": 8080}}
    return Traffic.model_validate({"provider": provider, **gateway, **people, **more})


def rendered(provider: str, owner: Owner, split: Split) -> list[dict[str, Any]]:
    if provider == "GatewayAPI":
        return gateway_api.routes(owner, traffic(provider, timeout="90s"), split, FEATURES)
    if provider == "Traefik":
        return traefik.services(owner, traffic(provider, sticky=True), split)
    return istio.virtual_services(owner, traffic(provider, timeout="90s"), split)


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
@pytest.mark.parametrize("provider", ["GatewayAPI", "Traefik", "IstioVirtualService"])
async def test_the_published_kinds_take_every_route_as_it_is(
    routes_kube: Kube, owner: Owner, provider: str, split: Split
) -> None:
    objects = rendered(provider, owner, split)

    assert objects
    for wanted in objects:
        taken = await routes_kube.apply(wanted, manager="modeldeploy")
        again = await routes_kube.apply(wanted, manager="modeldeploy")
        assert covers(taken, wanted), (
            "the API server writes it otherwise, so it would be applied at every look"
        )
        assert again["metadata"]["resourceVersion"] == taken["metadata"]["resourceVersion"]


async def test_a_backend_too_many_is_seen(routes_kube: Kube, owner: Owner) -> None:
    (more,) = rendered("GatewayAPI", owner, Split("aaaa", "bbbb", {"aaaa": 100}))
    (less,) = rendered("GatewayAPI", owner, SPLITS["alone"])

    assert not covers(await routes_kube.apply(more, manager="modeldeploy"), less)
    assert covers(await routes_kube.apply(less, manager="modeldeploy"), less)


async def test_the_standard_channel_has_no_sessions(routes_kube: Kube, owner: Owner) -> None:
    group = "gateway.networking.k8s.io/v1"
    controller = "gateway.envoyproxy.io/gatewayclass-controller"
    listener = {"name": "http", "port": 80, "protocol": "HTTP"}
    for kind, spec in (
        ("GatewayClass", {"controllerName": controller}),
        ("Gateway", {"gatewayClassName": "public", "listeners": [listener]}),
    ):
        head = {"name": "public", "namespace": owner.namespace}
        obj = {"apiVersion": group, "kind": kind, "metadata": head, "spec": spec}
        await routes_kube.apply(obj, manager="test")
    parents = {"parentRefs": [{"name": "public"}]}
    wishes = Traffic.model_validate({"provider": "GatewayAPI", "gateway": parents, "sticky": True})

    found = await Gateways(routes_kube).learn(owner, wishes)

    assert SESSIONS not in (found.name, *found.findings)
    assert found.features == Features(mirror=True, percent=True, timeout=True, sticky=False)


async def test_weights_of_a_changed_route_are_not_set(routes_kube: Kube, owner: Owner) -> None:
    backends = [{"name": f"recogniser-{track}", "port": 80} for track in ("stable", "candidate")]
    rules = {"rules": [{"backendRefs": backends}]}
    obj = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "mine", "namespace": owner.namespace},
        "spec": rules,
    }
    seen = await routes_kube.apply(obj, manager="git")
    changed = {**obj, "spec": rules | {"hostnames": ["other.example"]}}
    await routes_kube.apply(changed, manager="git")
    place = (HTTP_ROUTE, owner.namespace, "mine")

    with pytest.raises((Invalid, Conflict)):
        await routes_kube.patch_json(*place, route_ref.patch(seen, owner, (95, 5)))
    now = await routes_kube.get(*place)
    after = await routes_kube.patch_json(*place, route_ref.patch(now, owner, (95, 5)))

    assert after["spec"]["hostnames"] == ["other.example"]
    assert [one["weight"] for one in after["spec"]["rules"][0]["backendRefs"]] == [95, 5]


async def test_an_add_ons_kind_is_watched_from_its_first_use(routes_kube: Kube, owner: Owner) -> None:
    cache = Cache()
    events: list[tuple[str | None, str]] = []
    listed: list[str] = []

    def feed(event: str | None, obj: Any) -> None:
        events.append((event, obj["metadata"]["name"]))
        cache.feed(event, {**obj, "kind": "TraefikService"})

    (wanted,) = rendered("Traefik", owner, SPLITS["alone"])
    kinds = OptionalKinds(
        routes_kube, cache, feed, lambda obj: listed.append(obj["metadata"]["name"]), OURS, (owner.namespace,)
    )
    await routes_kube.apply(wanted, manager="modeldeploy")

    assert await kinds.ensure(TRAEFIK_SERVICE)
    assert cache.get("TraefikService", owner.namespace, "recogniser")
    await routes_kube.delete(TRAEFIK_SERVICE, owner.namespace, "recogniser")
    await settled(lambda: cache.get("TraefikService", owner.namespace, "recogniser") is None)
    await kinds.stop()

    assert listed == ["recogniser"]
    assert events == [("DELETED", "recogniser")]


async def test_a_kind_that_is_not_there_is_asked_for_rarely(routes_kube: Kube) -> None:
    absent = Resource("example.dev/v1", "Nothing", "nothings")
    kinds = OptionalKinds(routes_kube, Cache(), lambda _event, _obj: None, lambda _: None, OURS)
    before = routes_kube.requests["list", "Nothing"]

    assert [await kinds.ensure(absent) for _ in range(3)] == [False] * 3
    assert routes_kube.requests["list", "Nothing"] - before == 1


async def settled(so: Callable[[], bool], seconds: float = 10) -> None:
    for _ in range(round(seconds / 0.05)):
        if so():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not in time")
