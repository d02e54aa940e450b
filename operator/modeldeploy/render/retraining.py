"""What an episode's trigger is made of: a Job from the user's template, or a CloudEvent."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from modeldeploy.api.v1alpha1 import API_VERSION
from modeldeploy.api.v1alpha1.base import dump
from modeldeploy.api.v1alpha1.episode import Episode
from modeldeploy.core import naming
from modeldeploy.render.merge import merge
from modeldeploy.render.meta import Owner, child

Object = dict[str, Any]

TEMPLATE = "spec.retraining.trigger.job.template"
COMPONENT = "retraining"
EVENT_TYPE = "dev.modeldeploy.retraining.recommended"
KEPT = 604800
"""Seconds that a finished Job stays, unless its template says otherwise: a week to read its log."""
LONGEST = 52
"""Longest name in a template: a dash and ten characters follow, and the Job's pods add some more."""
_HOST = ("hostNetwork", "hostPID", "hostIPC")
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_NAMES = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_RESERVED = frozenset({naming.NAME, naming.REVISION, naming.COMPONENT, naming.MANAGED_BY})


def key(owner: Owner, episode: Episode) -> str:
    """Names an episode among those of all objects and clusters: running its trigger twice says it twice."""
    return f"{owner.uid}.{episode.id}"


def job(owner: Owner, episode: Episode, template: Mapping[str, Any]) -> Object:
    """The Job of an episode, under the same name each time, so that making it twice makes one.

    Args:
        owner: The ModelDeployment.
        episode: What the Job is for.
        template: A JobTemplateSpec in which `problems` finds none.
    """
    made, meta = child("batch/v1", "Job", owner, None), template["metadata"]
    labels = {**(meta.get("labels") or {}), **made["metadata"]["labels"], naming.COMPONENT: COMPONENT}
    # The pods carry no label of ours: they serve nobody, and nobody's Service may find them.
    spec = merge(
        {"ttlSecondsAfterFinished": KEPT, "template": {"spec": {"restartPolicy": "Never"}}}, template["spec"]
    )
    made["metadata"] |= {"name": f"{meta['name']}-{naming.digest(key(owner, episode), 10)}", "labels": labels}
    if meta.get("annotations"):
        made["metadata"]["annotations"] = dict(meta["annotations"])
    pod = dict(spec["template"]["spec"])
    for kind in _CONTAINERS:
        if isinstance(pod.get(kind), list):  # of anything else the API server will say what is wrong
            pod[kind] = [_with_environment(item, owner, episode) for item in pod[kind]]
    return {**made, "spec": {**spec, "template": {**spec["template"], "spec": pod}}}


def cloud_event(owner: Owner, episode: Episode) -> Object:
    """The episode as a CloudEvent 1.0 in structured mode, under the same id each time."""
    return {
        "specversion": "1.0",
        "id": key(owner, episode),
        "source": f"/apis/{API_VERSION}/namespaces/{owner.namespace}/modeldeployments/{owner.name}",
        "type": EVENT_TYPE,
        "subject": owner.name,
        "time": episode.started_at.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {
            "namespace": owner.namespace,
            "name": owner.name,
            "episode": episode.id,
            "revision": episode.revision,
            "modelVersion": episode.model_version,
            "metrics": [dump(metric) for metric in episode.metrics],
        },
    }


def problems(template: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences that name field and mend; empty if the API server may be asked about it. Never raises."""
    return tuple(f"{TEMPLATE}{fault}" for fault in _faults(template))


def _faults(template: Mapping[str, Any]) -> Iterator[str]:
    for field in sorted(template.keys() - {"metadata", "spec"}):
        yield f".{field}: a template has metadata and spec only; remove it"
    yield from _metadata_faults(_map(template.get("metadata")))
    pods = _map(_map(template.get("spec")).get("template"))
    taken = sorted(_map(_map(pods.get("metadata")).get("labels")).keys() & _RESERVED)
    if taken:
        yield f".spec.template.metadata.labels: {', '.join(taken)} cannot be set by users; remove it"
    yield from (f".spec.template.spec{fault}" for fault in _pod_faults(_map(pods.get("spec"))))


def _metadata_faults(meta: Mapping[str, Any]) -> Iterator[str]:
    name = meta.get("name")
    if not isinstance(name, str) or not name:
        yield ".metadata.name: is missing; name the Jobs, e.g. retrain-recogniser (each adds a suffix)"
    elif len(name) > LONGEST or not set(name) <= _NAMES or "-" in (name[0], name[-1]):
        yield (
            f".metadata.name: {name[:LONGEST]} cannot begin the name of a Job; use at most {LONGEST} small "
            "letters, digits and '-', no '-' at either end"
        )
    for field in ("labels", "annotations"):
        if not isinstance(meta.get(field), Mapping | None):
            yield f".metadata.{field}: is no map; write names with values"
    for field in sorted(meta.keys() - {"name", "labels", "annotations"}):
        yield f".metadata.{field}: only name, labels and annotations can be set; remove it"


def _pod_faults(pod: Mapping[str, Any]) -> Iterator[str]:
    if not _maps(pod.get("containers")):
        yield ".containers: is missing or no list; add the container that retrains"
    for field in _HOST:
        if pod.get(field):
            yield f".{field}: gives access to the host; remove it"
    for index, volume in enumerate(_maps(pod.get("volumes"))):
        if volume.get("hostPath") is not None:
            yield f".volumes[{index}].hostPath: gives access to the host; take another kind of volume"
    yield from _security_faults("", pod)
    for kind in _CONTAINERS:
        for index, item in enumerate(_maps(pod.get(kind))):
            yield from _security_faults(f".{kind}[{index}]", item)
            if any(port.get("hostPort") for port in _maps(item.get("ports"))):
                yield f".{kind}[{index}].ports: hostPort gives access to the host; remove it"


def _security_faults(where: str, holder: Mapping[str, Any]) -> Iterator[str]:
    context = _map(holder.get("securityContext"))
    if context.get("privileged"):
        yield f"{where}.securityContext.privileged: gives access to the host; remove it"
    if _map(context.get("windowsOptions")).get("hostProcess"):
        yield f"{where}.securityContext.windowsOptions.hostProcess: gives access to the host; remove it"


def _with_environment(container: Mapping[str, Any], owner: Owner, episode: Episode) -> Object:
    """The container with what it may need to know; a variable of the user's own stays."""
    known = {
        "MODELDEPLOY_NAME": owner.name,
        "MODELDEPLOY_NAMESPACE": owner.namespace,
        "MODELDEPLOY_EPISODE": episode.id,
        "MODELDEPLOY_REVISION": episode.revision,
        "MODELDEPLOY_MODEL_VERSION": episode.model_version,
        "MODELDEPLOY_METRICS": json.dumps([dump(metric) for metric in episode.metrics], sort_keys=True),
    }
    ours = {"env": [{"name": name, "value": _literal(value)} for name, value in known.items()]}
    merged: Object = merge(ours, container)
    return merged


def _literal(value: str) -> str:
    """A text in which the kubelet replaces no `$(VARIABLE)`."""
    return value.replace("$(", "$$(")


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _maps(value: Any) -> list[Mapping[str, Any]]:
    """The maps of a list; what is something else the API server will complain about."""
    return [_map(item) for item in value] if isinstance(value, list) else []
