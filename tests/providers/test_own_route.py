"""A route that the user wrote and keeps: only weights change, and they are handed back."""

import copy
import json
from typing import Any

import pytest

from cluster.addons import NAMESPACE
from e2e.reach import Object, until
from e2e.support import condition
from providers.stage import ENVOY_ROUTE, Stage, Way, answered

pytestmark = pytest.mark.providers

FINALIZER = "modeldeploy.dev/route"
STEPS: list[Object] = [{"weight": 20, "hold": "15s"}, {"weight": 60, "hold": "3s"}]


def route(way: Way, *, namespace: str = "", weights: tuple[int, int] = (100, 0)) -> Object:
    """What stands in the user's Git."""
    backends = [
        {"name": f"{way.name}-{track}", "port": 80, "weight": weight}
        | ({"namespace": namespace} if namespace else {})
        for track, weight in zip(("stable", "candidate"), weights, strict=True)
    ]
    marked = {
        "type": "ResponseHeaderModifier",
        "responseHeaderModifier": {"set": [{"name": "x", "value": "y"}]},
    }
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": way.name, "labels": {"from": "git"}},
        "spec": {
            "parentRefs": [{"name": way.gateway, "namespace": NAMESPACE}],
            "hostnames": [way.host],
            "rules": [{"backendRefs": backends, "filters": [marked]}],
        },
    }


def without_weights(found: Object | None) -> Any:
    assert found is not None
    spec = copy.deepcopy(found["spec"])
    for rule in spec["rules"]:
        for backend in rule["backendRefs"]:
            backend.pop("weight", None)
    return spec, found["metadata"]["labels"]


def weights(found: Object | None) -> list[int]:
    assert found is not None
    return [backend["weight"] for backend in found["spec"]["rules"][0]["backendRefs"]]


def until_alone(stage: Stage, way: Way) -> None:
    def so(status: Object) -> bool:
        return not status.get("previous") and not status.get("draining")

    stage.place.until(so, "the end of the replaced version", name=way.name)


def test_only_weights_change_and_they_are_handed_back(stage: Stage) -> None:
    way = Way("own-route", "GatewayAPI", ENVOY_ROUTE.gateway, mirrors=False)
    place, traffic = stage.place, {"provider": "GatewayAPI", "routeRef": {"name": way.name}}
    place.apply(route(way))
    place.apply(stage.manifest(way.name, "v1", traffic))
    place.until_ready("v1", name=way.name)
    written = without_weights(stage.get("HTTPRoute", way.name))
    with stage.load(way) as load:
        place.apply(stage.manifest(way.name, "v3", traffic, STEPS))
        stage.until_served(way.name, 1)
        assert weights(stage.get("HTTPRoute", way.name)) == [80, 20]
        assert FINALIZER in place.model(way.name)["metadata"]["finalizers"]
        until(lambda: answered(load, "v3").answers > 20, "answers of the candidate")
        place.until_ready("v3", name=way.name)
        assert weights(stage.get("HTTPRoute", way.name)) == [100, 0]
        until_alone(stage, way)  # else the way back to v1 is one traffic change, without a trial
        place.apply(stage.manifest(way.name, "v1", traffic, [{"weight": 40, "hold": "10m"}]))
        stage.until_served(way.name, 1)
        assert weights(stage.get("HTTPRoute", way.name)) == [60, 40]
        place.apply(stage.manifest(way.name, "v3", traffic))
        place.until_ready("v3", name=way.name)
        assert weights(stage.get("HTTPRoute", way.name)) == [100, 0]
        assert without_weights(stage.get("HTTPRoute", way.name)) == written
        place.apply(stage.manifest(way.name, "v1", traffic, [{"weight": 40, "hold": "10m"}]))
        stage.until_served(way.name, 1)
    place.kubectl("delete", "modeldeployment", way.name, "--timeout=30s")
    assert weights(stage.get("HTTPRoute", way.name)) == [100, 0]
    assert without_weights(stage.get("HTTPRoute", way.name)) == written


def test_another_namespace_must_be_granted(stage: Stage) -> None:
    way = Way("granted", "GatewayAPI", ENVOY_ROUTE.gateway, mirrors=False)
    place = stage.place
    with place.installed.place() as edge:
        edge.apply(route(way, namespace=place.namespace, weights=(1, 1)))
        traffic = {"provider": "GatewayAPI", "routeRef": {"name": way.name, "namespace": edge.namespace}}
        place.apply(stage.manifest(way.name, "v1", traffic))
        told = place.until(
            lambda status: "ReferenceGrant" in json.dumps(status), "what is missing", name=way.name
        )
        found = edge.api.get("HTTPRoute", edge.namespace, way.name)
        assert weights(found) == [1, 1]
        assert not told["metadata"].get("finalizers")
        source = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": edge.namespace}
        place.apply(
            {
                "apiVersion": "gateway.networking.k8s.io/v1beta1",
                "kind": "ReferenceGrant",
                "metadata": {"name": "edge"},
                "spec": {"from": [source], "to": [{"group": "", "kind": "Service"}]},
            }
        )
        place.until_ready("v1", name=way.name)
        assert weights(edge.api.get("HTTPRoute", edge.namespace, way.name)) == [100, 0]
        place.kubectl("delete", "modeldeployment", way.name, "--timeout=30s")


def test_a_route_that_is_not_there_or_leads_elsewhere_is_told(stage: Stage) -> None:
    way = Way("missing", "GatewayAPI", ENVOY_ROUTE.gateway, mirrors=False)
    place, traffic = stage.place, {"provider": "GatewayAPI", "routeRef": {"name": way.name}}
    place.apply(stage.manifest(way.name, "v1", traffic))
    message = f"there is no HTTPRoute {place.namespace}/{way.name}"
    place.until(lambda status: message in status["message"], message, name=way.name)
    elsewhere = route(way)
    elsewhere["spec"]["rules"][0]["backendRefs"][1]["name"] = "somebody"
    place.apply(elsewhere)
    message = f"leads to both Services {way.name}-stable and {way.name}-candidate"
    found = place.until(lambda status: message in status["message"], message, name=way.name)
    ready = condition(found["status"], "Ready")
    assert ready is not None
    assert ready["status"] == "False"
    assert weights(stage.get("HTTPRoute", way.name)) == [100, 0]
    place.apply(route(way, weights=(1, 1)))
    place.until_ready("v1", name=way.name)
    assert weights(stage.get("HTTPRoute", way.name)) == [100, 0]
    place.kubectl("delete", "modeldeployment", way.name, "--timeout=30s")
