"""What a provider can't do, or isn't there for, is told; and the plain Service."""

import pytest

from e2e.reach import Object, until
from e2e.support import condition
from providers.stage import TRAEFIK_ROUTE, Stage, Way, answered

pytestmark = pytest.mark.providers


def test_a_copy_that_the_class_cannot_make_holds_the_rollout_and_says_why(stage: Stage) -> None:
    way = Way("no-copies", "GatewayAPI", TRAEFIK_ROUTE.gateway, mirrors=False)
    place = stage.place
    stage.serve(way)
    steps: list[Object] = [{"shadow": {"percent": 50}, "hold": "1s"}, {"weight": 30, "hold": "3s"}]
    with stage.load(way, rate=30) as load:
        place.apply(stage.manifest(way.name, "v3", way.traffic(), steps))
        message = "GatewayClass traefik cannot copy requests"
        found = place.until(lambda status: message in status["message"], message, name=way.name)
        assert found["status"]["candidate"]["step"] == 1
        assert found["status"]["candidate"]["weight"] == 0
        place.apply(stage.manifest(way.name, "v3", way.traffic(), steps[1:]))
        place.until_ready("v3", name=way.name)
        assert answered(load, "v3").answers


def test_a_wish_that_the_class_cannot_grant_is_a_condition_and_requests_are_served(stage: Stage) -> None:
    way = Way("no-session", "GatewayAPI", TRAEFIK_ROUTE.gateway, mirrors=False)
    place = stage.place
    place.apply(stage.manifest(way.name, "v1", {**way.traffic(), "sticky": True}))
    status = place.until_ready("v1", name=way.name)["status"]
    status = place.until(lambda found: condition(found, "TrafficLimited"), "the limit", name=way.name)[
        "status"
    ]
    limit = condition(status, "TrafficLimited")
    assert limit is not None
    assert limit["reason"] == "StickyNotSupported"
    place.apply(stage.manifest(way.name, "v1", way.traffic()))
    place.until(lambda found: not condition(found, "TrafficLimited"), "its end", name=way.name)


def test_a_provider_that_is_not_installed_is_told_and_nothing_is_touched(stage: Stage) -> None:
    name = "no-istio"
    parents = [{"name": "public", "namespace": "infra"}]
    traffic = {
        "provider": "IstioVirtualService",
        "gateway": {"parentRefs": parents, "hostnames": ["m.test"]},
    }
    stage.place.apply(stage.manifest(name, "v1", traffic))
    message = "provider IstioVirtualService is not installed in this cluster"
    found = stage.place.until(lambda status: message in str(status), message, name=name)
    ready = condition(found["status"], "Ready")
    assert ready is not None
    assert ready["status"] == "False"
    assert stage.get("Service", name) is None


def test_a_gateway_that_is_not_there_is_told(stage: Stage) -> None:
    way = Way("no-gateway", "GatewayAPI", "nobody", mirrors=False)
    stage.place.apply(stage.manifest(way.name, "v1", way.traffic()))
    message = "there is no Gateway providers-system/nobody"
    stage.place.until(lambda status: message in str(status), message, name=way.name)


def test_the_plain_service_switches_without_a_failed_request(stage: Stage) -> None:
    way = Way("plain", "Service", "", mirrors=False)
    place = stage.place

    def apply(version: str) -> None:
        obj = stage.manifest(way.name, version, {"provider": "Service"}, drain="5s", keepPrevious="10s")
        obj["spec"]["rollout"] |= {"strategy": "BlueGreen", "steps": [{"preview": {}, "hold": "4s"}]}
        place.apply(obj)

    apply("v1")
    place.until_ready("v1", name=way.name)
    with place.load(name=way.name, rate=50) as load:
        until(lambda: load.snapshot().versions.get("v1"), "an answer of v1")
        apply("v3")
        stage.until_served(way.name, 1)
        preview = stage.get("Service", f"{way.name}-preview")
        assert preview is not None
        place.until_ready("v3", name=way.name)
        until(lambda: load.snapshot().versions.get("v3"), "an answer of v3")
        place.until(
            lambda status: not status.get("previous") and not status.get("draining"), "the end", name=way.name
        )
        until(lambda: len(place.pods()) and not old(stage, way.name), "the end of v1's pods")
    assert stage.get("Service", f"{way.name}-preview") is None


def old(stage: Stage, name: str) -> list[str]:
    """Pods of v1."""
    labels = [pod["metadata"]["labels"] for pod in stage.place.pods().values()]
    versions = [one["modeldeploy.dev/model-version"] for one in labels if one["modeldeploy.dev/name"] == name]
    return [version for version in versions if version == "v1"]
