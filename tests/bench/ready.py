"""How much longer a ModelDeployment takes to be Ready than its Deployment alone takes to be Available."""

import json
import statistics
import time
from collections.abc import Callable

from bench.figure import Figure
from cluster.progress import say
from e2e.reach import Object, until
from e2e.support import Place, stands
from modeldeploy.adapters.kube.resources import DEPLOYMENT, MODEL_DEPLOYMENT, Resource

PAIRS = 7
BAR = 1.5
PATIENCE = 180.0
SETTLE = 2.0
"""Seconds of rest after what the last measurement left is gone."""


def measure(place: Place) -> list[Figure]:
    """Pairs, each time in the other order. `place` must have a Ready object, so that its router is up."""
    differences, alone = [], []
    for number in range(PAIRS):
        first, second = (_by_hand, _by_operator) if number % 2 else (_by_operator, _by_hand)
        taken = {run: run(place, number) for run in (first, second)}
        differences.append(taken[_by_operator] - taken[_by_hand])
        alone.append(taken[_by_hand])
        say(
            f"  pair {number + 1} of {PAIRS}: ModelDeployment {taken[_by_operator]:.2f} s, "
            f"Deployment {taken[_by_hand]:.2f} s"
        )
    value, baseline = statistics.median(differences), statistics.median(alone)
    return [Figure("ready_overhead_s", value, "s more than the Deployment alone", BAR, baseline)]


def _by_operator(place: Place, number: int) -> float:
    obj = place.manifest("v1", name=f"pair-{number}")
    obj["spec"]["server"]["replicas"] = {"min": 1}
    return _timed(place, MODEL_DEPLOYMENT, obj, lambda status: stands(status, "Ready"))


def _by_hand(place: Place, number: int) -> float:
    """The Deployment that the operator renders, under names that it doesn't watch."""
    owner = place.model()["status"]["stable"]["revision"]
    rendered = place.api.get("Deployment", place.namespace, f"digits-{owner}")
    assert rendered is not None, "the object digits has no Deployment"
    labels = {"app": f"by-hand-{number}"}
    spec = rendered["spec"] | {"replicas": 1, "selector": {"matchLabels": labels}}
    spec["template"] = spec["template"] | {
        "metadata": {"labels": labels, "annotations": spec["template"]["metadata"].get("annotations")}
    }
    obj = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": labels["app"]},
        "spec": spec,
    }
    return _timed(place, DEPLOYMENT, obj, lambda status: stands(status, "Available"))


def _timed(place: Place, kind: Resource, obj: Object, done: Callable[[Object], bool]) -> float:
    """Seconds from sending the object until it says that it is done; then it is taken away again."""
    name = obj["metadata"]["name"]
    path = kind.path(place.namespace)
    watching = {"watch": "true", "fieldSelector": f"metadata.name={name}"}
    with place.api._client.stream("GET", path, params=watching, timeout=PATIENCE) as events:
        started = time.monotonic()
        place.api.create(obj | {"metadata": {"name": name, "namespace": place.namespace}})
        taken = None
        for line in events.iter_lines():
            if line and done(json.loads(line)["object"].get("status") or {}):
                taken = time.monotonic() - started
                break
    assert taken is not None, f"{kind.kind} {name} did not become ready: {place.describe(name)}"
    place.api.delete(kind.kind, place.namespace, name)
    _clear(place, name)
    return taken


def _clear(place: Place, name: str) -> None:
    """Nobody has sent requests there, so nothing has to drain."""

    def gone() -> bool:
        left = [
            pod["metadata"]["name"]
            for pod in place.api.list("Pod", place.namespace)
            if pod["metadata"]["name"].startswith(f"{name}-")
        ]
        for pod in left:
            place.api.delete("Pod", place.namespace, pod, grace=1)
        return not left

    until(gone, f"the end of {name}", timeout=PATIENCE, pause=0.5)
    time.sleep(SETTLE)
