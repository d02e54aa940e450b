"""A whole life of a model behind each provider, under constant load: no request fails."""

import math
import time
from collections.abc import Callable

import httpx
import pytest

from digits.load_requests import MODEL
from e2e.reach import Object, until
from e2e.support import ending, restarts
from providers.load import HostLoad
from providers.stage import ENVOY_ROUTE, WAYS, Stage, Way, answered

pytestmark = pytest.mark.providers

PREVIEW = {"x-modeldeploy-preview": "candidate"}
STEPS: list[Object] = [
    {"preview": {}, "hold": "6s"},
    {"weight": 10, "hold": "12s"},
    {"weight": 50, "hold": "6s"},
]


def requests_of(stage: Stage, version: str) -> float:
    """Requests that the pods of a version count themselves, copies too."""
    total = 0.0
    for pod in stage.place.pods().values():
        if pod["metadata"]["labels"].get("modeldeploy.dev/model-version") != version:
            continue
        if not pod["status"].get("podIP"):
            continue
        text = httpx.get(f"http://{pod['status']['podIP']}:8080/metrics", timeout=5).text
        lines = [line for line in text.splitlines() if line.startswith("model_requests_total{")]
        total += sum(float(line.rpartition(" ")[2]) for line in lines)
    return total


def shares(load: HostLoad, seconds: float, count: Callable[[], float]) -> tuple[float, int]:
    """What was counted in some seconds, and the good answers meanwhile."""
    before, answers = count(), load.snapshot().ok
    time.sleep(seconds)
    after, total = count(), load.snapshot().ok
    return after - before, total - answers


def assert_share(found: float, total: int, percent: float) -> None:
    """Within what chance does to a share: four standard deviations, and the requests on their way."""
    share = percent / 100
    assert abs(found - share * total) <= 4 * math.sqrt(total * share * (1 - share)) + 5, (found, total)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_whole_life(stage: Stage, way: Way) -> None:
    place = stage.place
    stage.serve(way)
    before = place.pods()
    shadow: list[Object] = [{"shadow": {"percent": 30}, "hold": "12s"}] if way.mirrors else []
    steps = [*shadow, *STEPS]
    with stage.load(way) as load:
        place.apply(stage.manifest(way.name, "v3", way.traffic(), steps))
        if way.mirrors:
            stage.until_served(way.name, 1)
            copies, total = shares(load, 7, lambda: requests_of(stage, "v3"))
            assert_share(copies, total, 30)
        stage.until_served(way.name, len(shadow) + 1)
        assert answered(load, "v3").answers == 0
        answers_soon(stage, way, PREVIEW, "v3")
        answers_soon(stage, way, {}, "v1")
        stage.until_served(way.name, len(shadow) + 2)
        taken, total = shares(load, 8, lambda: answered(load, "v3").answers)
        assert_share(taken, total, 10)
        pods = place.pods()
        place.until_ready("v3", name=way.name)
        stays = {uid: pod for uid, pod in pods.items() if uid not in before}
        assert restarts(stays) == {uid: restarts(place.pods())[uid] for uid in stays}
        left = place.status(way.name)
        until(lambda: not set(before) & set(place.pods()), "the end of the old pods", timeout=60)
        assert answered(load, "v1").last_sent < time.time() - 2
        assert_handed_back(stage, way, left["stable"]["revision"])
        going_back(stage, way, load)
    place.kubectl("delete", "modeldeployment", way.name)
    gone = ("HTTPRoute", "TraefikService", "Service", "Deployment", "ControllerRevision")
    selector = f"modeldeploy.dev/name={way.name}"
    until(
        lambda: not any(place.api.list(kind, place.namespace, selector) for kind in gone),
        "the end of all that was made for it",
    )


def going_back(stage: Stage, way: Way, load: HostLoad) -> None:
    """A version with weight is taken back by its nulls, another by the spec: its last request is at once."""
    place = stage.place
    place.apply(stage.manifest(way.name, "v2-nulls", way.traffic(), [{"weight": 30, "hold": "10m"}]))
    place.until_ended("v2-nulls", "RolledBack", name=way.name)
    status = place.status(way.name)
    time.sleep(3)
    assert ending(status, "v2-nulls")["reason"]
    assert answered(load, "v2-nulls").last_sent < time.time() - 1.5
    place.apply(stage.manifest(way.name, "v3", way.traffic()))
    place.until_ready("v3", name=way.name)


def assert_handed_back(stage: Stage, way: Way, stable: str) -> None:
    """At rest the route leads to stable alone, and nothing of the trial is left."""
    here = f"{way.name}-{stable}"
    if way.provider == "GatewayAPI":
        route = stage.get("HTTPRoute", way.name)
        assert route is not None
        (rule,) = route["spec"]["rules"]
        assert [(one["name"], one["weight"]) for one in rule["backendRefs"]] == [(here, 100)]
        assert "filters" not in rule
    else:
        service = stage.get("TraefikService", way.name)
        assert service is not None
        (only,) = service["spec"]["weighted"]["services"]
        assert (only["name"], only["weight"]) == (here, 100)
    for kind in ("HTTPRoute", "TraefikService", "Service"):
        for suffix in ("-preview", "-shadow"):
            assert stage.get(kind, way.name + suffix) is None


def answers_soon(stage: Stage, way: Way, headers: dict[str, str], version: str) -> None:
    """A new request is answered by that version; Traefik accepts a route a moment before it follows it."""
    url = f"{stage.url(way.gateway)}/v2/models/{MODEL}"

    def so() -> bool:
        answer = httpx.get(url, headers={"host": way.host, **headers}, timeout=10)
        return answer.is_success and answer.json()["versions"] == [version]

    until(so, f"an answer of {version}", timeout=10)


def test_an_idle_object_writes_and_asks_nothing(stage: Stage) -> None:
    way = Way("idle", ENVOY_ROUTE.provider, ENVOY_ROUTE.gateway, mirrors=True)
    stage.serve(way)
    time.sleep(5)

    before = asked(stage)
    time.sleep(8)
    after = asked(stage)

    assert after == before


def asked(stage: Stage) -> dict[str, str]:
    """What the operator has sent, by verb and kind, without what no provider is to blame for.

    Watches begin anew now and then, with a list; a status follows its metrics.
    """
    (pod,) = stage.place.installed.pods("operator")
    text = httpx.get(f"http://{pod['status']['podIP']}:8082/metrics", timeout=5).text
    lines = [
        line.rpartition(" ")
        for line in text.splitlines()
        if line.startswith("modeldeploy_api_requests_total{")
    ]
    told = (
        'kind="Event"',
        'kind="Lease"',
        'kind="TokenReview"',
        'verb="watch"',
        'verb="list"',
        'kind="ModelDeployment"',
    )
    return {name: count for name, _, count in lines if not any(one in name for one in told)}
