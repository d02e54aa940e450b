import copy
from typing import Any

import pytest

from modeldeploy.api.v1alpha1.traffic import Traffic
from modeldeploy.core.traffic import INCUMBENT, Split
from modeldeploy.render.meta import Owner
from modeldeploy.render.traffic.route_ref import granted, leads_here, limits, patch, weights

pytestmark = pytest.mark.unit
OWNER = Owner("voice", "recogniser", "u1")


def backend(name: str, weight: int | None = None, **more: Any) -> dict[str, Any]:
    found = {"kind": "Service", "name": name, "port": 80, **more}
    return found | ({} if weight is None else {"weight": weight})


def route(*rules: list[dict[str, Any]], namespace: str = "voice") -> dict[str, Any]:
    return {
        "metadata": {"name": "mine", "namespace": namespace, "resourceVersion": "7"},
        "spec": {"rules": [{"backendRefs": rule} for rule in rules]},
    }


TRACKS = [backend("recogniser-stable", 100), backend("recogniser-candidate", 0)]


def test_only_weights_are_set_and_only_on_the_version_that_was_read() -> None:
    found = route([backend("static", 1)], TRACKS)

    assert patch(found, OWNER, (95, 5)) == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "add", "path": "/spec/rules/1/backendRefs/0/weight", "value": 95},
        {"op": "add", "path": "/spec/rules/1/backendRefs/1/weight", "value": 5},
    ]


def test_weights_that_stand_are_not_written() -> None:
    assert patch(route(TRACKS), OWNER, (100, 0)) == []


def test_a_weight_that_is_not_written_counts_as_one() -> None:
    found = route([backend("recogniser-candidate"), backend("recogniser-stable")])

    assert [one["path"] for one in patch(found, OWNER, (1, 1))] == []
    assert len(patch(found, OWNER, (100, 0))) == 3


def test_the_order_of_the_backends_does_not_matter() -> None:
    found = route(TRACKS[::-1])

    assert [(one["path"], one["value"]) for one in patch(found, OWNER, (60, 40))[1:]] == [
        ("/spec/rules/0/backendRefs/1/weight", 60),
        ("/spec/rules/0/backendRefs/0/weight", 40),
    ]


@pytest.mark.parametrize(
    "rule",
    [
        [backend("recogniser-stable", 100)],
        [backend("recogniser-stable", 100), backend("recogniser-candidate", 0, namespace="other")],
        [backend("recogniser-stable", 100), backend("recogniser-candidate", 0, kind="Backend")],
    ],
)
def test_a_rule_without_both_tracks_is_not_ours_to_weigh(rule: list[dict[str, Any]]) -> None:
    found = route(rule)
    before = copy.deepcopy(found)

    assert not leads_here(found, OWNER)
    assert patch(found, OWNER, (50, 50)) == []
    assert found == before


def test_from_another_namespace_the_backends_must_name_ours() -> None:
    there = [backend(one["name"], namespace="voice") for one in TRACKS]

    assert leads_here(route(there, namespace="edge"), OWNER)
    assert not leads_here(route(TRACKS, namespace="edge"), OWNER)


@pytest.mark.parametrize(
    ("split", "shares"),
    [
        (Split("aaaa", None, {"aaaa": 100}), (100, 0)),
        (Split("aaaa", "bbbb", {"aaaa": 100}), (100, 0)),
        (Split("aaaa", "bbbb", {"aaaa": 95, "bbbb": 5}), (95, 5)),
        (Split("aaaa", "bbbb", {"bbbb": 100}), (0, 100)),
    ],
)
def test_shares_of_the_tracks(split: Split, shares: tuple[int, int]) -> None:
    assert weights(split) == shares


def grant(namespace: str = "edge", **to: str) -> dict[str, Any]:
    source = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": namespace}
    return {"spec": {"from": [source], "to": [{"group": "", "kind": "Service", **to}]}}


@pytest.mark.parametrize(
    ("grants", "allowed"),
    [
        ([], False),
        ([grant()], True),
        ([grant("elsewhere")], False),
        ([grant(name="recogniser-stable")], False),
        ([grant(name="recogniser-stable"), grant(name="recogniser-candidate")], True),
        ([grant(kind="Secret")], False),
    ],
)
def test_another_namespace_needs_a_grant_for_both_services(
    grants: list[dict[str, Any]],
    allowed: bool,  # noqa: FBT001
) -> None:
    assert granted(grants, "edge", OWNER) is allowed


def test_what_weights_cannot_do_is_told() -> None:
    wishes = {"provider": "GatewayAPI", "routeRef": {"name": "mine"}, "sticky": True, "timeout": "5s"}
    traffic = Traffic.model_validate(wishes)

    found = limits(traffic, Split(INCUMBENT, "bbbb", {INCUMBENT: 100}, mirror=10), "voice/mine")

    assert {one.reason: one.blocks for one in found} == {
        "IncumbentNotSupported": True,
        "MirrorNotSupported": True,
        "TimeoutNotSupported": False,
        "StickyNotSupported": False,
    }
    assert all("voice/mine" in one.message for one in found)
