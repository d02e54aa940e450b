"""What a trigger is made of, and what a template may not ask for."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modeldeploy.api.v1alpha1.episode import Episode, EpisodeMetric
from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.render.meta import Owner, is_owned
from modeldeploy.render.retraining import cloud_event, job, made_object
from modeldeploy.render.retraining_template import object_problems, problems

pytestmark = pytest.mark.unit

OWNER = Owner("shop", "recogniser", "uid-1")
AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
EPISODE = Episode(
    id="20261122-120000",
    started_at=AT,
    revision="5d4c0a1b",
    model_version="v1",
    metrics=[
        EpisodeMetric(
            name="nulls",
            category=Category.OUTPUT,
            value="24%",
            samples=412,
            window="2m",
            statistic="Shiryaev-Roberts e-detector",
            reference="max 5%",
            message="nulls 24% of 412 answers (max 5%) at $(HOME)",
            at=AT,
        )
    ],
    data_from=AT - timedelta(minutes=2),
    data_to=AT,
)
WHERE = "spec.retraining.trigger.job.template"


def template(meta: dict[str, Any] | None = None, **pod: Any) -> dict[str, Any]:
    containers = [{"name": "train", "image": "trainer:1"}]
    spec = {"template": {"spec": {"containers": containers, **pod}}}
    return {"metadata": {"name": "retrain", **(meta or {})}, "spec": spec}


def containers(of: dict[str, Any], kind: str = "containers") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = of["spec"]["template"]["spec"][kind]
    return found


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container["env"]}


def test_a_job_of_the_template() -> None:
    made = job(OWNER, EPISODE, template({"labels": {"team": "ml"}, "annotations": {"note": "yes"}}))
    meta = made["metadata"]
    assert (made["apiVersion"], made["kind"], meta["namespace"]) == ("batch/v1", "Job", "shop")
    assert meta["name"].startswith("retrain-")
    assert len(meta["name"]) == len("retrain-") + 10
    assert is_owned(meta, OWNER)
    assert meta["labels"] == {
        "team": "ml",
        "app.kubernetes.io/managed-by": "modeldeploy",
        "modeldeploy.dev/name": "recogniser",
        "modeldeploy.dev/component": "retraining",
    }
    assert meta["annotations"] == {"note": "yes"}
    assert made["spec"]["ttlSecondsAfterFinished"] == 604800
    assert made["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_its_pods_carry_no_label_by_which_a_service_finds_models() -> None:
    assert "metadata" not in job(OWNER, EPISODE, template())["spec"]["template"]


def test_every_container_is_told_what_it_is_about() -> None:
    made = job(OWNER, EPISODE, template(initContainers=[{"name": "fetch", "image": "fetch:1"}]))
    for kind in ("containers", "initContainers"):
        known = variables(containers(made, kind)[0])
        assert (known["MODELDEPLOY_NAMESPACE"], known["MODELDEPLOY_NAME"]) == ("shop", "recogniser")
        assert (known["MODELDEPLOY_EPISODE"], known["MODELDEPLOY_REVISION"]) == (EPISODE.id, "5d4c0a1b")
        assert known["MODELDEPLOY_MODEL_VERSION"] == "v1"
        assert known["MODELDEPLOY_DATA_FROM"] == "2026-11-22T11:58:00Z"
        (metric,) = json.loads(known["MODELDEPLOY_METRICS"])
        assert (metric["name"], metric["value"], metric["samples"]) == ("nulls", "24%", 412)
        assert "$$(HOME)" in metric["message"], "the kubelet would put a variable in its place"


def test_the_user_has_the_last_word() -> None:
    mine = template()
    mine["spec"] |= {"ttlSecondsAfterFinished": 60, "backoffLimit": 2}
    mine["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    containers(mine)[0]["env"] = [{"name": "MODELDEPLOY_NAME", "value": "other"}, {"name": "A", "value": "1"}]
    made = job(OWNER, EPISODE, mine)
    assert (made["spec"]["ttlSecondsAfterFinished"], made["spec"]["backoffLimit"]) == (60, 2)
    assert made["spec"]["template"]["spec"]["restartPolicy"] == "OnFailure"
    assert variables(containers(made)[0])["MODELDEPLOY_NAME"] == "other"
    assert variables(containers(made)[0])["A"] == "1"


def test_the_name_is_the_episodes() -> None:
    names = {
        job(owner, episode, template())["metadata"]["name"]
        for owner in (OWNER, Owner("shop", "recogniser", "uid-2"))
        for episode in (EPISODE, EPISODE, EPISODE.model_copy(update={"id": "20261123-120000"}))
    }
    assert len(names) == 4


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({}, ".metadata.name: is missing; name the Jobs"),
        ({}, ".spec.template.spec.containers: is missing or no list; add the container that retrains"),
        (template({"name": ""}), ".metadata.name: is missing"),
        (template({"name": "Retrain"}), ".metadata.name: Retrain cannot begin the name of a Job"),
        (template({"name": "r" * 53}), "use at most 52 small letters"),
        (template({"name": 7}), ".metadata.name: is missing"),
        (template({"namespace": "other"}), ".metadata.namespace: only name, labels and annotations"),
        (template({"ownerReferences": []}), ".metadata.ownerReferences: only name, labels"),
        (template({"labels": "none"}), ".metadata.labels: is no map"),
        ({**template(), "kind": "Job"}, ".kind: a template has metadata and spec only; remove it"),
        (template(containers=[]), ".spec.template.spec.containers: is missing"),
        (template(hostNetwork=True), ".spec.template.spec.hostNetwork: gives access to the host; remove it"),
        (template(hostPID=True), ".spec.template.spec.hostPID: gives access to the host"),
        (template(hostIPC=True), ".spec.template.spec.hostIPC: gives access to the host"),
        (
            template(volumes=[{"name": "a"}, {"name": "b", "hostPath": {"path": "/"}}]),
            ".spec.template.spec.volumes[1].hostPath: gives access to the host",
        ),
        (
            template(containers=[{"name": "a", "securityContext": {"privileged": True}}]),
            ".spec.template.spec.containers[0].securityContext.privileged: gives access to the host",
        ),
        (
            template(initContainers=[{"name": "a", "securityContext": {"privileged": True}}]),
            ".spec.template.spec.initContainers[0].securityContext.privileged",
        ),
        (
            template(containers=[{"name": "a", "ports": [{"hostPort": 80}]}]),
            ".spec.template.spec.containers[0].ports: hostPort gives access to the host; remove it",
        ),
        (
            template(securityContext={"windowsOptions": {"hostProcess": True}}),
            ".spec.template.spec.securityContext.windowsOptions.hostProcess: gives access to the host",
        ),
    ],
)
def test_what_a_template_may_not_say(wrong: dict[str, Any], told: str) -> None:
    found = problems(wrong)
    assert all(one.startswith(WHERE) for one in found)
    assert any(told in one for one in found), found


@pytest.mark.parametrize(
    "label", ["modeldeploy.dev/name", "modeldeploy.dev/revision", "app.kubernetes.io/managed-by"]
)
def test_labels_that_would_bring_its_pods_requests(label: str) -> None:
    wrong = template()
    wrong["spec"]["template"]["metadata"] = {"labels": {label: "recogniser", "team": "ml"}}
    assert problems(wrong) == (
        f"{WHERE}.spec.template.metadata.labels: {label} cannot be set by users; remove it",
    )


def test_a_good_one() -> None:
    assert problems(template({"labels": {"team": "ml"}}, volumes=[{"name": "a", "emptyDir": {}}])) == ()


FIELDS = [
    "metadata",
    "spec",
    "template",
    "name",
    "labels",
    "annotations",
    "containers",
    "initContainers",
    "env",
]
FIELDS += ["volumes", "ports", "securityContext", "hostPath", "restartPolicy"]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["retrain", "x", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)


@given(meta=values, spec=values, pod=st.dictionaries(st.sampled_from(FIELDS), values, max_size=4))
@example(meta=None, spec=None, pod={"initContainers": True})
def test_any_template_gets_an_answer_or_a_job(meta: Any, spec: Any, pod: dict[str, Any]) -> None:
    workflow = {**WORKFLOW, "metadata": meta, "spec": spec}
    if not object_problems(workflow, "shop", GRANTED):
        json.dumps(made_object(OWNER, EPISODE, workflow))
    for one in (
        {"metadata": meta, "spec": spec},
        {"metadata": meta, "spec": {"template": {"spec": pod}}},
        template(**pod),
    ):
        if not problems(one):
            json.dumps(job(OWNER, EPISODE, one))


WORKFLOW: dict[str, Any] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "metadata": {"name": "retrain", "labels": {"team": "ml"}},
    "spec": {
        "workflowTemplateRef": {"name": "train"},
        "arguments": {"parameters": [{"name": "since", "value": "$(MODELDEPLOY_DATA_FROM)"}]},
        "templates": [{"args": ["$(MODELDEPLOY_EPISODE) of $(MODELDEPLOY_NAME)", "$(HOME)", 7, None]}],
    },
}
GRANTED = {("argoproj.io/v1alpha1", "Workflow")}
OBJECT = "spec.retraining.trigger.object.template"


def test_an_object_of_another_controller() -> None:
    made = made_object(OWNER, EPISODE, WORKFLOW)
    assert (made["apiVersion"], made["kind"]) == ("argoproj.io/v1alpha1", "Workflow")
    meta = made["metadata"]
    assert meta["name"] == job(OWNER, EPISODE, template())["metadata"]["name"]
    assert meta["namespace"] == "shop"
    assert is_owned(meta, OWNER)
    assert meta["labels"]["team"] == "ml"
    assert meta["annotations"] == {"modeldeploy.dev/episode": EPISODE.id}
    assert made["spec"]["arguments"]["parameters"][0]["value"] == "2026-11-22T11:58:00Z"
    assert made["spec"]["templates"][0]["args"] == [f"{EPISODE.id} of recogniser", "$(HOME)", 7, None]
    assert WORKFLOW["metadata"] == {"name": "retrain", "labels": {"team": "ml"}}, "it stays as it is"


def test_a_good_object() -> None:
    assert object_problems(WORKFLOW, "shop", GRANTED) == ()
    here = {**WORKFLOW, "metadata": {"name": "retrain", "namespace": "shop"}}
    assert object_problems(here, "shop", GRANTED) == ()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"apiVersion": None}, ".apiVersion: is missing; write e.g. argoproj.io/v1alpha1"),
        ({"kind": ""}, ".kind: is missing; write e.g. Workflow"),
        ({"kind": ["Workflow"]}, ".kind: is missing"),
        ({"kind": "Pod", "apiVersion": "v1"}, ".kind: Pod of v1 is not among the kinds"),
        (
            {"kind": "CronWorkflow"},
            ".kind: CronWorkflow of argoproj.io/v1alpha1 is not among the kinds that the operator may make",
        ),
        ({"kind": "Job", "apiVersion": "batch/v1"}, ".kind: a Job is made by spec.retraining.trigger.job"),
        (
            {"metadata": {"name": "retrain", "namespace": "kube-system"}},
            ".metadata.namespace: kube-system is another namespace than the object's; remove it",
        ),
        ({"metadata": {}}, ".metadata.name: is missing; name the Workflows"),
        ({"metadata": {"generateName": "x"}}, ".metadata.generateName: only name, labels and annotations"),
        ({"metadata": {"name": "r", "ownerReferences": []}}, ".metadata.ownerReferences: only name"),
        ({"status": {}}, ".status: is its controller's to write; remove it"),
    ],
)
def test_what_an_object_may_not_say(changes: dict[str, Any], told: str) -> None:
    found = object_problems({**WORKFLOW, **changes}, "shop", GRANTED)
    assert all(one.startswith(OBJECT) for one in found)
    assert any(one.startswith(OBJECT + told) for one in found), found


def test_a_cloud_event() -> None:
    event = cloud_event(OWNER, EPISODE)
    data = event.pop("data")
    assert event == {
        "specversion": "1.0",
        "id": "uid-1.20261122-120000",
        "source": "/apis/modeldeploy.dev/v1alpha1/namespaces/shop/modeldeployments/recogniser",
        "type": "dev.modeldeploy.retraining.recommended",
        "subject": "recogniser",
        "time": "2026-11-22T12:00:00Z",
        "datacontenttype": "application/json",
    }
    assert (data["name"], data["episode"], data["revision"]) == ("recogniser", EPISODE.id, "5d4c0a1b")
    assert data["metrics"][0]["reference"] == "max 5%"
    assert (data["dataFrom"], data["dataTo"]) == ("2026-11-22T11:58:00Z", "2026-11-22T12:00:00Z")
