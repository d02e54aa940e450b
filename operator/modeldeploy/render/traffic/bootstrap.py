"""The static part of a router's configuration, as JSON files for a ConfigMap."""

import json
from collections.abc import Iterable
from typing import Any

from modeldeploy.render.traffic import placeholder
from modeldeploy.render.traffic.envoy import ADS, TYPE, socket
from modeldeploy.render.traffic.router import CONFIG_DIR, secret_file

ADMIN_PORT = 9901
METRICS_PORT = 9902
TLS_DIR = "/etc/modeldeploy-tls"
"""Where a router pod has the certificates for clients, each in a folder named after its Secret."""
TOKEN_DIR = "/var/run/secrets/modeldeploy-xds"  # noqa: S105
XDS_SERVER_NAME = "modeldeploy-xds"
"""DNS name that the operator's certificate must carry, whatever Service and namespace it is reached by."""

LATENCY_BUCKETS_MS = (
    *(1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90),
    *(100, 120, 150, 170, 200, 220, 250, 300, 350, 400, 450, 500, 600, 700, 750, 800, 900),
    *(1_000, 1_200, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000, 7_500),
    *(10_000, 15_000, 20_000, 30_000, 45_000, 60_000),
)
"""Bounds in milliseconds. All have two significant digits, because Envoy's own bins have: such a bound's
count is exact, others are interpolated within a bin."""

_CLUSTER_STATS = (
    r"upstream_rq_(time|[1-5]xx|active|timeout|retry|rx_reset)"
    r"|upstream_cx_(connect_fail|none_healthy)"
    r"|membership_(healthy|total)"
    r"|outlier_detection\.ejections_active"
)
_REVISION = r"[^./]+/[^./]+/[^./]+"
_KEPT_STATS = (
    rf"cluster\.{_REVISION}\.({_CLUSTER_STATS})",
    r"grpc\.calls.*",
    r"(cluster_manager\.cds|listener_manager\.lds)\.update_(success|rejected)",
    r"control_plane\.connected_state",
    r"server\.(live|uptime)",
)


def files(
    xds_host: str, xds_port: int, ca_pem: str | None, tls_secrets: Iterable[str] = ()
) -> dict[str, str]:
    """Contents of the router's ConfigMap by file name.

    Args:
        xds_host: DNS name or address of the operator's xDS Service.
        xds_port: Its port.
        ca_pem: Certificate authority that signed the operator's certificate; None for plaintext.
        tls_secrets: Names of the Secrets with certificates for clients.
    """
    secrets = sorted(set(tls_secrets))
    return {
        "bootstrap.json": _json(bootstrap(xds_host, xds_port, ca_pem)),
        "token.json": _json(token_secret()),
        **{secret_file(name): _json(certificate(name)) for name in secrets},
        **(placeholder.files() if secrets else {}),
    }


def bootstrap(xds_host: str, xds_port: int, ca_pem: str | None) -> dict[str, Any]:
    """Envoy's bootstrap: everything else comes over ADS. Arguments as for `files`."""
    ads = {
        "envoy_grpc": {
            "cluster_name": "xds",
            "retry_policy": {"retry_back_off": {"base_interval": "0.25s", "max_interval": "5s"}},
        },
    }
    return {
        "admin": {"address": socket("127.0.0.1", ADMIN_PORT)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [ads],
            },
            "cds_config": ADS,
            "lds_config": ADS,
        },
        "static_resources": {
            "listeners": [_observed()],
            "clusters": [_admin(), _xds(xds_host, xds_port, ca_pem)],
        },
        # Histograms show what happened up to the last flush, so a scrape is this late at most.
        "stats_flush_interval": "0.25s",
        "stats_config": _stats(),
        # Instead of a liveness probe, which a router that still waits for the operator could not answer.
        "watchdogs": {
            "main_thread_watchdog": {"kill_timeout": "60s"},
            "worker_watchdog": {"kill_timeout": "60s"},
        },
        "overload_manager": {"resource_monitors": [_connection_limit()]},
    }


def token_secret() -> dict[str, Any]:
    """Where Envoy reads its token, in the form of a file-based SDS answer.

    The kubelet renews a projected token by swapping a symlink, which only a watch on the directory notices.
    """
    source = {"filename": f"{TOKEN_DIR}/token", "watched_directory": {"path": TOKEN_DIR}}
    secret = {
        "@type": TYPE + "envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": "token",
        "generic_secret": {"secret": source},
    }
    return {"resources": [secret]}


