"""The objects around a revision's Deployment: its record, Service, autoscaler and disruption budget."""

from collections.abc import Mapping
from typing import Any

from modeldeploy.api.v1alpha1.server import Protocol, Replicas, Server
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core import naming
from modeldeploy.core.snapshot import Revision
from modeldeploy.render.meta import Owner, child
from modeldeploy.render.workload import Object, deployment, is_autoscaled, selector

TARGET_CPU = 70


def controller_revision(owner: Owner, revision: Revision) -> Object:
    """The immutable record of a revision; everything else of it can be made again from this."""
    data = {"content": dict(revision.content), "template": dict(revision.template)}
    return child("apps/v1", "ControllerRevision", owner, revision) | {
        "revision": revision.number,
        "data": data,
    }


def read_controller_revision(record: Mapping[str, Any]) -> Revision | None:
    """A revision from its record; None if the record isn't one of ours."""
    data = record.get("data") or {}
    name = record["metadata"].get("labels", {}).get(naming.REVISION)
    if not name or "content" not in data or "template" not in data:
        return None
    return Revision(
        name=name,
        number=int(record["revision"]),
        model_version=data["content"]["model"]["version"],
        content=data["content"],
        template=data["template"],
    )


def todays_server(content: Mapping[str, Any], spec: ModelDeploymentSpec) -> Server:
    """The server of a revision's content, with today's fields that no pod feels."""
    written = Server.model_validate(content["server"])
    return written.model_copy(
        update={"replicas": spec.server.replicas, "startup_timeout": spec.server.startup_timeout}
    )


def objects(
    owner: Owner, revision: Revision, server: Server, size: int, *, handed_over: bool, capped: bool = False
) -> tuple[Object, ...]:
    """What a running revision consists of, in the order in which it is applied.

    Args:
        owner: The ModelDeployment.
        revision: The revision.
        server: Its server, with today's replicas.
        size: Pods that it has at least; exactly so many where nothing scales it.
        handed_over: The Deployment exists, so that an autoscaler, where there is one, has its replicas to
            choose. A new Deployment starts with `size` instead of waiting for the autoscaler.
        capped: There is no room for more than `size`, whatever an autoscaler would like.
    """
    autoscaled = is_autoscaled(server.replicas) and handed_over and size > 0
    parts = [
        deployment(owner, revision, server, None if autoscaled else size),
        _service(owner, revision, server),
        _budget(owner, revision),
    ]
    if autoscaled:
        parts.append(_autoscaler(owner, revision, server.replicas, size, capped=capped))
    return tuple(parts)


def _service(owner: Owner, revision: Revision, server: Server) -> Object:
    first = _service_port("http", 80, server.protocol)
    extra = [_service_port(port.name, port.port, port.protocol) for port in server.extra_ports or ()]
    return child("v1", "Service", owner, revision) | {
        "spec": {"selector": selector(owner.name, revision.name), "ports": [first, *extra]}
    }


def _service_port(name: str, number: int, protocol: Protocol | None) -> Object:
    spoken = {"appProtocol": "kubernetes.io/h2c"} if protocol is Protocol.HTTP2 else {}
    return {"name": name, "port": number, "targetPort": name, "protocol": "TCP", **spoken}


def _budget(owner: Owner, revision: Revision) -> Object:
    return child("policy/v1", "PodDisruptionBudget", owner, revision) | {
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": selector(owner.name, revision.name)},
        }
    }


def _autoscaler(owner: Owner, revision: Revision, replicas: Replicas, size: int, *, capped: bool) -> Object:
    return child("autoscaling/v2", "HorizontalPodAutoscaler", owner, revision) | {
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": naming.object_name(owner.name, revision.name),
            },
            "minReplicas": max(1, size),
            "maxReplicas": max(1, size) if capped else max(size, replicas.max or 1),
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {
                            "type": "Utilization",
                            "averageUtilization": replicas.target_cpu or TARGET_CPU,
                        },
                    },
                }
            ],
        }
    }
