"""Plain manifests that are taken over: a Deployment of the user's own, and the Service `<name>` before it.

First a Service of ours leads to the same pods, so that the routers have a way to them. Once the routers serve
that way, the Service `<name>` leads to the routers; whichever of the two ways a request takes, the same pods
answer.
"""

from collections.abc import Mapping
from typing import Any

from modeldeploy.core import naming
from modeldeploy.core.traffic import INCUMBENT
from modeldeploy.render.meta import Owner, child

Object = Mapping[str, Any]


def name(owner: Owner) -> str:
    """Name of the Service that leads to the adopted pods."""
    return naming.object_name(owner.name, INCUMBENT)


def way(owner: Owner, service: Object) -> dict[str, Any]:
    """The Service that leads to the adopted pods, made from the user's as it was found."""
    spec = service["spec"]
    first = spec["ports"][0]
    port = {
        "name": "http",
        "port": 80,
        "targetPort": first.get("targetPort", first["port"]),
        "protocol": first.get("protocol", "TCP"),
    }
    made = child("v1", "Service", owner, None)
    made["metadata"]["name"] = name(owner)
    # Its EndpointSlices carry the same labels, and so are found like those of a revision.
    made["metadata"]["labels"][naming.REVISION] = INCUMBENT
    return {**made, "spec": {"selector": dict(spec.get("selector") or {}), "ports": [port]}}


def with_ports(ours: dict[str, Any], found: Object) -> dict[str, Any]:
    """Our Service `<name>` with the port numbers that the user's has, so that every client keeps its way."""
    listener = ours["spec"]["ports"][0]["targetPort"]
    numbers = {port["port"] for port in ours["spec"]["ports"]}
    theirs = [
        {
            "name": port.get("name") or f"port-{port['port']}",
            "port": port["port"],
            "targetPort": listener,
            "protocol": port.get("protocol", "TCP"),
        }
        for port in found["spec"].get("ports") or []
        if port["port"] not in numbers
    ]
    return {**ours, "spec": {**ours["spec"], "ports": [*ours["spec"]["ports"], *theirs]}}
