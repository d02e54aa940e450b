"""Every image that tests and demo use, and where it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Image:
    """How to get one image.

    Attributes:
        dockerfile: relative to the repository.
        inputs: patterns of the files that the build may see, relative to the repository; they make its tag.
        arguments: build arguments besides ``BASE_IMAGE``.
        official: what to use instead wherever a registry can be reached.
        program: where the one program of `images/program.Dockerfile` comes from: ``debian:<path>`` in the
            unpacked packages, ``wheel`` (Envoy's), or ``go:<name>``, built by `addon_tools`.
    """

    dockerfile: str
    inputs: tuple[str, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)
    official: str = ""
    program: str = ""


PROGRAM = "tests/cluster/images/program.Dockerfile"
PRODUCT = ("pyproject.toml", "README.md", "LICENSE", "operator/**/*.py")
DIGITS = ("operator/modeltelemetry/**/*.py", "examples/digits/*")
TABLE: Mapping[str, Image] = {
    "operator": Image("Dockerfile", (*PRODUCT, ".dockerignore")),
    **{
        f"digits:{version}": Image("examples/digits/Dockerfile", DIGITS, {"VERSION": version})
        for version in ("v1", "v2-nulls", "v2-slow", "v2-errors", "v3")
    },
    "prometheus": Image(
        PROGRAM,
        arguments={"PROGRAM": "prometheus"},
        program="debian:usr/bin/prometheus",
        official="docker.io/prom/prometheus:v3.5.0"
        "@sha256:63805ebb8d2b3920190daf1cb14a60871b16fd38bed42b857a3182bc621f4996",
    ),
    "envoy": Image(
        PROGRAM,
        arguments={"PROGRAM": "envoy"},
        program="wheel",
        # the proxy that Envoy Gateway 1.9 runs by default
        official="docker.io/envoyproxy/envoy:distroless-v1.39.1"
        "@sha256:eb2c01c13125d1629637cb4e4cce7207009fb7cc2c8027f9742758549d15b6f4",
    ),
}
"""What tests and demo use."""

ADD_ONS: Mapping[str, Image] = {
    "envoy-gateway": Image(
        "tests/cluster/images/envoy-gateway.Dockerfile",
        program="go:envoy_gateway",
        official="docker.io/envoyproxy/gateway:v1.9.1",
    ),
    "traefik": Image(
        PROGRAM,
        arguments={"PROGRAM": "traefik"},
        program="go:traefik",
        official="docker.io/library/traefik:v3.6.7",
    ),
    "metrics-server": Image(
        "tests/cluster/images/metrics-server.Dockerfile",
        program="go:metrics_server",
        official="registry.k8s.io/metrics-server/metrics-server:v0.9.0",
    ),
}
"""What single suites and tests use besides."""
