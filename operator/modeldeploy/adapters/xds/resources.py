"""From plain dicts to the protobuf messages that go over the wire.

Only the proto modules that the resources name are imported: JSON is parsed against the pool of imported
types.
"""

from dataclasses import dataclass
from typing import Any

import envoy.config.cluster.v3.cluster_pb2
import envoy.config.endpoint.v3.endpoint_pb2
import envoy.config.listener.v3.listener_pb2
import envoy.config.route.v3.route_pb2
import envoy.extensions.access_loggers.stats.v3.stats_pb2
import envoy.extensions.clusters.dns.v3.dns_cluster_pb2
import envoy.extensions.filters.http.router.v3.router_pb2
import envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2
import envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2
import envoy.extensions.request_id.uuid.v3.uuid_pb2
import envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2
import envoy.extensions.retry.priority.previous_priorities.v3.previous_priorities_config_pb2
import envoy.extensions.transport_sockets.tls.v3.tls_pb2
import envoy.extensions.upstreams.http.v3.http_protocol_options_pb2  # noqa: F401
from google.protobuf import any_pb2, json_format


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource ready to be sent.

    Attributes:
        digest: Hash of the content. Equal on every replica of the same version of the operator.
        packed: The message inside its `Any`.
    """

    digest: str
    packed: any_pb2.Any


def pack(type_url: str, content: dict[str, Any]) -> any_pb2.Any:
    """The resource as an `Any`; ValueError for what the proto doesn't admit."""
    try:
        return json_format.ParseDict({"@type": type_url, **content}, any_pb2.Any())
    except json_format.ParseError as error:
        raise ValueError(str(error)) from error
