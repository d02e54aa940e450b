"""How the pods of a revision are found, checked and chosen from."""

from typing import Any

from modeldeploy.render.traffic.envoy import ADS, TYPE, extension, socket
from modeldeploy.render.traffic.model import Backend, Endpoint, RoutedModel

ANSWERS = "HIGH"
"""Priority of requests whose answers somebody waits for; copies have the other one, DEFAULT. Each priority
has connections and limits of its own in every cluster, so copies can't take anything away from answers."""

BODY_BYTES = 8 * 1024 * 1024
"""What a router keeps of a request's body at most: to send it again, or for a candidate that reads its copy
slowly. It bounds the memory of a request."""

METADATA = "modeldeploy"
"""Under this name a cluster tells its revision."""

_UNLIMITED = 1_000_000
_COPIES = 1024
"""Copies that a candidate may be busy with at a time, for each router pod. More than that are errors."""
_OVERPROVISIONING_PERCENT = 1_000_000
_LARGEST_SHARE_EJECTED = 34


def cluster(model: RoutedModel, backend: Backend) -> dict[str, Any]:
    """The cluster of a revision at one of a model's ports."""
    name = model.cluster(backend.revision)
    shared = model.statistics(backend.revision)
    return {
        "name": name,
        **({} if name == shared else {"alt_stat_name": shared}),
        **(_named(name, backend) if backend.hostname else _discovered()),
        "metadata": {"filter_metadata": {METADATA: {"revision": backend.revision}}},
        "connect_timeout": "0.5s",
        # Envoy slows a request down as soon as this much of its copy waits to be read.
        "per_connection_buffer_limit_bytes": BODY_BYTES,
        # Requests to a model are few and long: it pays to look at more than two pods for the least busy one.
        "lb_policy": "LEAST_REQUEST",
        "least_request_lb_config": {"choice_count": 4},
        "circuit_breakers": {"thresholds": [_limits(ANSWERS, _UNLIMITED), _limits("DEFAULT", _COPIES)]},
        "outlier_detection": _ejection(),
        "upstream_connection_options": {
            "tcp_keepalive": {"keepalive_time": 30, "keepalive_interval": 10, "keepalive_probes": 3},
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _protocol(http2=backend.http2),
        },
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


def _discovered() -> dict[str, Any]:
    return {
        "type": "EDS",
        "eds_cluster_config": {"eds_config": ADS},
        "common_lb_config": {
            "ignore_new_hosts_until_first_hc": True,
            # Merging would leave a new pod unused for up to a second after its first check has passed.
            "update_merge_window": "0s",
        },
        # A pod that Kubernetes has taken out gets nothing new, whatever its health check says.
        "ignore_health_on_host_removal": True,
        "health_checks": [_health_check()],
    }


def _named(name: str, backend: Backend) -> dict[str, Any]:
    # A Service of the user's own: kube-proxy knows its pods, and it may be one without pods.
    dns = extension(
        "envoy.cluster.dns",
        "envoy.extensions.clusters.dns.v3.DnsCluster",
        dns_lookup_family="V4_PREFERRED",
        dns_failure_refresh_rate={"base_interval": "0.5s", "max_interval": "5s"},
    )
    addressed = {"endpoint": {"address": socket(backend.hostname, backend.service_port)}}
    return {
        "cluster_type": dns,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [addressed]}]},
    }


def _limits(priority: str, most: int) -> dict[str, Any]:
    kinds = ("connections", "pending_requests", "requests", "retries")
    return {"priority": priority, **{f"max_{kind}": most for kind in kinds}}


def _ejection() -> dict[str, Any]:
    # Passively: a pod that fails again and again gets no requests for some seconds. Only failures of the way
    # there and of gateways count (502 to 504, or the same in gRPC's words): 500 may be the request's fault.
    # The share leaves a last pod alone; beside a single pod its Service's address counts as another host.
    return {
        "consecutive_gateway_failure": 5,
        "enforcing_consecutive_gateway_failure": 100,
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 5,
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_consecutive_5xx": 0,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
        "max_ejection_percent": _LARGEST_SHARE_EJECTED,
        "always_eject_one_host": False,
        "interval": "1s",
        "base_ejection_time": "5s",
        "max_ejection_time": "30s",
        # The active check only asks whether something listens there.
        "successful_active_health_check_uneject_host": False,
    }


def _protocol(*, http2: bool) -> dict[str, Any]:
    alive = {"connection_keepalive": {"interval": "10s", "timeout": "5s"}}
    spoken = {"http2_protocol_options": alive} if http2 else {"http_protocol_options": {}}
    return {
        "@type": TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        # Shorter than the keep-alive of common servers (uvicorn: 5 s), so that this end closes an idle
        # connection and no request is written to one that the server is just closing.
        "common_http_protocol_options": {"idle_timeout": "3s"},
        "explicit_http_config": spoken,
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


def _ready(backend: Backend) -> list[Endpoint]:
    ready = {endpoint for endpoint in backend.endpoints if endpoint.ready}
    return sorted(ready, key=lambda endpoint: (endpoint.address, endpoint.port))


def _service(backend: Backend) -> list[Endpoint]:
    return [Endpoint(backend.cluster_ip, backend.service_port)] if backend.cluster_ip else []


def _address(endpoint: Endpoint) -> dict[str, Any]:
    return {"endpoint": {"address": socket(endpoint.address, endpoint.port)}}
