"""The pods that a revision gets, and what a user may change about them."""

from typing import Any

import pytest

from modeldeploy.api.v1alpha1.server import Server
from modeldeploy.core import naming
from modeldeploy.core.snapshot import Revision
from modeldeploy.render.merge import merge
from modeldeploy.render.meta import Owner, is_owned
from modeldeploy.render.revision import controller_revision, objects, read_controller_revision
from modeldeploy.render.workload import pod_template

pytestmark = pytest.mark.unit

OWNER = Owner("shop", "digits", "uid-1")


def server(**written: Any) -> Server:
    return Server.model_validate({"image": "digits:1", **written})


def revision(**written: Any) -> Revision:
    content = {"model": {"version": "v1"}, "server": {"image": "digits:1", **written}}
    return Revision("0a1b2c3d", 3, "v1", content, pod_template(server(**written)))


def model_container(template: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(
        one for one in template["spec"]["containers"] if one["name"] == naming.CONTAINER
    )
    return found


def by_kind(*, handed_over: bool = True, **written: Any) -> dict[str, dict[str, Any]]:
    made = objects(
        OWNER, revision(**written), server(**written), server(**written).replicas.min, handed_over=handed_over
    )
    return {item["kind"]: item for item in made}


def test_pods_are_restricted_by_default() -> None:
    template = pod_template(server())
    assert template["spec"]["securityContext"]["runAsNonRoot"]
    assert template["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert template["spec"]["automountServiceAccountToken"] is False
    container = model_container(template)
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_users_pod_template_has_the_last_word_and_adds_by_name() -> None:
    written = {
        "metadata": {"annotations": {"team": "vision"}},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [
                {"name": "model", "env": [{"name": "A", "value": "1"}], "livenessProbe": None},
                {"name": "sidecar", "image": "s"},
            ],
        },
    }
    template = pod_template(server(podTemplate=written))
    container = model_container(template)
    assert container["env"] == [{"name": "A", "value": "1"}]
    assert container["image"] == "digits:1"
    assert "livenessProbe" not in container
    assert [one["name"] for one in template["spec"]["containers"]] == ["model", "sidecar"]
    assert template["spec"]["terminationGracePeriodSeconds"] == 5
    assert template["metadata"]["annotations"]["team"] == "vision"


def test_a_custom_server_without_a_path_is_asked_for_a_connection() -> None:
    container = model_container(pod_template(server(runtime="Custom", port=9000)))
    assert container["readinessProbe"]["tcpSocket"] == {"port": "http"}
    assert container["ports"][0]["containerPort"] == 9000


def test_starting_pods_have_the_startup_timeout() -> None:
    probe = model_container(pod_template(server(startupTimeout="20m")))["startupProbe"]
    assert probe["failureThreshold"] * probe["periodSeconds"] == 1200


def test_labels_that_find_pods_cannot_be_taken_off() -> None:
    written = {"metadata": {"labels": {naming.REVISION: "stolen", naming.MANAGED_BY: "me", "mine": "1"}}}
    labels = by_kind(podTemplate=written)["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels == {
        naming.NAME: "digits",
        naming.REVISION: "0a1b2c3d",
        naming.MODEL_VERSION: "v1",
        naming.MANAGED_BY: "modeldeploy",
        "mine": "1",
    }


def test_replicas_belong_to_us_or_to_the_autoscaler() -> None:
    assert by_kind(replicas={"min": 3})["Deployment"]["spec"]["replicas"] == 3
    assert "HorizontalPodAutoscaler" not in by_kind(replicas={"min": 3, "max": 3})
    new = by_kind(replicas={"min": 2, "max": 5}, handed_over=False)
    assert new["Deployment"]["spec"]["replicas"] == 2
    assert "HorizontalPodAutoscaler" not in new
    handed = by_kind(replicas={"min": 2, "max": 5, "targetCPU": 60})
    assert "replicas" not in handed["Deployment"]["spec"]
    scaler = handed["HorizontalPodAutoscaler"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 5)
    assert scaler["metrics"][0]["resource"]["target"]["averageUtilization"] == 60


def test_every_object_has_its_owner() -> None:
    for item in by_kind(replicas={"min": 1, "max": 2}).values():
        assert item["metadata"]["name"] == "digits-0a1b2c3d"
        assert is_owned(item["metadata"], OWNER)
        assert not is_owned(item["metadata"], Owner("shop", "digits", "uid-2"))


def test_a_revision_survives_its_record() -> None:
    made = revision(podTemplate={"spec": {"nodeSelector": {"gpu": "yes"}}})
    assert read_controller_revision(controller_revision(OWNER, made)) == made


MERGES = {
    "a null removes": ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
    "maps merge": ({"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}),
    "plain lists are replaced": ({"args": ["a"]}, {"args": ["b"]}, {"args": ["b"]}),
    "a name that is no name is left for the API server to refuse": (
        {"containers": [{"name": "a"}]},
        {"containers": [{"name": ["a"]}]},
        {"containers": [{"name": ["a"]}]},
    ),
    "what stands twice is left twice": (
        {"volumes": []},
        {"volumes": [{"name": "a"}, {"name": "a"}]},
        {"volumes": [{"name": "a"}, {"name": "a"}]},
    ),
    "two of one name are left for the API server to refuse": (
        {"containers": [{"name": "model", "image": "a"}]},
        {"containers": [{"name": "model"}, {"name": "model"}]},
        {"containers": [{"name": "model"}, {"name": "model"}]},
    ),
    "mounts merge by path": (
        {"volumeMounts": [{"mountPath": "/a", "name": "v"}]},
        {"volumeMounts": [{"mountPath": "/a", "readOnly": True}, {"mountPath": "/b", "name": "w"}]},
        {
            "volumeMounts": [
                {"mountPath": "/a", "name": "v", "readOnly": True},
                {"mountPath": "/b", "name": "w"},
            ]
        },
    ),
    "ports merge by number, TCP unless told": (
        {"ports": [{"containerPort": 80, "protocol": "TCP", "name": "http"}]},
        {"ports": [{"containerPort": 80, "hostPort": 1}]},
        {"ports": [{"containerPort": 80, "protocol": "TCP", "name": "http", "hostPort": 1}]},
    ),
}


@pytest.mark.parametrize(("base", "over", "expected"), MERGES.values(), ids=MERGES)
def test_merging(base: Any, over: Any, expected: Any) -> None:
    assert merge(base, over) == expected
