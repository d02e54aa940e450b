"""The operator's settings, from environment variables: what the chart sets and a pod can see."""

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from modeldeploy.api.v1alpha1.rules import HEADERS, QUERY_PARAMETERS

_PREFIX = "MODELDEPLOY_"
_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_PORTS = (1, 65535)
_HOST = re.compile(r"(?:[A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")

_KIND = re.compile(
    r"(?P<version>(?![a-z0-9.-]*\.k8s\.io/)[a-z0-9-]+(\.[a-z0-9-]+)+/v[0-9a-z]+)/(?P<kind>[A-Z][A-Za-z0-9]*)/"
    r"(?P<plural>[a-z][a-z0-9]*)"
)
"""A custom resource: its group has a dot. Kinds of Kubernetes itself could ask for the host or for rights."""


class SettingError(ValueError):
    """A setting that can't be used; the message names the variable, its value and what it must be."""


@dataclass(frozen=True)
class Settings:
    """What one operator process is told.

    Attributes:
        namespace: Its own namespace: the Lease lives there.
        identity: Its name in the Lease and in Events: the pod's.
        watch_namespaces: Where ModelDeployments are looked after; empty for the whole cluster.
        prometheus_url: Where metrics are asked for, unless an object says otherwise; empty for nowhere.
        prometheus_allowed_urls: Further Prometheus URLs that an object may name.
        prometheus_credentials: The folder with what the operator's own Prometheus is shown: a mounted Secret.
        prometheus_secret_names: Secrets that objects may name for the Prometheus that they name.
        prometheus_parameters: Added to every question to the operator's own Prometheus.
        prometheus_headers: Added to every request to it.
        prometheus_timeout: Seconds that one question to any Prometheus may take.
        router_image: The image of the embedded router.
        router_replicas: Router pods in a namespace, unless they are scaled by load.
        router_autoscaling: Bounds of their number (least, most) and the CPU use in percent of the request
            that is aimed at; None for a fixed number.
        xds_address: `host:port` at which routers reach the operator; empty where there is none.
        xds_port: TCP port of the configuration server.
        health_port: TCP port of `/livez` and `/readyz`.
        metrics_port: TCP port of the operator's own `/metrics`.
        lease_name: The Lease that elects the acting replica.
        lease_duration: Seconds after which the others may take over from a leader that is silent.
        lease_renew: Seconds between renewals.
        workers: ModelDeployments worked on at the same time.
        request_timeout: Seconds for one request to the API server.
        write_rate: Writes per second that the API server is asked to take.
        write_burst: Writes that may be sent at once after a rest.
        retraining_allowed_hosts: Hosts that a webhook of spec.retraining may be at: `host` or `host:port`.
        retraining_secret_names: Secrets that may be read to sign such calls.
        retraining_objects: Kinds of other controllers that may be made to retrain, as (apiVersion, kind,
            plural).
        log_level: DEBUG, INFO, WARNING or ERROR.
    """

    namespace: str
    identity: str
    watch_namespaces: tuple[str, ...] = ()
    prometheus_url: str = ""
    prometheus_allowed_urls: tuple[str, ...] = ()
    prometheus_credentials: str = ""
    prometheus_secret_names: tuple[str, ...] = ()
    prometheus_parameters: tuple[tuple[str, str], ...] = ()
    prometheus_headers: tuple[tuple[str, str], ...] = ()
    prometheus_timeout: float = 5.0
    router_image: str = ""
    router_replicas: int = 2
    router_autoscaling: tuple[int, int, int] | None = None
    xds_address: str = ""
    xds_port: int = 18000
    health_port: int = 8081
    metrics_port: int = 8082
    lease_name: str = "modeldeploy-lease"
    lease_duration: float = 15.0
    lease_renew: float = 5.0
    workers: int = 8
    request_timeout: float = 10.0
    write_rate: float = 50.0
    write_burst: int = 100
    retraining_allowed_hosts: tuple[str, ...] = ()
    retraining_secret_names: tuple[str, ...] = ()
    retraining_objects: tuple[tuple[str, str, str], ...] = ()
    log_level: str = "INFO"

    @property
    def prometheus_urls(self) -> frozenset[str]:
        """Every Prometheus URL that may be asked, without a slash at the end."""
        return frozenset(
            url.rstrip("/") for url in (self.prometheus_url, *self.prometheus_allowed_urls) if url
        )


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process.

    Raises:
        SettingError: A variable's value can't be used.
    """
    read = _Reader(environ)
    duration = read.number("LEASE_DURATION", Settings.lease_duration, 3, 300)
    return Settings(
        namespace=read.text("NAMESPACE", _own_namespace()),
        identity=environ.get("POD_NAME") or f"{platform.node()}-{os.getpid()}",
        watch_namespaces=read.several("WATCH_NAMESPACES"),
        prometheus_url=read.url("PROMETHEUS_URL"),
        prometheus_allowed_urls=read.urls("PROMETHEUS_ALLOWED_URLS"),
        prometheus_credentials=read.text("PROMETHEUS_CREDENTIALS"),
        prometheus_secret_names=read.several("PROMETHEUS_SECRET_NAMES"),
        prometheus_parameters=read.pairs("PROMETHEUS_QUERY_PARAMETERS", QUERY_PARAMETERS),
        prometheus_headers=read.pairs("PROMETHEUS_HEADERS", HEADERS),
        prometheus_timeout=read.number("PROMETHEUS_TIMEOUT", Settings.prometheus_timeout, 0.5, 60),
        router_image=read.text("ROUTER_IMAGE", Settings.router_image),
        router_replicas=read.whole("ROUTER_REPLICAS", Settings.router_replicas, 1, 100),
        router_autoscaling=_autoscaling(read),
        xds_address=read.address("XDS_ADDRESS"),
        xds_port=read.whole("XDS_PORT", Settings.xds_port, *_PORTS),
        health_port=read.whole("HEALTH_PORT", Settings.health_port, *_PORTS),
        metrics_port=read.whole("METRICS_PORT", Settings.metrics_port, *_PORTS),
        lease_name=read.text("LEASE_NAME", Settings.lease_name),
        lease_duration=duration,
        lease_renew=read.number("LEASE_RENEW", duration / 3, 0.5, duration / 2),
        workers=read.whole("WORKERS", Settings.workers, 1, 256),
        request_timeout=read.number("REQUEST_TIMEOUT", Settings.request_timeout, 1, 120),
        write_rate=read.number("WRITE_RATE", Settings.write_rate, 1, 10_000),
        write_burst=read.whole("WRITE_BURST", Settings.write_burst, 1, 10_000),
        retraining_allowed_hosts=read.hosts("RETRAINING_ALLOWED_HOSTS"),
        retraining_secret_names=read.several("RETRAINING_SECRET_NAMES"),
        retraining_objects=read.kinds("RETRAINING_OBJECTS"),
        log_level=read.choice("LOG_LEVEL", Settings.log_level, _LEVELS),
    )


def _autoscaling(read: "_Reader") -> tuple[int, int, int] | None:
    if not read.text("ROUTER_MAX_REPLICAS"):
        return None
    least = read.whole("ROUTER_MIN_REPLICAS", 2, 1, 100)
    most = read.whole("ROUTER_MAX_REPLICAS", least, least, 100)
    return least, most, read.whole("ROUTER_TARGET_CPU", 60, 1, 100)


def _own_namespace() -> str:
    try:
        return _NAMESPACE_FILE.read_text().strip()
    except OSError:
        return "default"


class _Reader:
    """Reads variables; an empty one counts as absent, as a chart's empty value does."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str = "") -> str:
        return self._environ.get(_PREFIX + name, "").strip() or default

    def several(self, name: str) -> tuple[str, ...]:
        parts = (part.strip() for part in self.text(name).split(","))
        return tuple(part for part in parts if part)

    def whole(self, name: str, default: int, lowest: int, highest: int) -> int:
        value = self.number(name, default, lowest, highest)
        if not value.is_integer():
            raise self._error(name, f"a whole number from {lowest} to {highest}")
        return int(value)

    def number(self, name: str, default: float, lowest: float, highest: float) -> float:
        try:
            value = float(self.text(name, str(default)))
        except ValueError:
            value = float("nan")
        if not lowest <= value <= highest:
            raise self._error(name, f"a number from {lowest:g} to {highest:g}")
        return value

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.text(name, default).upper()
        if value not in choices:
            raise self._error(name, f"one of {', '.join(choices)}")
        return value

    def pairs(self, name: str, known: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        pairs = tuple(
            (key.strip(), value.strip())
            for key, _, value in (part.partition("=") for part in self.several(name))
        )
        if not all(key in known and value for key, value in pairs):
            raise self._error(name, f"name=value,… with names among {', '.join(known)}")
        return pairs

    def url(self, name: str) -> str:
        urls = self.urls(name)
        if len(urls) > 1:
            raise self._error(name, "one URL")
        return urls[0] if urls else ""

    def urls(self, name: str) -> tuple[str, ...]:
        urls = self.several(name)
        if any("@" in url.partition("://")[2].partition("/")[0] for url in urls):
            # Not through _error, which repeats the value.
            raise SettingError(
                f"{_PREFIX}{name} holds credentials; leave them out, and name a Secret in the chart value "
                "prometheus.credentialsSecret"
            )
        if not all(_is_url(url) for url in urls):
            raise self._error(
                name, "http:// or https:// and a host, such as http://prometheus.monitoring:9090"
            )
        return urls

    def hosts(self, name: str) -> tuple[str, ...]:
        hosts = self.several(name)
        if not all(_HOST.fullmatch(host) for host in hosts):
            raise self._error(
                name, "hosts, each with a port if it isn't the scheme's own, such as a.example:8080"
            )
        return hosts

    def kinds(self, name: str) -> tuple[tuple[str, str, str], ...]:
        found = [_KIND.fullmatch(one) for one in self.several(name)]
        if not all(found):
            raise self._error(
                name,
                "kinds of custom resources as group/version/Kind/plural, such as "
                "argoproj.io/v1alpha1/Workflow/workflows",
            )
        return tuple((one["version"], one["kind"], one["plural"]) for one in found if one)

    def address(self, name: str) -> str:
        value = self.text(name)
        host, _, port = value.rpartition(":")
        if value and not (host and port.isdecimal() and _PORTS[0] <= int(port) <= _PORTS[1]):
            raise self._error(name, "host:port, such as modeldeploy-xds.modeldeploy.svc:18000")
        return value

    def _error(self, name: str, wanted: str) -> SettingError:
        return SettingError(f"{_PREFIX}{name} is {self.text(name)!r}; it must be {wanted}")


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
