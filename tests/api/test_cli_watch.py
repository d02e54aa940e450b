"""`modeldeploy watch` against a real API server: its own watches, its own refusals."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.resources import MODEL_DEPLOYMENT, Object
from modeldeploy.cli.connection import connect
from modeldeploy.cli.source import Changed, Deleted, Told, follow

pytestmark = [pytest.mark.api, pytest.mark.usefixtures("definition")]


def digits(namespace: str) -> Object:
    return {
        "apiVersion": "modeldeploy.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "digits", "namespace": namespace},
        "spec": {"model": {"version": "v1"}, "server": {"image": "localhost/digits:v1"}},
    }


def event(about: Object, reason: str) -> Object:
    meta = about["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": "digits.", "namespace": meta["namespace"]},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            **{key: meta[key] for key in ("namespace", "name", "uid")},
        },
        "type": "Normal",
        "reason": reason,
        "message": f"{reason} happened",
        "lastTimestamp": "2026-11-22T15:09:18Z",
    }


async def with_message(kube: Kube, obj: Object, message: str) -> Object:
    status = {"phase": "Healthy", "message": message}
    return await kube.replace_status({**obj, "status": status})


@asynccontextmanager
async def watching(kubeconfig: Path, namespace: str, *words: str) -> AsyncIterator[Process]:
    command = [sys.executable, "-m", "modeldeploy.cli", "watch", "digits"]
    where = [f"--kubeconfig={kubeconfig}", f"--namespace={namespace}"]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    process = await asyncio.create_subprocess_exec(
        *command, *where, *words, stdout=PIPE, stderr=PIPE, env=environment
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line(process: Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 20)).decode()


async def test_everything_that_happens_comes_in_until_the_end(
    kube: Kube, kubeconfig: Path, namespace: str
) -> None:
    obj = await kube.create(digits(namespace))
    await kube.create(event(obj, "Before"))
    connection = await connect(kubeconfig=kubeconfig, namespace=namespace)
    found: list[Any] = []
    try:
        async with aclosing(follow(connection.api, namespace, "digits")) as changes, asyncio.timeout(20):
            async for change in changes:
                found.append(change)
                if isinstance(change, Told) and change.event["reason"] == "Before":
                    obj = await with_message(kube, obj, "hello")
                if isinstance(change, Changed) and change.obj.get("status"):
                    await kube.create(event(obj, "After"))
                if isinstance(change, Told) and change.event["reason"] == "After":
                    await kube.delete(MODEL_DEPLOYMENT, namespace, "digits")
    finally:
        await connection.api.close()
    assert [each.event["reason"] for each in found if isinstance(each, Told)] == ["Before", "After"]
    assert [(each.obj.get("status") or {}).get("message") for each in found if isinstance(each, Changed)] == [
        None,
        "hello",
    ]
    assert isinstance(found[-1], Deleted)


async def test_another_object_of_the_same_name_is_not_taken_for_it(
    kube: Kube, kubeconfig: Path, namespace: str
) -> None:
    first = await kube.create(digits(namespace))
    await kube.create(event(first, "OfTheFirst"))
    await kube.delete(MODEL_DEPLOYMENT, namespace, "digits")
    second = await kube.create(digits(namespace))
    await kube.create(event(second, "OfTheSecond"))
    connection = await connect(kubeconfig=kubeconfig, namespace=namespace)
    try:
        async with aclosing(follow(connection.api, namespace, "digits")) as changes, asyncio.timeout(20):
            async for change in changes:
                if isinstance(change, Told):
                    assert change.event["reason"] == "OfTheSecond"
                    return
    finally:
        await connection.api.close()


async def test_scripts_get_json_lines_and_0_at_the_end(kube: Kube, kubeconfig: Path, namespace: str) -> None:
    obj = await kube.create(digits(namespace))
    async with watching(kubeconfig, namespace, "--output=json") as process:
        assert json.loads(await line(process))["kind"] == "status"
        await with_message(kube, obj, "version v1 serves")
        assert json.loads(await line(process))["message"] == "version v1 serves"
        await kube.delete(MODEL_DEPLOYMENT, namespace, "digits")
        assert json.loads(await line(process))["kind"] == "deleted"
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_ctrl_c_ends_it_without_a_trace(kube: Kube, kubeconfig: Path, namespace: str) -> None:
    await kube.create(digits(namespace))
    async with watching(kubeconfig, namespace) as process:
        assert "not seen by an operator yet" in await line(process)
        process.send_signal(signal.SIGINT)
        _, errors = await asyncio.wait_for(process.communicate(), 10)
        assert errors == b""
        assert process.returncode == 130


async def test_a_name_that_is_not_there_is_said_so(kubeconfig: Path, namespace: str) -> None:
    async with watching(kubeconfig, namespace) as process:
        _, errors = await asyncio.wait_for(process.communicate(), 20)
    said = (
        f'error: there is no modeldeployment "digits" in namespace "{namespace}"; see kubectl get mdep -A\n'
    )
    assert errors.decode() == said
    assert process.returncode == 1
