import pytest

from modeldeploy.api.v1alpha1.server import Server
from modeldeploy.api.v1alpha1.status import PreviewRoute
from modeldeploy.core.traffic import Split
from modeldeploy.render.meta import Owner
from modeldeploy.render.traffic.plain_service import NOBODY, ROUTE, STABLE, ports, services, tracks
from modeldeploy.render.workload import selector

pytestmark = pytest.mark.unit
OWNER = Owner("voice", "recogniser", "u1")
PORTS = ports(Server.model_validate({"image": "a"}))
ALONE = Split("aaaa", None, {"aaaa": 100})
WAITING = Split("aaaa", "bbbb", {"aaaa": 100})
CANARY = Split("aaaa", "bbbb", {"aaaa": 95, "bbbb": 5})


def led(split: Split) -> dict[str, str]:
    """Where each Service leads: the revision by the Service's name."""
    made = services(OWNER, split, PORTS) + tracks(OWNER, split, PORTS, "voice/mine")
    for item in made:
        revision = item["spec"]["selector"]["modeldeploy.dev/revision"]
        assert item["spec"]["selector"] == selector("recogniser", revision)
    return {item["metadata"]["name"]: item["spec"]["selector"]["modeldeploy.dev/revision"] for item in made}


def test_the_service_leads_to_stable_and_says_so() -> None:
    (lead,) = services(OWNER, CANARY, PORTS)

    assert lead["metadata"]["name"] == "recogniser"
    assert lead["metadata"]["annotations"] == {STABLE: "aaaa"}
    assert lead["spec"]["selector"] == selector("recogniser", "aaaa")
    assert lead["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]


def test_before_anything_serves_it_holds_the_name_and_leads_nowhere() -> None:
    (lead,) = services(OWNER, Split(None, "bbbb", {}), PORTS)

    assert lead["spec"]["selector"] == selector("recogniser", NOBODY)
    assert "annotations" not in lead["metadata"]


def test_a_preview_has_a_service_while_it_lasts() -> None:
    preview = Split("aaaa", "bbbb", {"aaaa": 100}, preview=PreviewRoute(header="x", value="y"))

    assert led(preview)["recogniser-preview"] == "bbbb"
    assert "recogniser-preview" not in led(WAITING)


@pytest.mark.parametrize(
    ("split", "stable", "candidate"),
    [
        (ALONE, "aaaa", "aaaa"),
        (WAITING, "aaaa", "aaaa"),
        (CANARY, "aaaa", "bbbb"),
        (Split("bbbb", None, {"bbbb": 100}), "bbbb", "bbbb"),
    ],
)
def test_no_weight_of_the_users_route_leads_to_pods_that_may_not_be_reached(
    split: Split, stable: str, candidate: str
) -> None:
    found = led(split)

    assert (found["recogniser-stable"], found["recogniser-candidate"]) == (stable, candidate)


def test_the_tracks_name_the_route_that_must_be_handed_back() -> None:
    held = tracks(OWNER, ALONE, PORTS, "voice/mine")
    free = tracks(OWNER, ALONE, PORTS)

    assert [item["metadata"]["annotations"][ROUTE] for item in held] == ["voice/mine"] * 2
    assert [item["metadata"]["annotations"][ROUTE] for item in free] == [""] * 2


def test_every_port_of_the_server_is_open_and_says_what_it_speaks() -> None:
    server = {"image": "a", "protocol": "HTTP2", "extraPorts": [{"name": "admin", "port": 9000}]}

    assert ports(Server.model_validate(server)) == [
        {
            "name": "http",
            "port": 80,
            "targetPort": "http",
            "protocol": "TCP",
            "appProtocol": "kubernetes.io/h2c",
        },
        {"name": "admin", "port": 9000, "targetPort": "admin", "protocol": "TCP"},
    ]
