"""Episodes on a real API server, with a real Prometheus: one trigger each, whoever is killed on the way."""

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from api.kill.operators import KILLED, Operator
from api.kill.scenarios import Status, manifest, serves
from api.kill.stage import Stage, stage
from api.kill.world import World
from cluster import Cluster
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.resources import (
    DEPLOYMENT,
    EVENT,
    HORIZONTAL_POD_AUTOSCALER,
    JOB,
    MODEL_DEPLOYMENT,
    Object,
    Resource,
)
from unit.adapters.prometheus_server import Page, program

pytestmark = [
    pytest.mark.api,
    pytest.mark.usefixtures("definition"),
    pytest.mark.skipif(program() is None, reason="Prometheus isn't installed (Debian package prometheus)"),
]

WORRY = {"name": "worry", "category": "Output", "query": "sum(worry)", "max": 5}
TEMPLATE: Object = {
    "metadata": {"name": "retrain"},
    "spec": {"template": {"spec": {"containers": [{"name": "train", "image": "localhost/none:train"}]}}},
}
BY_JOB: Object = {"mode": "Automatic", "trigger": {"job": {"template": TEMPLATE}}}


class Play:
    """A model that serves, and a world that changes."""

    def __init__(self, on: Stage, operator: Operator, page: Page, kube: Kube) -> None:
        self.on = on
        self.operator = operator
        self.kube = kube
        self._page = page

    async def begin(self, retraining: Object | None = None) -> None:
        self.worry(1)
        await self.operator.start()
        await self.apply("v1", retraining)
        await self.on.until(_passes, "the first version, judged")

    async def apply(self, version: str, retraining: Object | None) -> None:
        obj = manifest(version, [])
        obj["spec"]["rollout"] = {"strategy": "Immediate", "keepPrevious": "1s", "drain": "1s"}
        obj["spec"]["monitoring"] = {"interval": "1s", "window": "2s", "metrics": [WORRY]}
        obj["spec"] |= {"retraining": retraining} if retraining else {}
        await self.on.apply(obj)

    def worry(self, value: float) -> None:
        self._page.counters[f'worry{{namespace="{self.on.namespace}"}}'] = value

    async def until_triggered(self) -> Mapping[str, Any]:
        status = await self.on.until(
            lambda now: _trigger(now).get("outcome") == "Done", "a trigger that worked"
        )
        episode: Mapping[str, Any] = status["retraining"]["episode"]
        return episode

    async def jobs(self) -> list[Object]:
        return (await self.kube.list(JOB, self.on.namespace)).items

    async def tells(self, *reasons: str) -> None:
        """Wait for Events, which are posted after the status is written; no others came before them."""
        found: list[str] = []
        async with asyncio.timeout(20):
            while found != sorted(reasons):
                assert set(found) <= set(reasons), found
                await asyncio.sleep(0.1)
                items = (await self.kube.list(EVENT, self.on.namespace)).items
                found = sorted(one["reason"] for one in items if one["reason"].startswith("Retraining"))


@pytest_asyncio.fixture
async def play(
    watched: World, kubeconfig: Path, tmp_path: Path, page: Page, prometheus: str, kube: Kube
) -> AsyncIterator[Play]:
    operator = Operator(tmp_path, kubeconfig, "")
    async with stage(watched, [operator.xds_port]) as on:
        operator.namespace = on.namespace
        operator.settings = {"MODELDEPLOY_PROMETHEUS_URL": prometheus}
        on.trouble = lambda: _trouble(operator)
        try:
            yield Play(on, operator, page, kube)
        finally:
            await operator.stop()


def _trouble(operator: Operator) -> str | None:
    ended = operator.process and operator.process.returncode
    return None if ended is None else f"the operator ended with {ended}: {operator.log.read_text()[-2000:]}"


def _passes(status: Status) -> bool:
    return serves("v1")(status) and [one["verdict"] for one in status.get("metrics", ())] == ["Pass"]


def _trigger(status: Status) -> Mapping[str, Any]:
    found: Mapping[str, Any] = ((status.get("retraining") or {}).get("episode") or {}).get("trigger") or {}
    return found


def _condition(status: Status, kind: str) -> Mapping[str, Any]:
    return next((one for one in status.get("conditions", ()) if one["type"] == kind), {})


