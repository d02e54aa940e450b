import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy.adapters.xds.resources import pack
from modeldeploy.render.traffic.envoy import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from modeldeploy.render.traffic.model import Backend, Endpoint, RoutedModel
from modeldeploy.render.traffic.router import resources

pytestmark = pytest.mark.unit


def backend(revision: str, weight: int, *endpoints: Endpoint, cluster_ip: str = "10.96.0.9") -> Backend:
    return Backend(revision, weight, cluster_ip, 80, endpoints)


def model(*backends: Backend, **more: Any) -> RoutedModel:
    return RoutedModel("voice", "recogniser", 10001, 7, backends, **more)


def target(made: RoutedModel) -> dict[str, Any]:
    hosts = resources([made])[ROUTES]["voice/recogniser"]["virtual_hosts"]
    found: dict[str, Any] = hosts[1]["routes"][0]
    assert hosts[1]["domains"] == ["*"]
    return found


def addresses(made: RoutedModel, priority: int) -> list[str]:
    assignment = resources([made])[ENDPOINTS]["voice/recogniser/r1"]["endpoints"][priority]
    assert assignment["priority"] == priority
    found = [item["endpoint"]["address"]["socket_address"] for item in assignment["lb_endpoints"]]
    return [f"{address['address']}:{address['port_value']}" for address in found]


def test_a_revision_without_weight_is_known_but_gets_nothing() -> None:
    made = model(backend("r1", 0), backend("r2", 100))

    assert set(resources([made])[CLUSTER]) == {"voice/recogniser/r1", "voice/recogniser/r2"}
    weighted = target(made)["route"]["weighted_clusters"]["clusters"]
    assert [(item["name"], item["weight"]) for item in weighted] == [("voice/recogniser/r2", 100)]


def test_the_answer_names_its_revision() -> None:
    first, second = target(model(backend("r1", 5), backend("r2", 95)))["route"]["weighted_clusters"][
        "clusters"
    ]

    assert first["response_headers_to_add"][0]["header"] == {"key": "x-modeldeploy-revision", "value": "r1"}
    assert second["response_headers_to_add"][0]["header"]["value"] == "r2"


def test_without_weights_the_answer_is_503() -> None:
    assert target(model(backend("r1", 0)))["direct_response"]["status"] == 503
    assert target(model())["direct_response"]["status"] == 503


def test_the_generation_is_told_by_the_same_table() -> None:
    host = resources([model(backend("r1", 1))])[ROUTES]["voice/recogniser"]["virtual_hosts"][0]

    assert host["domains"] == ["generation.modeldeploy.internal"]
    assert host["routes"][0]["direct_response"] == {"status": 200, "body": {"inline_string": "7"}}


def test_only_ready_pods_come_first_and_the_service_comes_second() -> None:
    made = model(backend("r1", 1, Endpoint("10.0.0.2", 8080), Endpoint("10.0.0.1", 8080, ready=False)))

    assert addresses(made, 0) == ["10.0.0.2:8080"]
    assert addresses(made, 1) == ["10.96.0.9:80"]


def test_a_service_without_address_is_left_out() -> None:
    assert addresses(model(backend("r1", 1, cluster_ip="")), 1) == []


def test_the_order_in_which_pods_are_seen_changes_nothing() -> None:
    pods = [Endpoint("10.0.0.2", 8080), Endpoint("10.0.0.1", 8080), Endpoint("10.0.0.2", 8080)]

    assert resources([model(backend("r1", 1, *pods))]) == resources([model(backend("r1", 1, *pods[1:]))])


def test_a_listener_is_the_same_whatever_moves() -> None:
    before = resources([model(backend("r1", 1))])[LISTENER]
    after = resources([model(backend("r2", 50), backend("r3", 50), timeout_s=3.0)])[LISTENER]

    assert before == after


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [(None, ("0s", "600s")), (0.0, ("0s", "600s")), (1.5, ("1.5s", "0s")), (60, ("60s", "0s"))],
)
def test_an_answer_has_a_time_limit_or_an_idle_limit(
    timeout: float | None, expected: tuple[str, str]
) -> None:
    route = target(model(backend("r1", 1), timeout_s=timeout))["route"]

    assert (route["timeout"], route["idle_timeout"]) == expected


def test_nothing_that_may_have_reached_a_model_is_retried() -> None:
    policy = target(model(backend("r1", 1)))["route"]["retry_policy"]

    assert policy["retry_on"].split(",") == ["connect-failure", "refused-stream", "reset-before-request"]


names = st.from_regex(r"[a-z]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
pods = st.builds(
    Endpoint, st.ip_addresses().map(str), st.integers(min_value=1, max_value=65535), ready=st.booleans()
)
backends = st.builds(
    Backend,
    st.from_regex(r"[0-9a-f]{8}", fullmatch=True),
    st.integers(min_value=0, max_value=100),
    st.ip_addresses().map(str) | st.just(""),
    st.integers(min_value=1, max_value=65535),
    st.lists(pods, max_size=4).map(tuple),
)
models = st.builds(
    RoutedModel,
    names,
    names,
    st.integers(min_value=1024, max_value=65535),
    st.integers(min_value=0, max_value=2**53),
    st.lists(backends, max_size=3, unique_by=lambda made: made.revision).map(tuple),
    st.none() | st.floats(min_value=0, max_value=86400),
)


@given(models)
def test_every_model_gives_messages_that_the_protos_admit(made: RoutedModel) -> None:
    found = resources([made])

    for type_url, by_name in found.items():
        for name, content in by_name.items():
            assert content.get("name", content.get("cluster_name")) == name
            assert pack(type_url, json.loads(json.dumps(content))).type_url == type_url
    assert found[CLUSTER].keys() == found[ENDPOINTS].keys()
