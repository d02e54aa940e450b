"""What is known of each runtime: where it listens and how it tells that it is ready."""

from collections.abc import Mapping
from dataclasses import dataclass

from modeldeploy.api.v1alpha1.server import Runtime


@dataclass(frozen=True, slots=True)
class RuntimePreset:
    """Port and paths of a runtime; a path of None means a TCP connection."""

    port: int | None
    readiness: str | None
    liveness: str | None


PRESETS: Mapping[Runtime, RuntimePreset] = {
    Runtime.OPEN_INFERENCE: RuntimePreset(8080, "/v2/health/ready", "/v2/health/live"),
    Runtime.CUSTOM: RuntimePreset(None, None, None),
}
METRICS_PATH = "/metrics"