async def test_a_job_is_made_and_a_retrained_version_ends_the_episode(play: Play) -> None:
    await play.begin(BY_JOB)
    assert await play.jobs() == []
    play.worry(42)
    episode = await play.until_triggered()
    (made,) = await play.jobs()
    assert episode["trigger"]["message"] == f"Job {made['metadata']['name']} is made"
    (metric,) = episode["metrics"]
    assert (metric["name"], metric["value"], metric["reference"]) == ("worry", "42", "max 5")
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("ModelDeployment", "model", True)
    variables = made["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "MODELDEPLOY_EPISODE", "value": episode["id"]} in variables
    play.worry(1)
    await play.on.until(lambda now: not now.get("verdict", "").startswith("Breach"), "a world as it was")
    assert play.on.status["retraining"]["episode"]["id"] == episode["id"]
    await play.apply("v2", BY_JOB)
    status = await play.on.until(serves("v2"), "the retrained version")
    assert status["retraining"]["last"]["id"] == episode["id"]
    assert status["retraining"]["last"]["reason"] == "Retrained"
    assert _condition(status, "RetrainingRecommended") == {}
    assert len(await play.jobs()) == 1
    await play.tells("RetrainingRecommended", "RetrainingTriggered", "RetrainingClosed")


# The process that takes over asks about the template, and then writes: the intent, the Job and its outcome,
# with the Events in between.
FAULTS = [f"kill {when} {number}" for number, when in itertools.product((2, 3, 4), ("before", "after"))]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_killed_operator_neither_forgets_nor_doubles_it(play: Play, fault: str) -> None:
    await play.begin(BY_JOB)
    await play.operator.stop()
    await play.operator.start(fault)
    play.worry(42)
    async with asyncio.timeout(60):
        assert await play.operator.ended() == KILLED
    before = (play.on.status.get("retraining") or {}).get("episode")
    await play.operator.start()
    episode = await play.until_triggered()
    assert before is None or before["id"] == episode["id"]
    await play.operator.stop()
    await play.operator.start()
    await play.on.quiet()
    (made,) = await play.jobs()
    assert episode["trigger"]["message"] == f"Job {made['metadata']['name']} is made"
    assert play.on.status["retraining"]["episode"]["id"] == episode["id"]


@pytest.mark.parametrize("way", ["spec", "annotation"])
async def test_manual_waits_for_a_word(play: Play, way: str, control_plane: Cluster) -> None:
    wanted = {**BY_JOB, "mode": "Manual"}
    await play.begin(wanted)
    play.worry(42)
    status = await play.on.until(lambda now: (now.get("retraining") or {}).get("episode"), "an episode")
    episode = status["retraining"]["episode"]
    told = _condition(status, "RetrainingRecommended")
    assert told["message"].endswith(f"by the annotation modeldeploy.dev/acknowledge={episode['id']}")
    assert ("trigger" in episode, await play.jobs()) == (False, [])
    if way == "spec":
        await play.apply("v1", {**wanted, "acknowledge": episode["id"]})
    else:
        word = f"modeldeploy.dev/acknowledge={episode['id']}"
        control_plane.run_kubectl("annotate", "mdep", "model", word, f"--namespace={play.on.namespace}")
    status = await play.on.until(lambda now: now["retraining"].get("last"), "its end")
    assert status["retraining"]["last"]["reason"] == "Acknowledged"
    assert _condition(status, "RetrainingRecommended") == {}


Calls = list[tuple[Mapping[str, str], bytes]]


@pytest_asyncio.fixture
async def calls() -> Calls:
    return []


@pytest_asyncio.fixture
async def service(calls: Calls) -> AsyncIterator[str]:
    """`host:port` of a service that fails at first."""

    async def take(request: web.Request) -> web.Response:
        calls.append((dict(request.headers), await request.read()))
        return web.Response(status=500 if len(calls) == 1 else 202)

    app = web.Application()
    app.router.add_post("/retrain", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_webhook_is_called_until_it_takes_the_event(play: Play, service: str, calls: Calls) -> None:
    play.operator.settings = {
        **play.operator.settings,
        "MODELDEPLOY_RETRAINING_ALLOWED_HOSTS": service,
        "MODELDEPLOY_RETRAINING_SECRET_NAMES": "signs",
    }
    meta = {"name": "signs", "namespace": play.on.namespace}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"key": "of nobody"}}
    await play.kube.create(secret)
    hook = {"url": f"http://{service}/retrain", "secretName": "signs"}
    await play.begin({"mode": "Automatic", "trigger": {"webhook": hook}})
    play.worry(42)
    await play.on.until(lambda now: _trigger(now).get("outcome") == "Failed", "a call that failed")
    episode = await play.until_triggered()
    assert episode["trigger"]["attempts"] == len(calls) == 2
    for headers, body in calls:
        signed = hmac.new(b"of nobody", body, hashlib.sha256).hexdigest()
        assert headers["X-Hub-Signature-256"] == f"sha256={signed}"
        assert json.loads(body)["id"] == headers["Idempotency-Key"]
        assert json.loads(body)["data"]["episode"] == episode["id"]
    assert len({json.loads(body)["id"] for _, body in calls}) == 1
    await play.tells("RetrainingRecommended", "RetrainingTriggerFailed", "RetrainingTriggered")


