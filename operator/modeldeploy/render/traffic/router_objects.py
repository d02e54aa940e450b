"""The Kubernetes objects of a namespace's router, and the Service through which a model is reached.

A terminating router pod loses no request: Kubernetes stops sending it new connections, every client's
connection is closed behind an answer within `CONNECTION_SECONDS`, and only then, after `preStop`'s sleep,
Envoy is told to end (which it does at once). No shell and no reachable admin interface are needed for that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modeldeploy.core import naming
from modeldeploy.render.meta import Owner, child
from modeldeploy.render.traffic import bootstrap
from modeldeploy.render.traffic.router import CONNECTION_SECONDS

NAME = "modeldeploy-router"
"""Name of the Deployment, ServiceAccount and PodDisruptionBudget; one router per namespace."""

TOKEN_AUDIENCE = "modeldeploy-xds"  # noqa: S105
SELECTOR = {"app.kubernetes.io/name": NAME, naming.COMPONENT: "router"}
PORT = 80
"""Port of a model's Service."""

_USER = 65532
_TOKEN_SECONDS = 3600
_LISTENER_DRAIN_SECONDS = 300
"""How long an answer may still take whose listener is removed, or changed by another version of ours."""


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """What an installation decides about its routers.

    Attributes:
        image: Envoy image, 1.37 or later.
        xds_host: DNS name of the operator's xDS Service.
        xds_port: Its port.
        ca_pem: Certificate authority of the operator's certificate; None for plaintext.
        replicas: Router pods per namespace.
        concurrency: Worker threads of each.
        drain_s: Seconds that a terminating router pod goes on; at least `CONNECTION_SECONDS` and the longest
            answer.
        image_pull_policy: As in Kubernetes; None for its default.
        resources: Requests and limits of the container.
    """

    image: str
    xds_host: str
    xds_port: int
    ca_pem: str | None = None
    replicas: int = 2
    concurrency: int = 2
    drain_s: int = 2 * CONNECTION_SECONDS
    image_pull_policy: str | None = None
    resources: Mapping[str, Any] = field(
        default_factory=lambda: {"requests": {"cpu": "100m", "memory": "128Mi"}},
    )


def router(namespace: str, owners: Sequence[Owner], settings: RouterSettings) -> list[dict[str, Any]]:
    """All objects of a namespace's router, in the order in which to apply them.

    Args:
        namespace: The namespace.
        owners: Every ModelDeployment that is routed here: with the last of them the router goes.
        settings: The installation's.
    """
    files = bootstrap.files(settings.xds_host, settings.xds_port, settings.ca_pem)
    config = f"{NAME}-{naming.digest(files)}"
    return [
        {**_head("v1", "ServiceAccount", NAME, namespace, owners), "automountServiceAccountToken": False},
        {**_head("v1", "ConfigMap", config, namespace, owners), "immutable": True, "data": files},
        {**_head("apps/v1", "Deployment", NAME, namespace, owners), "spec": _deployment(config, settings)},
        {
            **_head("policy/v1", "PodDisruptionBudget", NAME, namespace, owners),
            "spec": {
                "maxUnavailable": 1,
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
                "selector": {"matchLabels": SELECTOR},
            },
        },
    ]


def service(owner: Owner, listener_port: int) -> dict[str, Any]:
    """The Service by a model's own name: port 80 of it is the model's listener on every router pod."""
    port = {"name": "http", "port": PORT, "targetPort": listener_port, "protocol": "TCP"}
    return {**child("v1", "Service", owner, None), "spec": {"selector": SELECTOR, "ports": [port]}}


def _head(api_version: str, kind: str, name: str, namespace: str, owners: Sequence[Owner]) -> dict[str, Any]:
    references = [owner.reference(controller=False) for owner in sorted(owners, key=lambda owner: owner.name)]
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {**SELECTOR, naming.MANAGED_BY: "modeldeploy"},
            "ownerReferences": references,
        },
    }


def _deployment(config: str, settings: RouterSettings) -> dict[str, Any]:
    return {
        "replicas": settings.replicas,
        "selector": {"matchLabels": SELECTOR},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {
            "metadata": {
                "labels": {**SELECTOR, naming.MANAGED_BY: "modeldeploy"},
            },
            "spec": _pod(config, settings),
        },
    }


def _pod(config: str, settings: RouterSettings) -> dict[str, Any]:
    token = {"audience": TOKEN_AUDIENCE, "expirationSeconds": _TOKEN_SECONDS, "path": "token"}
    near = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": SELECTOR}}
    return {
        "serviceAccountName": NAME,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": settings.drain_s + 10,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": near}],
            },
        },
        "containers": [_container(settings)],
        "volumes": [
            {"name": "config", "configMap": {"name": config}},
            {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}},
        ],
    }


def _container(settings: RouterSettings) -> dict[str, Any]:
    metrics = {"name": "metrics", "containerPort": bootstrap.METRICS_PORT, "protocol": "TCP"}
    pull = {"imagePullPolicy": settings.image_pull_policy} if settings.image_pull_policy else {}
    return {
        "name": "envoy",
        "image": settings.image,
        **pull,
        "command": ["envoy"],
        "args": _arguments(settings),
        "env": [_downward("POD_NAMESPACE", "metadata.namespace"), _downward("POD_NAME", "metadata.name")],
        "ports": [metrics],
        # The port opens when the router has its configuration. What hangs is ended by Envoy's own watchdogs.
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": "metrics"},
            "periodSeconds": 1,
            "timeoutSeconds": 2,
            "failureThreshold": 3,
        },
        "lifecycle": {"preStop": {"sleep": {"seconds": settings.drain_s}}},
        "resources": dict(settings.resources),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "config", "mountPath": bootstrap.CONFIG_DIR, "readOnly": True},
            {"name": "token", "mountPath": bootstrap.TOKEN_DIR, "readOnly": True},
        ],
    }


def _arguments(settings: RouterSettings) -> list[str]:
    return [
        *("-c", f"{bootstrap.CONFIG_DIR}/bootstrap.json"),
        *("--service-node", "$(POD_NAMESPACE)/$(POD_NAME)", "--service-cluster", NAME),
        *("--concurrency", str(settings.concurrency)),
        *("--drain-time-s", str(_LISTENER_DRAIN_SECONDS)),
        # It would want shared memory to write to; a pod is replaced, not restarted in place.
        "--disable-hot-restart",
    ]


def _downward(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
