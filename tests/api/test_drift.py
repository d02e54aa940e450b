"""Drift on a real API server, with a real Prometheus: references that are missing, kept and read again."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from api.kill.operators import Operator
from api.kill.scenarios import Status, manifest, serves
from api.kill.stage import Stage, stage
from api.kill.world import World, cancelled
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import NotFound
from modeldeploy.adapters.kube.resources import CONFIG_MAP, Object
from modeltelemetry import Buckets, Reference
from unit.adapters.prometheus_server import Page, program

pytestmark = [
    pytest.mark.api,
    pytest.mark.usefixtures("definition"),
    pytest.mark.skipif(program() is None, reason="Prometheus isn't installed (Debian package prometheus)"),
]

EDGES = (10, 20, 30, 40, 50, 60, 80, 100)
PER_SECOND = 400
TRAINING: Object = {"source": "Training", "configMap": {"name": "training"}}


def lengths(source: np.random.Generator, count: int, factor: float = 1.0) -> np.ndarray:
    return factor * source.gamma(6.0, 6.0, count)


class Play:
    """A model that serves, and callers whose inputs have lengths.

    Attributes:
        factor: How long inputs are, relative to usual ones.
    """

    def __init__(self, on: Stage, operator: Operator, page: Page, kube: Kube) -> None:
        self.on = on
        self.operator = operator
        self.kube = kube
        self.factor = 1.0
        self._page = page
        self._source = np.random.default_rng(3)

    async def apply(self, version: str, *references: Object) -> None:
        obj = manifest(version, [])
        metrics = [
            {
                "name": f"length{number or ''}",
                "category": "Input",
                "preset": "inputSize",
                "drift": {"warn": 0.1, "fail": 0.25, "reference": reference},
            }
            for number, reference in enumerate(references)
        ]
        obj["spec"]["rollout"] = {"strategy": "Immediate", "keepPrevious": "1s", "drain": "1s"}
        obj["spec"]["monitoring"] = {"interval": "1s", "expectedChange": "Fast", "metrics": metrics}
        await self.on.apply(obj)
        await self.on.until(serves(version), version)

    async def ask(self) -> None:
        """Send requests to whoever is stable, for as long as the task lives."""
        while True:
            revision = (self.on.status.get("stable") or {}).get("revision")
            if revision:
                self._count(revision)
            await asyncio.sleep(1)

    def _count(self, revision: str) -> None:
        values = lengths(self._source, PER_SECOND, self.factor)
        labels = {"namespace": self.on.namespace, "pod": f"pod-{revision}", "modeldeploy_name": "model"}
        labels |= {"modeldeploy_revision": revision, "module": "m"}
        for edge in EDGES:
            self._add("bucket", labels | {"le": str(edge)}, float((values <= edge).sum()))
        self._add("bucket", labels | {"le": "+Inf"}, float(len(values)))
        self._add("sum", labels, float(values.sum()))
        self._add("count", labels, float(len(values)))

    def _add(self, part: str, labels: Mapping[str, str], growth: float) -> None:
        self._page.add(f"model_input_size_{part}", labels, growth)

    async def train(self, buckets: Buckets) -> None:
        reference = Reference(buckets)
        for value in lengths(np.random.default_rng(4), 20_000):
            reference.inputs(size=float(value))
        await self.config_map(reference.text())

    async def config_map(self, text: str) -> None:
        obj = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "training", "namespace": self.on.namespace},
            "data": {"reference.json": text},
        }
        await self.kube.apply(obj, manager="user")

    async def snapshot(self) -> Object | None:
        try:
            return await self.kube.get(CONFIG_MAP, self.on.namespace, "model-reference")
        except NotFound:
            return None

    async def until_snapshot(self, *, there: bool) -> None:
        async with asyncio.timeout(30):
            while (await self.snapshot() is not None) is not there:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.2)


@pytest_asyncio.fixture
async def play(
    watched: World, kubeconfig: Path, tmp_path: Path, page: Page, prometheus: str, kube: Kube
) -> AsyncIterator[Play]:
    operator = Operator(tmp_path, kubeconfig, "")
    async with stage(watched, [operator.xds_port]) as on:
        operator.namespace = on.namespace
        operator.settings = {"MODELDEPLOY_PROMETHEUS_URL": prometheus}
        found = Play(on, operator, page, kube)
        asking = asyncio.create_task(found.ask())
        try:
            await operator.start()
            yield found
        finally:
            await cancelled(asking)
            await operator.stop()


def condition(status: Status, kind: str) -> Mapping[str, Any]:
    return next((one for one in status.get("conditions", ()) if one["type"] == kind), {})


def verdicts(status: Status) -> list[str]:
    return [one["verdict"] for one in status.get("metrics", ())]


async def test_a_missing_reference_is_named_and_drift_is_found_once_it_is_there(play: Play) -> None:
    await play.apply("v1", TRAINING)
    status = await play.on.until(lambda now: condition(now, "MonitoringLimited"), "a missing reference")
    limited = condition(status, "MonitoringLimited")
    assert limited["reason"] == "ReferenceMissing"
    assert limited["message"] == (
        "length: there is no ConfigMap training; make it with "
        "kubectl create configmap training --from-file=reference.json=reference.json"
    )
    assert condition(status, "Ready")["status"] == "True"

    await play.config_map(json.dumps({"format": "another"}))
    await play.on.until(
        lambda now: condition(now, "MonitoringLimited").get("reason") == "ReferenceUnreadable",
        "an unreadable reference",
    )
    await play.train(Buckets(size=(1, 2, 3)))
    await play.on.until(
        lambda now: condition(now, "MonitoringLimited").get("reason") == "ReferenceMismatch",
        "a reference with other buckets",
    )
    await play.train(Buckets(size=EDGES))
    # What could be read isn't read again while spec names it: another name is another reference.
    obj = await play.kube.get(CONFIG_MAP, play.on.namespace, "training")
    meta = {"name": "training-2", "namespace": play.on.namespace}
    await play.kube.apply({**obj, "metadata": meta}, manager="user")
    await play.apply("v1", {"source": "Training", "configMap": {"name": "training-2"}})
    status = await play.on.until(lambda now: verdicts(now) == ["Pass"], "a pass")
    assert condition(status, "MonitoringLimited") == {}
    assert "inputs against training (warn 0.1, fail 0.25)" in status["metrics"][0]["message"]

    play.factor = 2.5
    status = await play.on.until(lambda now: verdicts(now) == ["Breach"], "drift")
    assert condition(status, "DriftDetected")["status"] == "True"
    assert "length PSI" in condition(status, "DriftDetected")["message"]

    await play.operator.stop(signal.SIGKILL)
    await play.operator.start()
    for _ in range(40):  # the next operator comes to the same verdict, and says nothing else meanwhile
        await asyncio.sleep(0.25)
        assert verdicts(play.on.status) == ["Breach"]


async def test_what_the_version_before_was_asked_is_kept_and_compared_with(play: Play) -> None:
    await play.apply("v1", {"source": "Previous"})
    status = await play.on.until(lambda now: verdicts(now) == ["NotApplicable"], "nothing to compare with")
    assert "no version was replaced yet" in status["metrics"][0]["message"]
    first = status["stable"]["revision"]
    await asyncio.sleep(25)  # so that there is something to keep, at the ten seconds of a snapshot's looks
    assert await play.snapshot() is None

    await play.apply("v2", {"source": "Previous"})
    status = await play.on.until(lambda now: verdicts(now) == ["Pass"], "a pass against v1")
    assert status["replaced"]["revision"] == first
    assert "against the previous version" in status["metrics"][0]["message"]
    kept = await play.snapshot()
    assert kept is not None
    assert kept["metadata"]["labels"]["modeldeploy.dev/revision"] == first
    assert kept["metadata"]["ownerReferences"][0]["kind"] == "ModelDeployment"
    histogram = json.loads(kept["data"]["reference.json"])["histograms"]["model_input_size"]
    assert sum(histogram["counts"]) >= 5 * PER_SECOND

    await asyncio.sleep(5)
    after = await play.snapshot()
    assert after is not None
    assert after["metadata"]["resourceVersion"] == kept["metadata"]["resourceVersion"]
    await play.kube.delete(CONFIG_MAP, play.on.namespace, "model-reference")
    await play.until_snapshot(there=True)

    await play.apply("v2", TRAINING)
    await play.until_snapshot(there=False)
