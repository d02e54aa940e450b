"""Where a story ended, without what is another one each time: times, addresses, names of namespaces."""

import json
from collections.abc import Mapping
from typing import Any

from api.kill.world import OURS
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import NotFound
from modeldeploy.adapters.kube.resources import MODEL_DEPLOYMENT, RESOURCES, Object

TIMES = frozenset(
    {"at", "since", "until", "startedAt", "stepStartedAt", "trafficChangedAt", "lastTransitionTime"}
)
GIVEN = frozenset({"clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort", "uid"})
"""What the API server chose."""
KINDS = (
    *("Deployment", "Service", "ControllerRevision", "PodDisruptionBudget", "HorizontalPodAutoscaler"),
    *("ConfigMap", "ServiceAccount"),
)
State = dict[str, Any]


def told(status: Mapping[str, Any], namespace: str) -> State:
    """A status as it can be compared."""
    found: State = _without(status, TIMES, namespace)
    return found


async def children(kube: Kube, namespace: str) -> State:
    """Everything of ours in a namespace, as it can be compared."""
    found = {}
    for kind in KINDS:
        for item in (await kube.list(RESOURCES[kind], namespace, labels=OURS)).items:
            found[f"{kind}/{item['metadata']['name']}"] = _without(_essence(item), GIVEN, namespace)
    return found


async def status_of(kube: Kube, namespace: str, name: str = "model") -> Mapping[str, Any] | None:
    """The object's status; None if there is no object."""
    try:
        found = await kube.get(MODEL_DEPLOYMENT, namespace, name)
    except NotFound:
        return None
    return dict(found.get("status") or {})


def difference(found: Any, wanted: Any, path: str = "") -> list[str]:
    """What is other than it should be, a line each."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        lines = []
        for key in sorted(found.keys() | wanted.keys()):
            lines += difference(found.get(key), wanted.get(key), f"{path}.{key}")
        return lines
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        pairs = zip(found, wanted, strict=True)
        return [line for at, pair in enumerate(pairs) for line in difference(*pair, f"{path}[{at}]")]
    return [] if found == wanted else [f"{path}: {json.dumps(found)} instead of {json.dumps(wanted)}"]


def _essence(item: Object) -> State:
    meta = item["metadata"]
    owners = sorted((owner["kind"], owner["name"]) for owner in meta.get("ownerReferences") or [])
    kept: State = {key: item[key] for key in ("spec", "data", "revision", "immutable") if key in item}
    notes = dict(meta.get("annotations") or {})
    notes.pop("deployment.kubernetes.io/revision", None)
    return {
        **kept,
        "labels": meta.get("labels"),
        "annotations": notes,
        "owners": [list(one) for one in owners],
    }


def _without(value: Any, left_out: frozenset[str], namespace: str) -> Any:
    if isinstance(value, Mapping):
        kept = ((key, item) for key, item in value.items() if key not in left_out)
        return {key: _without(item, left_out, namespace) for key, item in kept}
    if isinstance(value, list):
        return [_without(item, left_out, namespace) for item in value]
    return value.replace(namespace, "NAMESPACE") if isinstance(value, str) else value
