"""What is kept of a Kubernetes object: as little as decisions, status messages and routers need."""

from collections.abc import Callable, Mapping
from typing import Any

from modeldeploy.adapters.kube.resources import Object

_LONG = 1024
"""Characters of an annotation that may be kept; longer ones are other tools' copies of the object."""
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_POD_STATUS = ("phase", "reason", "message", "podIP", "conditions", "startTime")
_CONTAINER_STATUS = ("name", "ready", "started", "restartCount", "state", "lastState", "imageID")


def slim(obj: Mapping[str, Any]) -> Object:
    """A copy (shallow) without what nobody here reads. Unknown kinds lose only bookkeeping."""
    kept = {key: value for key, value in obj.items() if key != "metadata"}
    kept["metadata"] = _metadata(obj["metadata"])
    shrink = _BY_KIND.get(obj.get("kind", ""))
    return shrink(kept) if shrink else kept


def _metadata(meta: Mapping[str, Any]) -> Object:
    kept = {key: value for key, value in meta.items() if key not in ("managedFields", "selfLink")}
    annotations = meta.get("annotations")
    if annotations:
        kept["annotations"] = {
            key: value for key, value in annotations.items() if key != _LAST_APPLIED and len(value) <= _LONG
        }
    return kept


def _pod(pod: Object) -> Object:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    slimmed: Object = {key: status[key] for key in _POD_STATUS if key in status}
    for field in ("containerStatuses", "initContainerStatuses"):
        if field in status:
            slimmed[field] = [_pick(container, _CONTAINER_STATUS) for container in status[field]]
    return {**pod, "spec": _pick(spec, ("nodeName",)), "status": slimmed}


def _replica_set(replica_set: Object) -> Object:
    return {**replica_set, "spec": _pick(replica_set.get("spec") or {}, ("replicas", "selector"))}


def _pick(source: Mapping[str, Any], keys: tuple[str, ...]) -> Object:
    return {key: source[key] for key in keys if key in source}


_BY_KIND: Mapping[str, Callable[[Object], Object]] = {"Pod": _pod, "ReplicaSet": _replica_set}
