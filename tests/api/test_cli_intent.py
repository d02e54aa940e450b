"""`modeldeploy approve` and its kin against a real API server; an operator's answers are written here."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import pytest

from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.resources import MODEL_DEPLOYMENT, Object

pytestmark = [pytest.mark.api, pytest.mark.usefixtures("definition")]

STATUS = {
    "phase": "Paused",
    "candidate": {
        "revision": "9f1a0000",
        "modelVersion": "v2",
        "weight": 5,
        "step": 1,
        "progress": "1/2",
        "startedAt": "2026-11-22T15:09:18Z",
        "stepStartedAt": "2026-11-22T15:09:18Z",
    },
}


def digits(namespace: str) -> Object:
    return {
        "apiVersion": "modeldeploy.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "digits", "namespace": namespace},
        "spec": {"model": {"version": "v2"}, "server": {"image": "localhost/digits:v2"}},
    }


async def command(kubeconfig: Path, namespace: str, *words: str) -> Process:
    line = [sys.executable, "-m", "modeldeploy.cli", *words]
    where = [f"--kubeconfig={kubeconfig}", f"--namespace={namespace}"]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    return await asyncio.create_subprocess_exec(*line, *where, stdout=PIPE, stderr=PIPE, env=environment)


async def until_asked(kube: Kube, namespace: str, intent: str) -> tuple[Object, dict[str, Any]]:
    for _ in range(100):
        obj = await kube.get(MODEL_DEPLOYMENT, namespace, "digits")
        asked = (obj["spec"].get("rollout") or {}).get("control", {}).get(intent)
        if asked:
            return obj, asked
        await asyncio.sleep(0.1)
    raise AssertionError(f"{intent} was never asked for")


@pytest.mark.parametrize("accepted", [True, False])
async def test_tells_what_came_of_an_intent(
    kube: Kube,
    namespace: str,
    kubeconfig: Path,
    accepted: bool,  # noqa: FBT001
) -> None:
    made = await kube.create(digits(namespace))
    await kube.replace_status({**made, "status": STATUS})
    asking = await command(kubeconfig, namespace, "approve", "digits", "--output=json")
    obj, asked = await until_asked(kube, namespace, "approve")
    assert asked["revision"] == "9f1a0000"
    answer = {"intent": "approve", **asked, "accepted": accepted, "message": "so it is"}
    written = {**answer, "at": "2026-11-22T15:09:18Z"}
    await kube.replace_status({**obj, "status": {**obj["status"], "control": [written]}})
    told, _ = await asyncio.wait_for(asking.communicate(), 20)
    assert json.loads(told) == written
    assert asking.returncode == (0 if accepted else 1)


async def test_asks_anew_each_time(kube: Kube, namespace: str, kubeconfig: Path) -> None:
    made = await kube.create(digits(namespace))
    await kube.replace_status({**made, "status": STATUS})
    nonces = set()
    for _ in range(2):
        asking = await command(kubeconfig, namespace, "abort", "digits")
        while True:
            _, asked = await until_asked(kube, namespace, "abort")
            if asked["nonce"] not in nonces:
                break
            await asyncio.sleep(0.1)
        nonces.add(asked["nonce"])
        asking.terminate()
        await asking.wait()
    assert len(nonces) == 2


async def test_says_when_nothing_could_be_meant(kube: Kube, namespace: str, kubeconfig: Path) -> None:
    await kube.create(digits(namespace))
    asking = await command(kubeconfig, namespace, "promote", "digits")
    _, told = await asyncio.wait_for(asking.communicate(), 20)
    assert told.decode() == "error: no rollout is in progress\n"
    assert asking.returncode == 1


async def test_pauses_and_goes_on(kube: Kube, namespace: str, kubeconfig: Path) -> None:
    await kube.create(digits(namespace))
    for word, paused in (("pause", True), ("resume", False)):
        asking = await command(kubeconfig, namespace, word, "digits")
        assert await asyncio.wait_for(asking.wait(), 20) == 0
        obj = await kube.get(MODEL_DEPLOYMENT, namespace, "digits")
        assert obj["spec"]["rollout"]["control"]["paused"] is paused
