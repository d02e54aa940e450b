"""Envoy's dynamic configuration for the embedded router, as plain dicts in the JSON form of its protos.

A pure function of the models: equal models give equal resources, on every operator replica.

A listener's configuration depends on nothing but the model's name and port, because Envoy drains the
connections of a listener that changes; everything that moves (weights, timeouts, generation) stands in its
route table.
"""

from collections.abc import Iterable
from typing import Any

from modeldeploy.render.traffic.model import (
    GENERATION_HOST,
    REVISION_HEADER,
    Backend,
    Endpoint,
    RoutedModel,
)

TYPE = "type.googleapis.com/"
CLUSTER = TYPE + "envoy.config.cluster.v3.Cluster"
ENDPOINTS = TYPE + "envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = TYPE + "envoy.config.listener.v3.Listener"
ROUTES = TYPE + "envoy.config.route.v3.RouteConfiguration"

CONNECTION_SECONDS = 15
"""After this long a client's connection is closed behind its next answer. It bounds how long a terminating
router pod must stay (see `router_objects`), and spreads clients anew over the router pods."""

_ADS = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
_UNLIMITED = 1_000_000
# What has come of an upload is kept until the answer begins, so that it can go to another pod when the first
# one is gone; a longer one has only one try. It bounds the router's memory per request.
_BODY_BUFFER_BYTES = 8 * 1024 * 1024
_OVERPROVISIONING_PERCENT = 1_000_000


def resources(models: Iterable[RoutedModel]) -> dict[str, dict[str, dict[str, Any]]]:
    """All resources of the given models as `{type URL: {resource name: resource}}`."""
    found: dict[str, dict[str, dict[str, Any]]] = {CLUSTER: {}, ENDPOINTS: {}, LISTENER: {}, ROUTES: {}}
    for model in models:
        found[LISTENER][model.key] = listener(model)
        found[ROUTES][model.key] = routes(model)
        for backend in model.backends:
            name = model.cluster(backend.revision)
            found[CLUSTER][name] = cluster(name)
            found[ENDPOINTS][name] = assignment(name, backend)
    return found


def listener(model: RoutedModel) -> dict[str, Any]:
    """The listener of a model: any Host header, routes by RDS."""
    manager = {
        "@type": TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "models",
        "rds": {"route_config_name": model.key, "config_source": _ADS},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": TYPE + "envoy.extensions.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            },
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
        "common_http_protocol_options": {"max_connection_duration": _seconds(CONNECTION_SECONDS)},
        "http1_safe_max_connection_duration": True,
    }
    return {
        "name": model.key,
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": model.listener_port}},  # noqa: S104
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]},
        ],
    }


def routes(model: RoutedModel) -> dict[str, Any]:
    """The route table of a model: its weights, and the generation they belong to."""
    generation = {"status": 200, "body": {"inline_string": str(model.generation)}}
    return {
        "name": model.key,
        "ignore_port_in_host_matching": True,
        "virtual_hosts": [
            {
                "name": "generation",
                "domains": [GENERATION_HOST],
                "routes": [{"match": {"prefix": "/"}, "direct_response": generation}],
            },
            {"name": "model", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **_target(model)}]},
        ],
    }


def _target(model: RoutedModel) -> dict[str, Any]:
    weighted = [
        {
            "name": model.cluster(backend.revision),
            "weight": backend.weight,
            "response_headers_to_add": [
                {
                    "header": {"key": REVISION_HEADER, "value": backend.revision},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                },
            ],
        }
        for backend in model.backends
        if backend.weight > 0
    ]
    if not weighted:
        nothing = f"no revision of {model.key} takes requests yet\n"
        return {"direct_response": {"status": 503, "body": {"inline_string": nothing}}}
    bounded = model.timeout_s is not None and model.timeout_s > 0
    return {
        "route": {
            "weighted_clusters": {"clusters": weighted},
            "timeout": _seconds(model.timeout_s if bounded and model.timeout_s else 0),
            "idle_timeout": _seconds(0 if bounded else model.stream_idle_s),
            "retry_policy": _retries(),
        },
        "request_body_buffer_limit": _BODY_BUFFER_BYTES,
    }


