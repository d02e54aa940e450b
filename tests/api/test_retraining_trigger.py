"""Attempts at triggers that the API server thwarts, or that need no second."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from api.kube_objects import model_deployment
from cluster import Cluster
from modeldeploy.adapters.clock import SystemClock
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.config import api_client
from modeldeploy.adapters.kube.resources import JOB, Object, Resource
from modeldeploy.adapters.webhook import Webhook
from modeldeploy.api.v1alpha1.episode import Episode
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core.decision import Run
from modeldeploy.core.snapshot import Attempt
from modeldeploy.reconcile.observe import owner
from modeldeploy.reconcile.retraining import Retrainer
from modeldeploy.render.meta import Owner
from modeldeploy.render.retraining import job

pytestmark = [pytest.mark.api, pytest.mark.usefixtures("definition")]

EPISODE = Episode(
    id="20261122-120000",
    started_at=datetime(2026, 11, 22, 12, tzinfo=UTC),
    revision="5d4c0a1b",
    model_version="v1",
)
WORKFLOWS = Resource("argo.example/v1", "Workflow", "workflows")
WORKFLOW: Object = {
    "apiVersion": "argo.example/v1",
    "kind": "Workflow",
    "metadata": {"name": "retrain"},
    "spec": {"about": "$(MODELDEPLOY_EPISODE)"},
}
BY_OBJECT: Object = {"object": {"template": WORKFLOW}}
CONTAINERS = [{"name": "train", "image": "localhost/none:train"}]
TEMPLATE: Object = {
    "metadata": {"name": "retrain"},
    "spec": {"template": {"spec": {"containers": CONTAINERS}}},
}
A_JOB: Object = {"job": {"template": TEMPLATE}}


class Place:
    """Somewhere to retrain: an object, a service that is called, and who does it."""

    def __init__(self, of: Owner, kube: Kube, session: aiohttp.ClientSession, where: str) -> None:
        self.of = of
        self.url = f"http://{where}/"
        self.woken = asyncio.Event()
        self.retrainer = Retrainer(
            kube,
            Webhook(session, [where]),
            ["signs", "empty"],
            [WORKFLOWS, Resource("nobody.example/v1", "Nothing", "nothings")],
            SystemClock(),
            lambda _: self.woken.set(),
        )

    def spec(self, trigger: Object) -> ModelDeploymentSpec:
        written = model_deployment("", "")["spec"] | {"retraining": {"mode": "Automatic", "trigger": trigger}}
        return ModelDeploymentSpec.model_validate(written)

    async def attempt(self, trigger: Object, number: int = 1) -> Attempt:
        self.retrainer.start(self.of, self.spec(trigger), Run(EPISODE, number))
        assert self.retrainer.attempt(self.of) is None
        await asyncio.wait_for(self.woken.wait(), 20)
        self.woken.clear()
        found = self.retrainer.attempt(self.of)
        assert found
        assert (found.episode, found.number) == (EPISODE.id, number)
        return found


@pytest_asyncio.fixture
async def calls() -> list[bytes]:
    return []


@pytest_asyncio.fixture
async def place(kube: Kube, namespace: str, calls: list[bytes]) -> AsyncIterator[Place]:
    async def take(request: web.Request) -> web.Response:
        calls.append(await request.read())
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    of = owner(await kube.create(model_deployment(namespace, "model")))
    async with aiohttp.ClientSession() as session:
        yield Place(of, kube, session, f"127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()


@pytest_asyncio.fixture
async def nobody(kubeconfig: Path) -> AsyncIterator[Kube]:
    """A client without any right."""
    api = await api_client(kubeconfig)
    api.set_default_header("Impersonate-User", "nobody")
    made = Kube(api)
    yield made
    await made.close()


async def test_a_job_that_is_there_already_is_the_episodes_own(place: Place, kube: Kube) -> None:
    first, second = await place.attempt(A_JOB), await place.attempt(A_JOB, 2)
    assert first.done
    assert second.done
    (made,) = (await kube.list(JOB, place.of.namespace)).items
    assert first.message == second.message == f"Job {made['metadata']['name']} is made"


async def test_the_same_attempt_is_begun_once(place: Place, calls: list[bytes]) -> None:
    hook = {"webhook": {"url": place.url}}
    assert (await place.attempt(hook)).done
    place.retrainer.start(place.of, place.spec(hook), Run(EPISODE, 1))
    await asyncio.sleep(0.2)
    assert len(calls) == 1


async def test_somebody_elses_job_is_left_alone(place: Place, kube: Kube) -> None:
    foreign = job(place.of, EPISODE, TEMPLATE)
    del foreign["metadata"]["ownerReferences"]
    made = await kube.create(foreign)
    name = made["metadata"]["name"]
    found = await place.attempt(A_JOB)
    assert not found.done
    assert found.message == f"Job {name} is in the way: it exists and is not modeldeploy's; delete it"
    assert (await kube.get(JOB, place.of.namespace, name))["metadata"]["uid"] == made["metadata"]["uid"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("signs", "there is no Secret signs; create it with a key `key`"),
        ("empty", "Secret empty has no key `key`; add it"),
        (
            "other",
            (
                "spec.retraining.trigger.webhook.secretName: the operator may not read Secret other; "
                "add it to the chart value retraining.secretNames"
            ),
        ),
    ],
)
async def test_a_secret_that_cannot_sign(
    place: Place, kube: Kube, calls: list[bytes], name: str, told: str
) -> None:
    for there in ("empty", "other"):
        meta = {"name": there, "namespace": place.of.namespace}
        await kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta})
    found = await place.attempt({"webhook": {"url": place.url, "secretName": name}})
    assert (found.done, found.message) == (False, told)
    assert calls == []


async def test_who_no_longer_leads_calls_nobody(place: Place, kube: Kube, calls: list[bytes]) -> None:
    may_write, kube.may_write = kube.may_write, lambda: False
    try:
        for trigger in (A_JOB, {"webhook": {"url": place.url}}):
            place.retrainer.start(place.of, place.spec(trigger), Run(EPISODE, 1))
            await asyncio.sleep(0.2)
            assert (place.retrainer.attempt(place.of), place.woken.is_set()) == (None, False)
    finally:
        kube.may_write = may_write
    assert calls == []
    assert (await kube.list(JOB, place.of.namespace)).items == []


async def test_without_the_right_the_mend_is_said(place: Place, nobody: Kube) -> None:
    async with aiohttp.ClientSession() as session:
        poor = Place(place.of, nobody, session, "127.0.0.1:1")
        found = await poor.attempt(A_JOB)
        complaint, again = await poor.retrainer.fault(poor.of, poor.spec(A_JOB), 1)
        of_object, _ = await poor.retrainer.fault(poor.of, poor.spec(BY_OBJECT), 2)
        unread = await poor.attempt({"webhook": {"url": poor.url, "secretName": "signs"}}, 2)
    assert not found.done
    assert found.message == complaint
    assert again
    assert "cannot create resource" in str(complaint)
    assert str(complaint).endswith("set the chart value retraining.jobs to true")
    assert str(of_object).endswith("see that the chart value retraining.objects names its resource")
    assert unread.message.endswith("add it to the chart value retraining.secretNames")


async def test_a_quota_that_is_used_up_is_no_fault_of_the_spec(place: Place, control_plane: Cluster) -> None:
    where = f"--namespace={place.of.namespace}"
    control_plane.run_kubectl("create", "quota", "none", "--hard=count/jobs.batch=0", where)
    found = await place.attempt(A_JOB)
    assert not found.done
    assert "quota" in found.message
    complaint, again = await place.retrainer.fault(place.of, place.spec(A_JOB), 1)
    assert (complaint, again is None) == (None, False)


async def test_the_api_server_is_asked_when_the_trigger_changes(place: Place, kube: Kube) -> None:
    async def asked(trigger: dict[str, Any], generation: int) -> int:
        before = kube.requests["dryrun", "Job"]
        await place.retrainer.fault(place.of, place.spec(trigger), generation)
        return kube.requests["dryrun", "Job"] - before

    wrong = {"job": {"template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], "colour": "blue"}}}}
    triggers = (A_JOB, A_JOB, A_JOB, wrong, wrong, A_JOB)
    generations = (1, 1, 2, 3, 3, 4)
    counts = [await asked(*one) for one in zip(triggers, generations, strict=True)]
    assert counts == [1, 0, 0, 1, 0, 1]


@pytest.fixture
def workflows(control_plane: Cluster) -> Iterator[None]:
    """A kind of another controller."""
    spec = {"type": "object", "properties": {"about": {"type": "string"}}}
    schema = {"type": "object", "properties": {"spec": spec}}
    made = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "workflows.argo.example"},
        "spec": {
            "group": "argo.example",
            "names": {"kind": "Workflow", "plural": "workflows"},
            "scope": "Namespaced",
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }
    control_plane.run_kubectl("apply", "--filename=-", given=json.dumps(made))
    control_plane.await_kinds("crd/workflows.argo.example")
    yield
    control_plane.run_kubectl("delete", "crd/workflows.argo.example")


@pytest.mark.usefixtures("workflows")
async def test_an_object_of_another_controller_is_made_once(place: Place, kube: Kube) -> None:
    assert await place.retrainer.fault(place.of, place.spec(BY_OBJECT), 1) == (None, None)
    first, second = await place.attempt(BY_OBJECT), await place.attempt(BY_OBJECT, 2)
    (made,) = (await kube.list(WORKFLOWS, place.of.namespace)).items
    assert first.message == second.message == f"Workflow {made['metadata']['name']} is made"
    assert first.what == "Workflow"
    assert made["spec"] == {"about": EPISODE.id}
    assert made["metadata"]["ownerReferences"][0]["uid"] == place.of.uid
    unknown = {"object": {"template": {**WORKFLOW, "spec": {"about": "x", "colour": "blue"}}}}
    fault, again = await place.retrainer.fault(place.of, place.spec(unknown), 2)
    assert str(fault).startswith("spec.retraining.trigger.object.template: the API server refuses it: ")
    assert again


async def test_a_kind_that_is_not_there_is_named(place: Place) -> None:
    nothing = {**WORKFLOW, "apiVersion": "nobody.example/v1", "kind": "Nothing"}
    trigger = {"object": {"template": nothing}}
    fault, again = await place.retrainer.fault(place.of, place.spec(trigger), 1)
    attempted = await place.attempt(trigger)
    assert (fault, attempted.done) == (attempted.message, False)
    assert str(fault).startswith(
        "spec.retraining.trigger.object.template: the cluster keeps no nothings of nobody.example/v1"
    )
    assert again