def _of_pods(**changes: Any) -> Object:
    pod = {**TEMPLATE["spec"]["template"]["spec"], **changes}
    return {"trigger": {"job": {"template": {**TEMPLATE, "spec": {"template": {"spec": pod}}}}}}


OBJECT_FIELD = "spec.retraining.trigger.object.template"


def _of_kind(kind: str, version: str, **meta: str) -> Object:
    template = {"apiVersion": version, "kind": kind, "metadata": {"name": "retrain", **meta}}
    return {"trigger": {"object": {"template": template}}}


JOB_FIELD = "spec.retraining.trigger.job.template"
REFUSED: dict[str, tuple[Object, str]] = {
    "a forbidden host": (
        {"trigger": {"webhook": {"url": "http://169.254.169.254/latest"}}},
        (
            "spec.retraining.trigger.webhook.url: 169.254.169.254 is not on the operator's allow-list; "
            "add it to the chart value retraining.allowedHosts"
        ),
    ),
    "a Secret out of reach": (
        {"trigger": {"webhook": {"url": "http://127.0.0.1:1/", "secretName": "other"}}},
        "the operator may not read Secret other; add it to the chart value retraining.secretNames",
    ),
    "no name": (
        {"trigger": {"job": {"template": {**TEMPLATE, "metadata": {}}}}},
        f"{JOB_FIELD}.metadata.name: is missing; name the Jobs",
    ),
    "the host's network": (
        _of_pods(hostNetwork=True),
        f"{JOB_FIELD}.spec.template.spec.hostNetwork: gives access to the host; remove it",
    ),
    "no container": (
        _of_pods(containers=[]),
        f"{JOB_FIELD}.spec.template.spec.containers: is missing or no list; add the container",
    ),
    "an unknown field": (
        _of_pods(colour="blue"),
        f"{JOB_FIELD}: the API server refuses it: ",
    ),
    "an object without a kind": (
        {"trigger": {"object": {"template": {"metadata": {"name": "retrain"}}}}},
        f"{OBJECT_FIELD}.kind: is missing; write e.g. Workflow",
    ),
    "a kind that was not granted": (
        _of_kind("Pod", "v1"),
        f"{OBJECT_FIELD}.kind: Pod of v1 is not among the kinds that the operator may make; add it to the ",
    ),
    "a kind that is not there": (
        _of_kind("Workflow", "nobody.example/v1"),
        f"{OBJECT_FIELD}: the cluster keeps no workflows of nobody.example/v1 in namespaces; install",
    ),
    "another namespace": (
        _of_kind("Workflow", "nobody.example/v1", namespace="kube-system"),
        f"{OBJECT_FIELD}.metadata.namespace: kube-system is another namespace than the object's; remove it",
    ),
    "a container without an image": (
        _of_pods(containers=[{"name": "train"}]),
        "spec.template.spec.containers[0].image: Required value",
    ),
}


def _says(kind: str, told: str) -> Callable[[Status], bool]:
    return lambda status: told in _condition(status, kind).get("message", "")


