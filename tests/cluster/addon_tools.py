"""Envoy Gateway, Traefik and metrics-server: their programs, and what their modules hold to install them."""

import json
from pathlib import Path

from cluster.paths import built, files_digest
from cluster.progress import step
from cluster.shell import run
from cluster.tools import environment, go, installed

ENVOY_GATEWAY = "v1.9.1"
TRAEFIK = "v3.6.7"
METRICS_SERVER = "v0.9.0"
TRAEFIK_MODULE = Path(__file__).parent / "traefik"
TRAEFIK_PACKAGE = "github.com/traefik/traefik/v3/cmd/traefik"
CRD_FILE = "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml"


def envoy_gateway() -> Path:
    """The controller of Envoy Gateway (about four minutes on two cores, once)."""
    return installed("github.com/envoyproxy/gateway/cmd/envoy-gateway", ENVOY_GATEWAY)


def envoy_gateway_charts() -> Path:
    """The folder of its charts."""
    return module(f"github.com/envoyproxy/gateway@{ENVOY_GATEWAY}") / "charts"


def traefik() -> Path:
    """Traefik's program; its module has replacements, so it can't be installed by its name alone."""
    version = run([go(), "env", "GOVERSION", "GOARCH"], cwd=TRAEFIK_MODULE)
    key = files_digest(TRAEFIK_MODULE, TRAEFIK_MODULE.glob("go.*"), [version])

    def build(folder: Path) -> None:
        with step("traefik (Go, once)"):
            command = [go(), "build", "-trimpath", "-ldflags", "-s -w", "-o", f"{folder}/", TRAEFIK_PACKAGE]
            run(command, cwd=TRAEFIK_MODULE, env=environment())

    return built("traefik", key, build) / "traefik"


def traefik_file(path: str) -> Path:
    """A file of Traefik's module."""
    return module(f"github.com/traefik/traefik/v3@{TRAEFIK}") / path


def metrics_server() -> Path:
    """The program that serves the CPU and memory in use (some minutes on two cores, once)."""
    return installed("sigs.k8s.io/metrics-server/cmd/metrics-server", METRICS_SERVER)


def metrics_server_manifests() -> Path:
    """The folder of its manifests, for kustomize."""
    return module(f"sigs.k8s.io/metrics-server@{METRICS_SERVER}") / "manifests" / "base"


def module(name: str) -> Path:
    """The folder of a published Go module, `<path>@<version>`."""
    return Path(json.loads(run([go(), "mod", "download", "-json", name]))["Dir"])
