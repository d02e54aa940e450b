"""What is known of each runtime: where it listens and how it tells that it is ready."""

from collections.abc import Mapping
from dataclasses import dataclass

from modeldeploy.api.v1alpha1.server import Runtime

METRICS_PATH = "/metrics"


@dataclass(frozen=True, slots=True)
class RuntimePreset:
    """Ports and paths of a runtime; a path of None means a TCP connection, a port of None none that is known.

    Attributes:
        port: Where it answers HTTP.
        readiness: Answers 200 once the model is loaded.
        liveness: Answers 200 unless only a restart helps.
        metrics_port: Where its metrics are; None for `port`.
        metrics_path: Their path.
    """

    port: int | None
    readiness: str | None
    liveness: str | None
    metrics_port: int | None = None
    metrics_path: str = METRICS_PATH


_V2 = ("/v2/health/ready", "/v2/health/live")

PRESETS: Mapping[Runtime, RuntimePreset] = {
    Runtime.OPEN_INFERENCE: RuntimePreset(8080, *_V2),
    Runtime.MLSERVER: RuntimePreset(8080, *_V2, metrics_port=8082),
    Runtime.KSERVE: RuntimePreset(8080, *_V2),
    Runtime.TRITON: RuntimePreset(8000, *_V2, metrics_port=8002),
    # Its /ping fails while a worker is being started again, which it does itself.
    Runtime.TORCHSERVE: RuntimePreset(8080, "/ping", None, metrics_port=8082),
    # Its status page has the model's name in its path; it listens once its models are loaded.
    Runtime.TENSORFLOW_SERVING: RuntimePreset(
        8501, None, None, metrics_path="/monitoring/prometheus/metrics"
    ),
    Runtime.VLLM: RuntimePreset(8000, "/health", "/health"),
    Runtime.BENTOML: RuntimePreset(3000, "/readyz", "/livez"),
    # Its /-/healthz fails without a ready replica, and replicas that have died are replaced by Ray.
    Runtime.RAY_SERVE: RuntimePreset(8000, "/-/healthz", None, metrics_port=8080),
    Runtime.CUSTOM: RuntimePreset(None, None, None),
}
