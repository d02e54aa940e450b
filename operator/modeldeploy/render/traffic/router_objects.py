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
from modeldeploy.render.traffic import bootstrap, placeholder
from modeldeploy.render.traffic.router import CONFIG_DIR, CONNECTION_SECONDS

NAME = "modeldeploy-router"
"""Name of the Deployment, ServiceAccount and PodDisruptionBudget; one router per namespace."""

TOKEN_AUDIENCE = "modeldeploy-xds"  # noqa: S105
SELECTOR = {"app.kubernetes.io/name": NAME, naming.COMPONENT: "router"}
PORT = 80
"""Port of a model's Service."""

TLS_PORT = 443
"""The same with TLS."""

_USER = 65532
_TOKEN_SECONDS = 3600
_LISTENER_DRAIN_SECONDS = 300
"""How long an answer may still take whose listener is removed, or changed by another version of ours."""


@dataclass(frozen=True, slots=True)
class Autoscaling:
    """How many router pods a namespace has, by their load.

    Attributes:
        min: At least so many.
        max: At most so many.
        target_cpu: CPU use to aim at, in percent of the request.
    """

    min: int = 2
    max: int = 10
    target_cpu: int = 60


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A further port of a model's Service.

    Attributes:
        name: Its name.
        number: Its number, which clients call.
        listener_port: The listener on every router pod.
    """

    name: str
    number: int
    listener_port: int


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """What an installation decides about its routers.

    Attributes:
        image: Envoy image, 1.37 or later.
        xds_host: DNS name of the operator's xDS Service.
        xds_port: Its port.
        ca_pem: Certificate authority of the operator's certificate; None for plaintext.
        replicas: Router pods per namespace, unless they are scaled by load.
        autoscaling: How they are scaled by load; None for a fixed number.
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
    autoscaling: Autoscaling | None = None
    concurrency: int = 2
    drain_s: int = 2 * CONNECTION_SECONDS
    image_pull_policy: str | None = None
    resources: Mapping[str, Any] = field(
        default_factory=lambda: {"requests": {"cpu": "100m", "memory": "128Mi"}},
    )


def router(
    namespace: str,
    owners: Sequence[Owner],
    settings: RouterSettings,
    *,
    tls_secrets: Sequence[str] = (),
    handed_over: bool = False,
) -> list[dict[str, Any]]:
    """All objects of a namespace's router, in the order in which to apply them.

    Args:
        namespace: The namespace.
        owners: Every ModelDeployment that is routed here: with the last of them the router goes.
        settings: The installation's.
        tls_secrets: Names of the Secrets with certificates for clients.
        handed_over: The Deployment exists, so that the autoscaler, where there is one, has its replicas to
            choose.
    """
    secrets = sorted(set(tls_secrets))
    files = bootstrap.files(settings.xds_host, settings.xds_port, settings.ca_pem, secrets)
    config = f"{NAME}-{naming.digest(files)}"
    scaling = settings.autoscaling
    replicas = scaling.min if scaling else settings.replicas
    scaled = scaling is not None and handed_over
    pod = _pod(config, settings, secrets)
    found: dict[str, tuple[str, str, dict[str, Any]]] = {
        "ServiceAccount": ("v1", NAME, {"automountServiceAccountToken": False}),
        "ConfigMap": ("v1", config, {"immutable": True, "data": files}),
        "Deployment": ("apps/v1", NAME, {"spec": _deployment(pod, None if scaled else replicas)}),
        "PodDisruptionBudget": ("policy/v1", NAME, {"spec": _budget()}),
    }
    if scaling and scaled:
        found["HorizontalPodAutoscaler"] = ("autoscaling/v2", NAME, {"spec": _autoscaler(scaling)})
    return [
        {**_head(version, kind, name, namespace, owners), **content}
        for kind, (version, name, content) in found.items()
    ]


def service(
    owner: Owner, listener_port: int, extra_ports: Sequence[ServicePort] = (), *, tls: bool = False
) -> dict[str, Any]:
    """The Service by a model's own name: port 80 of it is the model's listener on every router pod.

    With `tls` it is port 443. Extra ports keep their numbers; one that has the first port's is left out.
    """
    number = TLS_PORT if tls else PORT
    first = {
        "name": "https" if tls else "http",
        "port": number,
        "targetPort": listener_port,
        "protocol": "TCP",
    }
    others = [
        {"name": port.name, "port": port.number, "targetPort": port.listener_port, "protocol": "TCP"}
        for port in extra_ports
        if port.number != number and port.name != first["name"]
    ]
    return {
        **child("v1", "Service", owner, None),
        "spec": {"selector": SELECTOR, "ports": [first, *others]},
    }


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


def _deployment(pod: dict[str, Any], replicas: int | None) -> dict[str, Any]:
    return {
        **({} if replicas is None else {"replicas": replicas}),
        "selector": {"matchLabels": SELECTOR},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {
            "metadata": {
                "labels": {**SELECTOR, naming.MANAGED_BY: "modeldeploy"},
            },
            "spec": pod,
        },
    }


def _budget() -> dict[str, Any]:
    return {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": SELECTOR},
    }


def _autoscaler(scaling: Autoscaling) -> dict[str, Any]:
    used = {"type": "Utilization", "averageUtilization": scaling.target_cpu}
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
        "minReplicas": scaling.min,
        "maxReplicas": scaling.max,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": used}}],
    }


def _pod(config: str, settings: RouterSettings, secrets: Sequence[str]) -> dict[str, Any]:
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
        "containers": [_container(settings, secrets)],
        "volumes": [
            {"name": "config", "configMap": {"name": config}},
            {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}},
            *(_certificate(name, config) for name in secrets),
        ],
    }


def _certificate(secret: str, config: str) -> dict[str, Any]:
    # A Secret that isn't there must not keep the pod, which other models need too, from starting. What comes
    # later in a projected volume has the last word.
    names = [{"key": name, "path": name} for name in placeholder.files()]
    sources = [
        {"configMap": {"name": config, "items": names}},
        {"secret": {"name": secret, "optional": True}},
    ]
    return {"name": _volume(secret), "projected": {"sources": sources}}


def _volume(secret: str) -> str:
    return f"tls-{naming.digest(secret)}"


def _container(settings: RouterSettings, secrets: Sequence[str]) -> dict[str, Any]:
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
            {"name": "config", "mountPath": CONFIG_DIR, "readOnly": True},
            {"name": "token", "mountPath": bootstrap.TOKEN_DIR, "readOnly": True},
            *(
                {"name": _volume(name), "mountPath": f"{bootstrap.TLS_DIR}/{name}", "readOnly": True}
                for name in secrets
            ),
        ],
    }


def _arguments(settings: RouterSettings) -> list[str]:
    return [
        *("-c", f"{CONFIG_DIR}/bootstrap.json"),
        *("--service-node", "$(POD_NAMESPACE)/$(POD_NAME)", "--service-cluster", NAME),
        *("--concurrency", str(settings.concurrency)),
        *("--drain-time-s", str(_LISTENER_DRAIN_SECONDS)),
        # It would want shared memory to write to; a pod is replaced, not restarted in place.
        "--disable-hot-restart",
    ]


def _downward(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
