from typing import Any

import pytest

from modeldeploy.api.v1alpha1.status import PreviewRoute
from modeldeploy.api.v1alpha1.traffic import Traffic
from modeldeploy.core.traffic import INCUMBENT, Split
from modeldeploy.render.meta import Owner
from modeldeploy.render.traffic.gateway_api import Features, duration, limits, routes

pytestmark = pytest.mark.unit
OWNER = Owner("voice", "recogniser", "u1")
ALL = Features(mirror=True, percent=True, timeout=True, sticky=True)
CANARY = Split("aaaa", "bbbb", {"aaaa": 95, "bbbb": 5})


def traffic(**more: Any) -> Traffic:
    gateway = {"parentRefs": [{"name": "public", "namespace": "infra", "sectionName": "http"}]}
    return Traffic.model_validate({"provider": "GatewayAPI", "gateway": gateway, **more})


def rules(wishes: Traffic, split: Split, features: Features = ALL) -> list[dict[str, Any]]:
    (route,) = routes(OWNER, wishes, split, features)
    found: list[dict[str, Any]] = route["spec"]["rules"]
    return found


def backend(name: str, weight: int, port: int = 80) -> dict[str, Any]:
    return {"group": "", "kind": "Service", "name": name, "port": port, "weight": weight}


def test_weights_are_those_of_the_split() -> None:
    (route,) = routes(OWNER, traffic(), CANARY, ALL)

    assert route["metadata"]["name"] == "recogniser"
    assert route["metadata"]["ownerReferences"][0]["uid"] == "u1"
    assert route["spec"]["rules"][0]["backendRefs"] == [
        backend("recogniser-aaaa", 95),
        backend("recogniser-bbbb", 5),
    ]


def test_the_route_hangs_at_the_gateways_named_with_all_defaults_stated() -> None:
    (route,) = routes(OWNER, traffic(), CANARY, ALL)

    assert route["spec"]["parentRefs"] == [
        {
            "group": "gateway.networking.k8s.io",
            "kind": "Gateway",
            "name": "public",
            "namespace": "infra",
            "sectionName": "http",
        }
    ]
    assert "hostnames" not in route["spec"]


def test_a_candidate_without_weight_is_known_to_the_gateway() -> None:
    (rule,) = rules(traffic(), Split("aaaa", "bbbb", {"aaaa": 100}))

    assert rule["backendRefs"][1] == backend("recogniser-bbbb", 0)


def test_before_anything_serves_there_is_no_route() -> None:
    assert routes(OWNER, traffic(), Split(None, "bbbb", {}), ALL) == []


def test_the_incumbents_own_service_is_a_backend() -> None:
    wishes = traffic(incumbent={"service": "people", "port": 8080})

    (rule,) = rules(wishes, Split(INCUMBENT, "bbbb", {INCUMBENT: 90, "bbbb": 10}))

    assert rule["backendRefs"] == [backend("people", 90, 8080), backend("recogniser-bbbb", 10)]


@pytest.mark.parametrize(
    ("percent", "features", "mirror"),
    [
        (30, ALL, {"percent": 30}),
        (100, ALL, {}),
        (100, Features(mirror=True), {}),
        (30, Features(mirror=True), None),
        (100, Features(), None),
    ],
)
def test_copies_as_far_as_the_class_can(percent: int, features: Features, mirror: Any) -> None:
    split = Split("aaaa", "bbbb", {"aaaa": 100}, mirror=percent)

    (rule,) = rules(traffic(), split, features)
    told = [one.reason for one in limits(traffic(), split, features, "public")]

    if mirror is None:
        assert "filters" not in rule
        assert told == ["MirrorNotSupported"]
    else:
        to = {"group": "", "kind": "Service", "name": "recogniser-bbbb", "port": 80}
        assert rule["filters"] == [
            {"type": "RequestMirror", "requestMirror": {"backendRef": to, **mirror}},
        ]
        assert told == []


def test_what_blocks_and_what_is_only_told() -> None:
    wishes = traffic(sticky=True, timeout="5s")

    found = limits(wishes, Split("aaaa", "bbbb", {"aaaa": 100}, mirror=20), Features(), "plain")

    assert {one.reason: one.blocks for one in found} == {
        "MirrorNotSupported": True,
        "TimeoutNotSupported": False,
        "StickyNotSupported": False,
    }
    assert all("plain" in one.message for one in found)


def test_a_preview_header_has_a_rule_of_its_own_that_moves_none_of_the_weights() -> None:
    preview = PreviewRoute(header="x-preview", value="yes")

    first, second = rules(traffic(), Split("aaaa", "bbbb", {"aaaa": 100}, preview=preview))

    assert [first] == rules(traffic(), Split("aaaa", "bbbb", {"aaaa": 100}))
    assert second["matches"] == [
        {
            "path": {"type": "PathPrefix", "value": "/"},
            "headers": [{"type": "Exact", "name": "x-preview", "value": "yes"}],
        }
    ]
    assert second["backendRefs"] == [backend("recogniser-bbbb", 1)]


def test_a_preview_host_name_has_a_route_of_its_own() -> None:
    split = Split("aaaa", "bbbb", {"aaaa": 100}, preview=PreviewRoute(hostname="next.example"))

    main, preview = routes(OWNER, traffic(), split, ALL)

    assert len(main["spec"]["rules"]) == 1
    assert preview["metadata"]["name"] == "recogniser-preview"
    assert preview["spec"]["hostnames"] == ["next.example"]
    assert preview["spec"]["rules"][0]["backendRefs"] == [backend("recogniser-bbbb", 1)]


def test_a_slow_model_is_waited_for_unless_the_user_says_how_long() -> None:
    assert rules(traffic(), CANARY)[0]["timeouts"] == {"request": "0s"}
    assert rules(traffic(timeout="90s"), CANARY)[0]["timeouts"] == {"request": "1m30s"}
    assert "timeouts" not in rules(traffic(timeout="90s"), CANARY, Features())[0]


def test_sessions_only_where_they_are_kept() -> None:
    assert rules(traffic(sticky=True), CANARY)[0]["sessionPersistence"]["type"] == "Cookie"
    assert "sessionPersistence" not in rules(traffic(sticky=True), CANARY, Features())[0]
    assert "sessionPersistence" not in rules(traffic(), CANARY)[0]


@pytest.mark.parametrize(
    ("value", "text"), [(0.25, "250ms"), (1, "1s"), (61.5, "1m1s500ms"), (7200, "120m"), (0.0001, "1ms")]
)
def test_durations_have_no_fractions(value: float, text: str) -> None:
    assert duration(value) == text


def test_features_by_their_published_names() -> None:
    names = ("HTTPRouteRequestMirror", "HTTPRouteRequestPercentageMirror", "HTTPRouteRequestTimeout")

    assert Features.of(names, sticky=True) == ALL
    assert Features.of(("HTTPRoute", "Gateway")) == Features()
