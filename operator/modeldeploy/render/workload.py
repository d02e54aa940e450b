"""The pods of a revision: their template, kept for good when the revision is made, and the Deployment."""

import math
from collections.abc import Mapping
from typing import Any

from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.server import Replicas, Server
from modeldeploy.core import naming
from modeldeploy.core.snapshot import Revision
from modeldeploy.render.merge import merge
from modeldeploy.render.meta import Owner, child
from modeldeploy.render.runtimes import PRESETS

Object = dict[str, Any]

STARTUP_PERIOD = 1
"""Seconds between two questions whether a starting pod is ready: it adds half of this to every start."""
PRE_STOP = 5
"""Seconds that an ending pod goes on answering while routers and kube-proxy learn of it."""
GRACE = 60
"""Seconds that an ending pod has for its last answers."""


def pod_template(server: Server) -> Object:
    """The pod template of a revision, without the labels by which its pods are found.

    Restricted pod security by default; `spec.server.podTemplate` has the last word.
    """
    annotations = {naming.METRICS_PATH: server.metrics_path or PRESETS[server.runtime].metrics_path}
    if apart := metrics_port(server):
        annotations[naming.METRICS_PORT] = str(apart)
    base: Object = {
        "metadata": {"annotations": annotations},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [_container(server)],
        },
    }
    merged: Object = merge(base, server.pod_template or {})
    return merged


def deployment(owner: Owner, revision: Revision, server: Server, replicas: int | None) -> Object:
    """A revision's Deployment.

    Args:
        owner: The ModelDeployment.
        revision: With the template to run.
        server: Today's spec; only fields that no pod feels are read.
        replicas: How many pods, or None to leave their number to an autoscaler.
    """
    labels = selector(owner.name, revision.name)
    found_by = labels | {naming.MANAGED_BY: "modeldeploy", naming.MODEL_VERSION: revision.model_version}
    template = merge(revision.template, {"metadata": {"labels": found_by}})
    patience = math.ceil(seconds(server.startup_timeout)) + 60
    spec: Object = {
        "selector": {"matchLabels": labels},
        "template": template,
        "progressDeadlineSeconds": patience,
        "revisionHistoryLimit": 1,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return child("apps/v1", "Deployment", owner, revision) | {"spec": spec}


def is_autoscaled(replicas: Replicas) -> bool:
    """Whether there is a choice for an autoscaler."""
    return replicas.max is not None and replicas.min < replicas.max


def selector(name: str, revision: str) -> dict[str, str]:
    """The labels by which a revision's pods are found."""
    return {naming.NAME: name, naming.REVISION: revision}


def port(server: Server) -> int:
    """The port that the server listens on; the API server has seen to it that Custom names one."""
    chosen = server.port or PRESETS[server.runtime].port
    if chosen is None:
        msg = (
            f"spec.server.port: runtime {server.runtime} presets no port; add the port your server listens on"
        )
        raise ValueError(msg)
    return chosen


def metrics_port(server: Server) -> int | None:
    """The port of the metrics, None where they stand beside the answers."""
    chosen = server.metrics_port or PRESETS[server.runtime].metrics_port
    return None if chosen == port(server) else chosen


def _container(server: Server) -> Object:
    preset = PRESETS[server.runtime]
    ready = server.readiness_path or preset.readiness
    alive = preset.liveness
    container: Object = {
        "name": naming.CONTAINER,
        "image": server.image,
        "ports": [
            {"name": name, "containerPort": number, "protocol": "TCP"}
            for name, number in (
                ("http", port(server)),
                *((p.name, p.port) for p in server.extra_ports or ()),
            )
        ],
        "startupProbe": _probe(ready)
        | {
            "periodSeconds": STARTUP_PERIOD,
            "failureThreshold": max(1, math.ceil(seconds(server.startup_timeout) / STARTUP_PERIOD)),
        },
        "readinessProbe": _probe(ready) | {"periodSeconds": 2, "failureThreshold": 3},
        # A minute without an answer: a node that is busy with something else must not end what serves.
        "livenessProbe": _probe(alive) | {"periodSeconds": 10, "failureThreshold": 6},
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP}}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    if server.image_pull_policy:
        container["imagePullPolicy"] = server.image_pull_policy
    if server.resources:
        container["resources"] = server.resources.model_dump(mode="json", exclude_none=True)
    return container


def _probe(path: str | None) -> Object:
    """Over HTTP where a path is known, else a TCP connection; patient, since busy models answer late."""
    how: Mapping[str, Any] = (
        {"httpGet": {"path": path, "port": "http"}} if path else {"tcpSocket": {"port": "http"}}
    )
    return {**how, "timeoutSeconds": 5}