def _retries() -> dict[str, Any]:
    # Only what can't have reached a model is sent again. The first retry goes to the other priority: when a
    # pod is gone the Service's ClusterIP is still kept right by kube-proxy, the other pods' addresses may not
    # be.
    return {
        "retry_on": "connect-failure,refused-stream,reset-before-request",
        "num_retries": 5,
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {
                "@type": TYPE
                + "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                "update_frequency": 1,
            },
        },
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": TYPE + "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
                },
            },
        ],
        "host_selection_retry_max_attempts": 5,
        "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.1s"},
    }


def cluster(name: str) -> dict[str, Any]:
    """The cluster of a revision: how its pods are found, checked and chosen from."""
    return {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _ADS},
        "connect_timeout": "0.5s",
        # Requests to a model are few and long: it pays to look at more than two pods for the least busy one.
        "lb_policy": "LEAST_REQUEST",
        "least_request_lb_config": {"choice_count": 4},
        "common_lb_config": {
            "ignore_new_hosts_until_first_hc": True,
            # Merging would leave a new pod unused for up to a second after its first check has passed.
            "update_merge_window": "0s",
        },
        # A pod that Kubernetes has taken out gets nothing new, whatever its health check says.
        "ignore_health_on_host_removal": True,
        "health_checks": [_health_check()],
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": _UNLIMITED,
                    "max_pending_requests": _UNLIMITED,
                    "max_requests": _UNLIMITED,
                    "max_retries": _UNLIMITED,
                },
            ],
        },
        "upstream_connection_options": {
            "tcp_keepalive": {"keepalive_time": 30, "keepalive_interval": 10, "keepalive_probes": 3},
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                # Shorter than the keep-alive of common servers (uvicorn: 5 s), so that this end closes an
                # idle connection and no request is written to one that the server is just closing.
                "common_http_protocol_options": {"idle_timeout": "3s"},
                "explicit_http_config": {"http_protocol_options": {}},
            },
        },
    }


def _health_check() -> dict[str, Any]:
    # It only asks whether something still listens at the address. Whether the model is well is the kubelet's
    # readiness probe, known through EndpointSlices; an HTTP check would fail on a server that is merely busy.
    return {
        "tcp_health_check": {},
        "timeout": "1s",
        "interval": "5s",
        "no_traffic_interval": "5s",
        "unhealthy_edge_interval": "1s",
        "unhealthy_interval": "1s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
    }


def assignment(name: str, backend: Backend) -> dict[str, Any]:
    """A revision's addresses: ready pods first, its Service's ClusterIP when none of them can be reached."""
    localities = [
        {"priority": priority, "lb_endpoints": [_address(endpoint) for endpoint in group]}
        for priority, group in enumerate((_ready(backend), _service(backend)))
    ]
    return {
        "cluster_name": name,
        "endpoints": localities,
        # One healthy pod in ten thousand keeps all requests at priority 0: the ClusterIP, which can't choose
        # the least busy pod, gets no share of them before all are gone.
        "policy": {"overprovisioning_factor": _OVERPROVISIONING_PERCENT},
    }


def _ready(backend: Backend) -> list[Endpoint]:
    ready = {endpoint for endpoint in backend.endpoints if endpoint.ready}
    return sorted(ready, key=lambda endpoint: (endpoint.address, endpoint.port))


def _service(backend: Backend) -> list[Endpoint]:
    return [Endpoint(backend.cluster_ip, backend.service_port)] if backend.cluster_ip else []


def _address(endpoint: Endpoint) -> dict[str, Any]:
    address = {"address": endpoint.address, "port_value": endpoint.port}
    return {"endpoint": {"address": {"socket_address": address}}}


def _seconds(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") + "s"
