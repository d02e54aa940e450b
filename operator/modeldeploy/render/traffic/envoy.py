"""Words that all of Envoy's configuration is written with, in the JSON form of its protos."""

from typing import Any

TYPE = "type.googleapis.com/"
CLUSTER = TYPE + "envoy.config.cluster.v3.Cluster"
ENDPOINTS = TYPE + "envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = TYPE + "envoy.config.listener.v3.Listener"
ROUTES = TYPE + "envoy.config.route.v3.RouteConfiguration"

# Without a time limit on the first answer nothing is served before it is there.
ADS: dict[str, Any] = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}


def extension(name: str, message: str, **fields: Any) -> dict[str, Any]:
    """An extension by its name, configured by a message of this type."""
    return {"name": name, "typed_config": {"@type": TYPE + message, **fields}}


def socket(host: str, port: int) -> dict[str, Any]:
    """An address."""
    return {"socket_address": {"address": host, "port_value": port}}


def seconds(value: float) -> str:
    """A duration."""
    return f"{value:.3f}".rstrip("0").rstrip(".") + "s"
