from typing import Any

import pytest

from modeldeploy.api.v1alpha1.status import PreviewRoute
from modeldeploy.api.v1alpha1.traffic import Traffic
from modeldeploy.core.traffic import INCUMBENT, Split
from modeldeploy.render.meta import Owner
from modeldeploy.render.traffic.traefik import services

pytestmark = pytest.mark.unit
OWNER = Owner("voice", "recogniser", "u1")


def made(split: Split, **more: Any) -> dict[str, Any]:
    traffic = Traffic.model_validate({"provider": "Traefik", **more})
    found = services(OWNER, traffic, split)
    return {item["metadata"]["name"]: item["spec"] for item in found}


def to(name: str, **more: Any) -> dict[str, Any]:
    return {"kind": "Service", "name": name, "port": 80, **more}


def test_weights_are_those_of_the_split() -> None:
    found = made(Split("aaaa", "bbbb", {"aaaa": 95, "bbbb": 5}))

    assert found == {
        "recogniser": {
            "weighted": {
                "services": [
                    to("recogniser-aaaa", weight=95),
                    to("recogniser-bbbb", nativeLB=True, weight=5),
                ],
            }
        }
    }


def test_a_candidate_without_a_share_is_not_named() -> None:
    found = made(Split("aaaa", "bbbb", {"aaaa": 100}))

    assert found["recogniser"]["weighted"]["services"] == [to("recogniser-aaaa", weight=100)]


def test_copies_pass_through_a_service_that_is_made_first() -> None:
    found = made(Split("aaaa", "bbbb", {"aaaa": 100}, mirror=30))

    assert list(found) == ["recogniser-shadow", "recogniser"]
    assert found["recogniser-shadow"] == {
        "mirroring": to("recogniser-aaaa", mirrors=[to("recogniser-bbbb", nativeLB=True, percent=30)])
    }
    assert found["recogniser"]["weighted"]["services"] == [
        {"kind": "TraefikService", "name": "recogniser-shadow", "weight": 100},
    ]


def test_a_preview_is_a_service_of_its_own() -> None:
    found = made(Split("aaaa", "bbbb", {"aaaa": 100}, preview=PreviewRoute(header="x", value="y")))

    assert found["recogniser-preview"] == {
        "weighted": {"services": [to("recogniser-bbbb", nativeLB=True, weight=1)]}
    }


def test_a_cookie_keeps_clients_at_a_revision() -> None:
    cookie = {"name": "modeldeploy-recogniser", "httpOnly": True, "path": "/"}

    assert made(Split("aaaa", None, {"aaaa": 100}), sticky=True)["recogniser"]["weighted"]["sticky"] == {
        "cookie": cookie
    }


def test_an_incumbent_is_a_service_of_the_users() -> None:
    found = made(Split(INCUMBENT, None, {INCUMBENT: 100}), incumbent={"service": "people", "port": 81})

    assert found["recogniser"]["weighted"]["services"] == [
        {"kind": "Service", "name": "people", "port": 81, "weight": 100}
    ]


def test_before_anything_serves_there_is_nothing() -> None:
    assert made(Split(None, "bbbb", {})) == {}