def certificate(secret: str) -> dict[str, Any]:
    """Where Envoy reads a certificate for clients; form and renewal are those of the token."""
    place = f"{TLS_DIR}/{secret}"
    files = {
        "certificate_chain": {"filename": f"{place}/tls.crt"},
        "private_key": {"filename": f"{place}/tls.key"},
        "watched_directory": {"path": place},
    }
    found = {
        "@type": TYPE + "envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": "certificate",
        "tls_certificate": files,
    }
    return {"resources": [found]}


def _observed() -> dict[str, Any]:
    # The admin interface can stop and reconfigure the router, so the network sees two of its answers and no
    # more.
    served: list[dict[str, Any]] = [
        {"match": {"path": "/ready"}, "route": {"cluster": "admin"}},
        {"match": {"path": "/stats/prometheus"}, "route": {"cluster": "admin"}},
    ]
    for route in served:
        route["match"]["headers"] = [{"name": ":method", "string_match": {"exact": "GET"}}]
    manager = {
        "@type": TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "observed",
        "route_config": {"virtual_hosts": [{"name": "observed", "domains": ["*"], "routes": served}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": TYPE + "envoy.extensions.filters.http.router.v3.Router"},
            },
        ],
    }
    return {
        "name": "observed",
        "address": socket("0.0.0.0", METRICS_PORT),  # noqa: S104
        "ignore_global_conn_limit": True,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]},
        ],
    }


def _admin() -> dict[str, Any]:
    return {
        "name": "admin",
        "type": "STATIC",
        "load_assignment": _assignment("admin", "127.0.0.1", ADMIN_PORT),
    }


def _xds(host: str, port: int, ca_pem: str | None) -> dict[str, Any]:
    options = {
        "@type": TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {
            "http2_protocol_options": {"connection_keepalive": {"interval": "10s", "timeout": "3s"}},
        },
        "http_filters": [
            {"name": "token", "typed_config": _token_injector()},
            {
                "name": "codec",
                "typed_config": {
                    "@type": TYPE + "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
                },
            },
        ],
    }
    return {
        "name": "xds",
        "cluster_type": {"name": "envoy.cluster.dns", "typed_config": _dns()},
        "connect_timeout": "2s",
        "load_assignment": _assignment("xds", host, port),
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options,
        },
        **({"transport_socket": _tls(ca_pem)} if ca_pem else {}),
    }


def _dns() -> dict[str, Any]:
    return {
        "@type": TYPE + "envoy.extensions.clusters.dns.v3.DnsCluster",
        "dns_lookup_family": "V4_PREFERRED",
        "dns_failure_refresh_rate": {"base_interval": "0.5s", "max_interval": "5s"},
    }


def _token_injector() -> dict[str, Any]:
    return {
        "@type": TYPE + "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
        "overwrite": True,
        "credential": {
            "name": "envoy.http.injected_credentials.generic",
            "typed_config": {
                "@type": TYPE + "envoy.extensions.http.injected_credentials.generic.v3.Generic",
                "header": "authorization",
                "header_value_prefix": "Bearer ",
                "credential": {
                    "name": "token",
                    "sds_config": {
                        "path_config_source": {"path": f"{CONFIG_DIR}/token.json"},
                        "resource_api_version": "V3",
                    },
                },
            },
        },
    }


def _tls(ca_pem: str) -> dict[str, Any]:
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": TYPE + "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": XDS_SERVER_NAME,
            "common_tls_context": {
                "validation_context": {
                    "trusted_ca": {"inline_string": ca_pem},
                    "match_typed_subject_alt_names": [
                        {"san_type": "DNS", "matcher": {"exact": XDS_SERVER_NAME}},
                    ],
                },
            },
        },
    }


def _stats() -> dict[str, Any]:
    parts = ("namespace", "name", "revision")
    # The first group is what leaves the metric's name, the second the label's value.
    tags: list[dict[str, str]] = [
        {
            "tag_name": f"modeldeploy_{part}",
            "regex": r"^cluster\.(" + "/".join("([^./]+)" if part == p else "[^./]+" for p in parts) + r"\.)",
        }
        for part in parts
    ]
    tags.append({"tag_name": "envoy.response_code_class"})
    buckets = {"match": {"suffix": "upstream_rq_time"}, "buckets": list(LATENCY_BUCKETS_MS)}
    return {
        "use_all_default_tags": False,
        "stats_tags": tags,
        "stats_matcher": {
            "inclusion_list": {"patterns": [{"safe_regex": {"regex": regex}} for regex in _KEPT_STATS]},
        },
        "histogram_bucket_settings": [buckets],
    }


def _connection_limit() -> dict[str, Any]:
    return {
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": {
            "@type": TYPE
            + "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
            "max_active_downstream_connections": 50_000,
        },
    }


def _assignment(name: str, host: str, port: int) -> dict[str, Any]:
    return {
        "cluster_name": name,
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(host, port)}}]}],
    }


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"
