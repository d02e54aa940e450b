"""Envoy Gateway and Traefik: their programs, and the files in their modules that install them."""

import json
from pathlib import Path

from cluster.paths import built, files_digest
from cluster.progress import step
from cluster.shell import run
from cluster.tools import environment, go, installed

ENVOY_GATEWAY = "v1.9.1"
TRAEFIK_MODULE = Path(__file__).parent / "traefik"
TRAEFIK_PACKAGE = "github.com/traefik/traefik/v3/cmd/traefik"
CRD_FILE = "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml"


def envoy_gateway() -> Path:
    """The controller of Envoy Gateway (about four minutes on two cores, once)."""
    return installed("github.com/envoyproxy/gateway/cmd/envoy-gateway", ENVOY_GATEWAY)


def envoy_gateway_charts() -> Path:
    """The folder of its charts."""
    module = run([go(), "mod", "download", "-json", f"github.com/envoyproxy/gateway@{ENVOY_GATEWAY}"])
    return Path(json.loads(module)["Dir"]) / "charts"


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
    return _module("github.com/traefik/traefik/v3") / path


def gateway_api_file(path: str) -> Path:
    """A file of the Gateway API's module, at the version that Traefik was made for."""
    return _module("sigs.k8s.io/gateway-api") / path


def _module(name: str) -> Path:
    listed = run([go(), "list", "-m", "-json", name], cwd=TRAEFIK_MODULE, env=environment())
    return Path(json.loads(listed)["Dir"])
