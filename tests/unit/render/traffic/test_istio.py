"""The VirtualService in full; that the published schema takes it is asked in tests/api/test_routes.py."""

from typing import Any

import pytest

from modeldeploy.api.v1alpha1.status import PreviewRoute
from modeldeploy.api.v1alpha1.traffic import Traffic
from modeldeploy.core.traffic import Split
from modeldeploy.render.meta import Owner
from modeldeploy.render.traffic.istio import limits, virtual_services

pytestmark = pytest.mark.unit
OWNER = Owner("voice", "recogniser", "u1")


def traffic(**more: Any) -> Traffic:
    parents = [{"name": "public", "namespace": "infra"}, {"name": "near"}]
    gateway = {"parentRefs": parents, "hostnames": ["m.example"]}
    return Traffic.model_validate({"provider": "IstioVirtualService", "gateway": gateway, **more})


def to(name: str, **more: Any) -> dict[str, Any]:
    host = f"{name}.voice.svc.cluster.local"
    return {"destination": {"host": host, "port": {"number": 80}}, **more}


def test_a_canary() -> None:
    (found,) = virtual_services(OWNER, traffic(), Split("aaaa", "bbbb", {"aaaa": 95, "bbbb": 5}))

    assert (found["apiVersion"], found["kind"]) == ("networking.istio.io/v1", "VirtualService")
    assert found["metadata"]["name"] == "recogniser"
    assert found["spec"] == {
        "hosts": ["m.example"],
        "gateways": ["infra/public", "voice/near"],
        "http": [{"route": [to("recogniser-aaaa", weight=95), to("recogniser-bbbb", weight=5)]}],
    }


def test_a_shadow_with_a_time_limit() -> None:
    split = Split("aaaa", "bbbb", {"aaaa": 100}, mirror=30)

    (found,) = virtual_services(OWNER, traffic(timeout="90s"), split)

    assert found["spec"]["http"] == [
        {
            "route": [to("recogniser-aaaa", weight=100), to("recogniser-bbbb", weight=0)],
            "mirrors": [to("recogniser-bbbb", percentage={"value": 30})],
            "timeout": "1m30s",
        }
    ]


def test_a_preview_by_header_and_by_host_name() -> None:
    preview = PreviewRoute(header="X-Preview", value="yes", hostname="next.example")

    main, other = virtual_services(OWNER, traffic(), Split("aaaa", "bbbb", {"aaaa": 100}, preview=preview))

    assert main["spec"]["http"][0] == {
        "match": [{"headers": {"x-preview": {"exact": "yes"}}}],
        "route": [to("recogniser-bbbb")],
    }
    assert (other["metadata"]["name"], other["spec"]["hosts"]) == ("recogniser-preview", ["next.example"])
    assert other["spec"]["http"] == [{"route": [to("recogniser-bbbb")]}]


def test_before_anything_serves_there_is_nothing() -> None:
    assert virtual_services(OWNER, traffic(), Split(None, "bbbb", {})) == []


def test_what_it_cannot_do_is_told() -> None:
    assert limits(traffic()) == []
    assert [one.reason for one in limits(traffic(sticky=True))] == ["StickyNotSupported"]
