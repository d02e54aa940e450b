"""What an episode's trigger is made of: a Job or another object from the user's template, or a CloudEvent."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from modeldeploy.api.v1alpha1 import API_VERSION
from modeldeploy.api.v1alpha1.base import dump
from modeldeploy.api.v1alpha1.episode import Episode
from modeldeploy.core import naming
from modeldeploy.render.merge import merge
from modeldeploy.render.meta import Owner, child
from modeldeploy.render.retraining_template import CONTAINERS

Object = dict[str, Any]

COMPONENT = "retraining"
EVENT_TYPE = "dev.modeldeploy.retraining.recommended"
KEPT = 604800
"""Seconds that a finished Job stays, unless its template says otherwise: a week to read its log."""
_VARIABLE = re.compile(r"\$\((MODELDEPLOY_[A-Z_]+)\)")


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
    for kind in CONTAINERS:
        if isinstance(pod.get(kind), list):  # of anything else the API server will say what is wrong
            pod[kind] = [_with_environment(item, owner, episode) for item in pod[kind]]
    return {**made, "spec": {**spec, "template": {**spec["template"], "spec": pod}}}


def made_object(owner: Owner, episode: Episode, template: Mapping[str, Any]) -> Object:
    """The object of an episode, of a kind that another controller looks after; under the same name each time.

    Args:
        owner: The ModelDeployment.
        episode: What the object is for.
        template: One in which `object_problems` finds none.
    """
    filled: Object = _filled(dict(template), variables(owner, episode))
    made, meta = child(filled["apiVersion"], filled["kind"], owner, None), filled["metadata"]
    labels = {**(meta.get("labels") or {}), **made["metadata"]["labels"], naming.COMPONENT: COMPONENT}
    annotations = {**(meta.get("annotations") or {}), naming.EPISODE: episode.id}
    made["metadata"] |= {
        "name": f"{meta['name']}-{naming.digest(key(owner, episode), 10)}",
        "labels": labels,
        "annotations": annotations,
    }
    return {**filled, **made}


def variables(owner: Owner, episode: Episode) -> dict[str, str]:
    """What whoever retrains may need to know, by name; times as in RFC 3339."""
    known = {
        "NAME": owner.name,
        "NAMESPACE": owner.namespace,
        "EPISODE": episode.id,
        "REVISION": episode.revision,
        "MODEL_VERSION": episode.model_version,
        "METRICS": json.dumps([dump(metric) for metric in episode.metrics], sort_keys=True),
        "DATA_FROM": _time(episode.data_from),
        "DATA_TO": _time(episode.data_to),
    }
    return {f"MODELDEPLOY_{name}": value for name, value in known.items()}


def _filled(value: Any, known: Mapping[str, str]) -> Any:
    """The value with variables in its texts replaced; other things of that form stay as they are."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: known.get(found[1], found[0]), value)
    if isinstance(value, Mapping):
        return {name: _filled(item, known) for name, item in value.items()}
    return [_filled(item, known) for item in value] if isinstance(value, list) else value


def _time(at: datetime | None) -> str:
    return at.isoformat().replace("+00:00", "Z") if at else ""


def cloud_event(owner: Owner, episode: Episode) -> Object:
    """The episode as a CloudEvent 1.0 in structured mode, under the same id each time."""
    return {
        "specversion": "1.0",
        "id": key(owner, episode),
        "source": f"/apis/{API_VERSION}/namespaces/{owner.namespace}/modeldeployments/{owner.name}",
        "type": EVENT_TYPE,
        "subject": owner.name,
        "time": _time(episode.started_at),
        "datacontenttype": "application/json",
        "data": {
            "namespace": owner.namespace,
            "name": owner.name,
            "episode": episode.id,
            "revision": episode.revision,
            "modelVersion": episode.model_version,
            "metrics": [dump(metric) for metric in episode.metrics],
            "dataFrom": _time(episode.data_from),
            "dataTo": _time(episode.data_to),
        },
    }


def _with_environment(container: Mapping[str, Any], owner: Owner, episode: Episode) -> Object:
    """The container with what it may need to know; a variable of the user's own stays."""
    known = variables(owner, episode).items()
    ours = {"env": [{"name": name, "value": _literal(value)} for name, value in known]}
    merged: Object = merge(ours, container)
    return merged


def _literal(value: str) -> str:
    """A text in which the kubelet replaces no `$(VARIABLE)`."""
    return value.replace("$(", "$$(")
