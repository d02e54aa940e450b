"""From statuses, records and endpoints to the routers' tables, and the ports they are given."""

from typing import Any

import pytest

from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.core.naming import NAME, REVISION
from modeldeploy.core.request import read_status
from modeldeploy.core.snapshot import Revision
from modeldeploy.reconcile.ports import FIRST, Ports, extra_ports, service_ports
from modeldeploy.reconcile.routes import routed_models
from modeldeploy.render.traffic.model import Backend, Endpoint, Trial
from modeldeploy.render.traffic.router_objects import ServicePort

pytestmark = pytest.mark.unit

OLD = {"image": "m:1", "port": 8080}
NEW = {
    "image": "m:2",
    "port": 8080,
    "protocol": "HTTP2",
    "extraPorts": [{"name": "grpc", "port": 9000, "protocol": "HTTP2"}, {"name": "admin", "port": 9001}],
}
TRACK = {"revision": "aaaa", "modelVersion": "1", "weight": 100}
STARTED = "2026-11-22T10:00:00Z"
CANDIDATE = {
    "revision": "bbbb",
    "modelVersion": "2",
    "weight": 0,
    "step": 1,
    "progress": "1/2",
    "startedAt": STARTED,
    "stepStartedAt": STARTED,
    "mirror": 30,
    "preview": {"header": "x-preview", "value": "yes", "hostname": "next.example"},
}
STATUS = {
    "stable": TRACK,
    "candidate": CANDIDATE,
    "trafficGeneration": 4,
    "routing": {"port": 10001, "extraPorts": {"grpc": 10002}},
}


def item(kind: str, name: str, *, revision: str | None = None, **fields: Any) -> dict[str, Any]:
    labels = {NAME: "m", **({REVISION: revision} if revision else {})}
    meta = {"namespace": "ns", "name": name, "uid": f"uid-{name}", "resourceVersion": "1", "labels": labels}
    return {"kind": kind, "metadata": meta, **fields}


def known(revision: str, server: dict[str, Any]) -> list[dict[str, Any]]:
    """A revision's record, Service and endpoints."""
    data = {"content": {"model": {"version": revision}, "server": server}, "template": {}}
    ports = [{"name": "grpc", "port": 9000}, {"name": "http", "port": 8080}]
    endpoints = [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}]
    return [
        item("ControllerRevision", f"m-{revision}", revision=revision, data=data) | {"revision": 1},
        item("Service", f"m-{revision}", revision=revision, spec={"clusterIP": "10.96.0.5"}),
        item("EndpointSlice", f"m-{revision}-x", revision=revision, ports=ports, endpoints=endpoints),
    ]


def cache_of(traffic: dict[str, Any], status: dict[str, Any] | None = None) -> Cache:
    cache = Cache()
    spec = {"model": {"version": "2"}, "server": NEW, "traffic": traffic}
    objects = [item("ModelDeployment", "m", spec=spec, status=status or STATUS)]
    for one in (*objects, *known("aaaa", OLD), *known("bbbb", NEW)):
        cache.feed(None, one)
    return cache


def test_every_revision_is_led_to_as_its_own_record_says() -> None:
    (made,) = routed_models(cache_of({"sticky": True, "tls": {"secretName": "web"}}), "ns")

    pod = Endpoint("10.0.0.1", 8080)
    assert made.backends == (
        Backend("aaaa", 100, "10.96.0.5", 80, (pod,)),
        Backend("bbbb", 0, "10.96.0.5", 80, (pod,), http2=True),
    )
    assert made.trial == Trial("bbbb", 30, ("x-preview", "yes"), "next.example")
    assert (made.sticky, made.tls_secret, made.generation) == (True, "web", 4)
    (extra,) = made.extra_ports
    grpc = Backend("bbbb", 0, "10.96.0.5", 9000, (Endpoint("10.0.0.1", 9000),), http2=True)
    assert (extra.name, extra.listener_port, extra.backends) == ("grpc", 10002, (grpc,))


def test_an_incumbent_is_led_to_by_the_name_of_its_service() -> None:
    status = STATUS | {"stable": TRACK | {"revision": "incumbent"}}
    (made,) = routed_models(cache_of({"incumbent": {"service": "old", "port": 8000}}, status), "ns")

    incumbent = next(one for one in made.backends if one.revision == "incumbent")
    assert (incumbent.hostname, incumbent.service_port, incumbent.weight) == ("old.ns.svc", 8000, 100)


def test_a_certificate_outlives_a_spec_that_is_not_understood() -> None:
    cache = cache_of({"tls": {"secretName": "web"}, "provider": "Nonsense"})

    assert routed_models(cache, "ns")[0].tls_secret == "web"


def revision(name: str, server: dict[str, Any]) -> Revision:
    return Revision(name, 1, name, {"model": {"version": name}, "server": server}, {})


RECORDS = {"aaaa": revision("aaaa", OLD), "bbbb": revision("bbbb", NEW)}


def test_stables_number_of_a_port_counts_until_its_successor_is_promoted() -> None:
    other = {**OLD, "extraPorts": [{"name": "grpc", "port": 7000}]}
    records = RECORDS | {"aaaa": revision("aaaa", other)}

    assert extra_ports(read_status({"status": STATUS}), RECORDS) == {"grpc": 9000, "admin": 9001}
    assert extra_ports(read_status({"status": STATUS}), records) == {"grpc": 7000, "admin": 9001}


def test_ports_stay_and_are_unique_in_a_namespace() -> None:
    cache, status = cache_of({}), read_status({"status": STATUS})
    ports = Ports(cache)

    kept = ports.routing("ns", "uid-m", status, ["grpc", "admin"])
    assert kept.port == 10001
    assert kept.extra_ports == {"grpc": 10002, "admin": FIRST}
    other = ports.routing("ns", "uid-o", read_status({}), ["grpc"])
    assert len({10001, 10002, FIRST, other.port, other.extra_ports["grpc"]}) == 5
    assert ports.routing("ns", "uid-o", read_status({}), ["grpc"]) == other, (
        "given once, before it is written"
    )
    assert ports.routing("ns", "uid-m", status, []).extra_ports == {}

    ports.release("ns", "uid-m")
    assert ports.allocate("ns", "uid-x") == FIRST


def test_the_service_leads_to_listeners_that_are_there() -> None:
    assert service_ports(read_status({"status": STATUS}), RECORDS) == [ServicePort("grpc", 9000, 10002)]
