"""Envoy's dynamic configuration for the embedded router, as plain dicts in the JSON form of its protos.

A pure function of the models: equal models give equal resources, on every operator replica.

A listener's configuration depends on nothing but the model's name, port and certificate, because Envoy drains
the connections of a listener that changes; everything that moves (weights, timeouts, generation) stands in
its route table.
"""

from collections.abc import Iterable
from typing import Any

from modeldeploy.render.traffic.envoy import (
    ADS,
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    ROUTES,
    TYPE,
    extension,
    seconds,
    socket,
)
from modeldeploy.render.traffic.model import RoutedModel
from modeldeploy.render.traffic.router_clusters import METADATA, assignment, cluster
from modeldeploy.render.traffic.router_routes import routes

CONNECTION_SECONDS = 15
"""After this long a client's connection is closed behind its next answer. It bounds how long a terminating
router pod must stay (see `router_objects`), and spreads clients anew over the router pods."""

CONFIG_DIR = "/etc/modeldeploy-router"
"""Where a router pod has its configuration."""


def resources(models: Iterable[RoutedModel]) -> dict[str, dict[str, dict[str, Any]]]:
    """All resources of the given models as `{type URL: {resource name: resource}}`."""
    found: dict[str, dict[str, dict[str, Any]]] = {CLUSTER: {}, ENDPOINTS: {}, LISTENER: {}, ROUTES: {}}
    for table in (table for model in models for table in model.tables()):
        found[LISTENER][table.key] = listener(table)
        found[ROUTES][table.key] = routes(table)
        for backend in table.backends:
            name = table.cluster(backend.revision)
            found[CLUSTER][name] = cluster(table, backend)
            if not backend.hostname:
                found[ENDPOINTS][name] = assignment(name, backend)
    return found


def listener(model: RoutedModel) -> dict[str, Any]:
    """The listener of a model's port: any Host header, HTTP/1.1 and HTTP/2, routes by RDS.

    With a certificate it takes TLS as well. Plain requests then only learn the generation: the route table
    sends all others to https.
    """
    plain = {
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": _http(model)}]
    }
    return {
        "name": model.key,
        "address": socket("0.0.0.0", model.listener_port),  # noqa: S104
        **(_encrypted(model, plain) if model.tls_secret else {"filter_chains": [plain]}),
    }


def secret_file(secret: str) -> str:
    """Name of the file, in a router's configuration, that leads Envoy to a Secret's certificate."""
    return f"tls-{secret}.json"


def _http(model: RoutedModel) -> dict[str, Any]:
    return {
        "@type": TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "models",
        "rds": {"route_config_name": model.key, "config_source": ADS},
        "http_filters": [
            extension(
                "envoy.filters.http.router",
                "envoy.extensions.filters.http.router.v3.Router",
                suppress_envoy_headers=True,
                upstream_log=[_endings(model)],
            ),
        ],
        # Clients count as external: their x-envoy-* headers could otherwise change retries and timeouts.
        "use_remote_address": True,
        "server_header_transformation": "PASS_THROUGH",
        # The client's request id is what late feedback is joined by, so it stays as it came and is always
        # told.
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        "request_id_extension": {
            "typed_config": {
                "@type": TYPE + "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig",
                "pack_trace_reason": False,
            },
        },
        "common_http_protocol_options": {"max_connection_duration": seconds(CONNECTION_SECONDS)},
        "http1_safe_max_connection_duration": True,
    }


def _endings(model: RoutedModel) -> dict[str, Any]:
    # Counts how calls end, those of copies too: their HTTP status is 200 whatever has happened.
    tags = {
        "modeldeploy_namespace": model.namespace,
        "modeldeploy_name": model.name,
        "modeldeploy_revision": f"%CLUSTER_METADATA({METADATA}:revision)%",
        "grpc_status": "%GRPC_STATUS_NUMBER%",
    }
    stat = {
        "name": "calls",
        "tags": [{"name": name, "value_format": value} for name, value in tags.items()],
    }
    counter = extension(
        "envoy.access_loggers.stats",
        "envoy.extensions.access_loggers.stats.v3.Config",
        stat_prefix="grpc",
        counters=[{"stat": stat, "value_fixed": 1}],
    )
    calls = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
    return {"filter": {"header_filter": {"header": calls}}, **counter}


def _encrypted(model: RoutedModel, plain: dict[str, Any]) -> dict[str, Any]:
    certificate = {
        "name": "certificate",
        "sds_config": {
            "path_config_source": {"path": f"{CONFIG_DIR}/{secret_file(model.tls_secret)}"},
            "resource_api_version": "V3",
            # With a broken Secret the listener is there all the same, and its handshakes fail.
            "initial_fetch_timeout": "1s",
        },
    }
    context = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificate_sds_secret_configs": [certificate],
    }
    socket_of = extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context=context,
    )
    inspector = extension(
        "envoy.filters.listener.tls_inspector",
        "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
    )
    secure = {"filter_chain_match": {"transport_protocol": "tls"}, "transport_socket": socket_of, **plain}
    return {
        "listener_filters": [inspector],
        "filter_chains": [{"name": "tls", **secure}, {"name": "plain", **plain}],
    }