async def test_what_cannot_be_run_is_said_within_five_seconds(play: Play) -> None:
    granted = {"MODELDEPLOY_RETRAINING_OBJECTS": "nobody.example/v1/Workflow/workflows"}
    play.operator.settings = {**play.operator.settings, **granted}
    await play.begin()
    before = (await play.kube.list(DEPLOYMENT, play.on.namespace)).items
    for name, (retraining, told) in REFUSED.items():
        applied = time.monotonic()
        await play.apply("v1", retraining)
        status = await play.on.until(
            _says("RetrainingReady", told),
            name,
        )
        taken = time.monotonic() - applied
        print(f"{name}: {taken:.2f} s: {_condition(status, 'RetrainingReady')['message']}")
        assert taken < 5
        assert _condition(status, "RetrainingReady")["reason"] == "InvalidTrigger"
        assert _condition(status, "Ready")["status"] == "True"
    after = (await play.kube.list(DEPLOYMENT, play.on.namespace)).items
    generations = [[one["metadata"]["generation"] for one in found] for found in (before, after)]
    assert generations[0] == generations[1]
    await play.apply("v2", _of_pods(hostNetwork=True))
    status = await play.on.until(serves("v2"), "a rollout with a wrong trigger")
    assert _condition(status, "RetrainingReady")["status"] == "False"
    await play.apply("v2", BY_JOB)
    mended = {"reason": "TriggerAccepted"}.items()
    await play.on.until(lambda now: mended <= _condition(now, "RetrainingReady").items(), "a mended spec")
    assert await play.jobs() == []


async def test_pods_are_raised_within_limits_and_handed_back(play: Play) -> None:
    """Bounds that lack capacity, on an autoscaler and without one, and whose they are."""

    async def apply(replicas: Object) -> None:
        obj = manifest("v1", [])
        obj["spec"]["rollout"] = {"strategy": "Immediate", "keepPrevious": "1s", "drain": "1s"}
        obj["spec"]["server"] |= {"replicas": replicas, "resources": {"requests": {"cpu": "10m"}}}
        metrics = [{**WORRY, "category": "Software"}]
        obj["spec"]["monitoring"] = {"interval": "1s", "window": "2s", "metrics": metrics}
        obj["spec"]["adapt"] = {"mode": "Automatic", "maxReplicas": 4, "cooldown": "1s"}
        await play.on.apply(obj)

    async def eventually(resource: Resource, **fields: int) -> None:
        async with asyncio.timeout(20):
            while True:
                items = (await play.kube.list(resource, play.on.namespace)).items
                if any(fields.items() <= one["spec"].items() for one in items):
                    return
                await asyncio.sleep(0.1)

    play.worry(1)
    await play.operator.start()
    await apply({"min": 1})
    await play.on.until(_passes, "the first version, judged")
    play.worry(42)
    status = await play.on.until(lambda now: _holds(now, 4), "as many pods as allowed")
    assert _condition(status, "CapacityShort")["status"] == "True"
    await eventually(DEPLOYMENT, replicas=4)
    play.worry(1)
    await play.on.until(lambda now: not now.get("verdict", "").startswith("Breach"), "a world as it was")
    await apply({"min": 1, "max": 3})
    await play.on.until(lambda now: "adaptation" not in now, "the spec's own bounds")
    await eventually(HORIZONTAL_POD_AUTOSCALER, minReplicas=1, maxReplicas=3)
    play.worry(42)
    await play.on.until(lambda now: _holds(now, 4), "a raised upper bound")
    await eventually(HORIZONTAL_POD_AUTOSCALER, maxReplicas=4)


def _holds(status: Status, most: int) -> bool:
    return (status.get("adaptation") or {}).get("max") == most


async def test_what_was_there_before_stays_without_the_field(play: Play) -> None:
    await play.begin()
    play.worry(42)
    status = await play.on.until(lambda now: _condition(now, "RetrainingRecommended"), "the flag")
    assert "retraining" not in status
    play.worry(1)
    await play.on.until(lambda now: not _condition(now, "RetrainingRecommended"), "the flag's end")
    found = await play.kube.get(MODEL_DEPLOYMENT, play.on.namespace, "model")
    assert "retraining" not in found["status"]
