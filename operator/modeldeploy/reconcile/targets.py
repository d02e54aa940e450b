"""What there is to scrape, for Prometheus' HTTP service discovery.

The small Prometheus of the chart finds its targets here, so it needs no rights in the cluster, and its series
carry the labels that the judgement asks by. A Prometheus with a discovery of its own puts the same labels on
(the chart prints how).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.core.naming import (
    COMPONENT,
    CONTAINER,
    METRICS_PATH,
    METRICS_PORT,
    MODEL_VERSION,
    NAME,
    REVISION,
    object_name,
)
from modeldeploy.render.runtimes import METRICS_PATH as DEFAULT_PATH
from modeldeploy.render.traffic.bootstrap import METRICS_PORT as ROUTER_PORT

Object = Mapping[str, Any]
Group = dict[str, Any]
"""`{"targets": ["address:port"], "labels": {…}}`."""


class Targets:
    """The targets, made anew only when something has changed: Prometheus asks as often as it scrapes."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._changes = -1
        self._groups: list[Group] = []

    def groups(self) -> list[Group]:
        """One group for each running pod of a model or router, whichever replica is asked."""
        if self._changes != self._cache.changes:
            self._changes = self._cache.changes
            self._groups = list(_groups(self._cache))
        return self._groups


def _groups(cache: Cache) -> Iterable[Group]:
    for pod in cache.objects("Pod"):
        address = (pod.get("status") or {}).get("podIP")
        labels = pod["metadata"].get("labels") or {}
        if not address or pod["status"].get("phase") != "Running":
            continue
        if labels.get(COMPONENT) == "router":
            yield _group(pod, address, ROUTER_PORT, "/stats/prometheus", {})
        elif labels.get(REVISION):
            annotations = pod["metadata"].get("annotations") or {}
            apart = annotations.get(METRICS_PORT, "")
            port = int(apart) if apart.isdecimal() else _model_port(cache, pod)
            if port:
                path = annotations.get(METRICS_PATH, DEFAULT_PATH)
                named = {
                    "modeldeploy_name": labels.get(NAME, ""),
                    "modeldeploy_revision": labels[REVISION],
                    "modeldeploy_model_version": labels.get(MODEL_VERSION, ""),
                }
                yield _group(pod, address, port, path, named)


def _group(pod: Object, address: str, port: int, path: str, labels: Mapping[str, str]) -> Group:
    meta = pod["metadata"]
    host = f"[{address}]" if ":" in address else address
    return {
        "targets": [f"{host}:{port}"],
        "labels": {
            "__metrics_path__": path,
            "namespace": meta["namespace"],
            "pod": meta["name"],
            **labels,
        },
    }


def _model_port(cache: Cache, pod: Object) -> int | None:
    labels, namespace = pod["metadata"]["labels"], pod["metadata"]["namespace"]
    deployment = cache.get("Deployment", namespace, object_name(labels.get(NAME, ""), labels[REVISION]))
    if deployment is None:
        return None
    containers = deployment["spec"]["template"]["spec"]["containers"]
    model: Object = next((one for one in containers if one["name"] == CONTAINER), {})
    ports = (port for port in model.get("ports") or () if port.get("name") == "http")
    return next((int(port["containerPort"]) for port in ports), None)
