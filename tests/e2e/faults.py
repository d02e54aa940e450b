"""Versions whose pods cannot run, each with the first sign of it and with what must be said."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from e2e.messages import containers
from e2e.reach import Object
from e2e.support import Place, condition


@dataclass(frozen=True)
class Fault:
    """A version whose pods can't run.

    Attributes:
        server: Changes of `spec.server`.
        reason: Of the condition.
        words: Of the message.
        sign: What of the cluster shows the fault first; None when the API server's answer does.
    """

    server: Object
    reason: str
    words: tuple[str, ...]
    sign: Callable[[Place], object] | None = None


def _pod(**model: Any) -> Object:
    return {"podTemplate": {"spec": {"containers": [{"name": "model", **model}]}}}


def _waits(*reasons: str) -> Callable[[Place], object]:
    return lambda place: any(
        one["state"].get("waiting", {}).get("reason") in reasons for one in containers(place)
    )


def _unschedulable(place: Place) -> object:
    pods = place.api.list("Pod", place.namespace)
    return any((condition(pod["status"], "PodScheduled") or {}).get("status") == "False" for pod in pods)


def _refused(place: Place) -> object:
    return any(
        condition(one["status"], "ReplicaFailure") for one in place.api.list("Deployment", place.namespace)
    )


FAULTS = {
    "an image that does not exist": Fault(
        {"image": "localhost/nowhere:1"},
        "PodsNotReady",
        ("its image cannot be pulled", "localhost/nowhere:1", "correct spec.server.image"),
        _waits("ErrImagePull", "ImagePullBackOff"),
    ),
    "a server that crashes": Fault(
        _pod(command=["python3", "-c", "raise SystemExit(3)"]),
        "PodsNotReady",
        ("container model of pod", "crashes", "exit code 3", "see kubectl logs"),
        lambda place: any("terminated" in one["state"] | one["lastState"] for one in containers(place)),
    ),
    "a port that nothing listens on": Fault(
        {"port": 9999},
        "Progressing",
        ("does not answer GET /v2/health/ready on port 9999 with success yet",),
        lambda place: sum("running" in one["state"] for one in containers(place)) > 1,
    ),
    "more than any node has": Fault(
        {"resources": {"requests": {"cpu": "1000"}}},
        "PodsNotReady",
        ("fits on no node", "Insufficient cpu", "lower spec.server.resources.requests"),
        _unschedulable,
    ),
    "more rights than the namespace allows": Fault(
        _pod(securityContext={"privileged": True, "allowPrivilegeEscalation": True}),
        "PodsNotReady",
        ("its pods are refused", 'violates PodSecurity "restricted', "privileged"),
        _refused,
    ),
    "rights that contradict each other": Fault(
        _pod(securityContext={"privileged": True}),
        "InvalidSpec",
        ("securityContext", "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"),
    ),
    "two containers by one name": Fault(
        {"podTemplate": {"spec": {"containers": [{"name": "model"}, {"name": "model"}]}}},
        "InvalidSpec",
        ("refuses the pod template made of spec.server", "spec.containers", "duplicate", 'name="model"'),
    ),
    "less memory than it needs": Fault(
        {"resources": {"limits": {"memory": "16Mi"}}},
        "PodsNotReady",
        (
            "container model of pod",
            "needs more memory than it may have",
            "raise spec.server.resources.limits.memory",
        ),
        lambda place: any(
            "OOMKilled" in str(one["state"]) or "OOMKilled" in str(one["lastState"])
            for one in containers(place)
        ),
    ),
    "a label that would make it a router": Fault(
        {"podTemplate": {"metadata": {"labels": {"modeldeploy.dev/component": "router"}}}},
        "InvalidSpec",
        ("podTemplate.metadata.labels: modeldeploy.dev/component cannot be set by users; remove it",),
    ),
    "a field that no pod has": Fault(
        {"podTemplate": {"spec": {"nodeSelektor": {"disk": "fast"}}}},
        "InvalidSpec",
        ("refuses the pod template made of spec.server: spec.nodeSelektor: field not declared in schema",),
    ),
}
