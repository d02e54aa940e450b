"""Under which names counters stand: the router's, those of a model's telemetry, and those of each runtime.

Latencies come out in milliseconds and answers by class of status, whatever a server calls and measures them
in. docs/runtimes.md says how each name was verified.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple

from modeldeploy.api.v1alpha1.server import Runtime
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.traffic import Provider


class Family(StrEnum):
    """Counters that are asked for together."""

    REQUESTS = "requests"
    LATENCY = "latency"
    LATENCY_MEAN = "latencyMean"
    THROUGHPUT = "throughput"
    IN_FLIGHT = "inFlight"
    CPU = "cpu"
    MEMORY = "memory"
    GPU = "gpu"
    RESTARTS = "restarts"
    NULLS = "nulls"
    MISSING = "missing"
    SIZE = "size"
    VOLUME = "volume"
    BRIGHTNESS = "brightness"
    SIZE_BUCKETS = "sizeBuckets"
    BRIGHTNESS_BUCKETS = "brightnessBuckets"
    VOLUME_BUCKETS = "volumeBuckets"
    CONFIDENCE = "confidence"
    CONFIDENCE_BUCKETS = "confidenceBuckets"
    CLASSES = "classes"
    FEEDBACK = "feedback"
    LABELS = "labels"


class Source(NamedTuple):
    """Where a family's counters come from.

    Attributes:
        names: Of metrics.
        labels: Those that tell the parts apart; a series has one of them, the first of them counts.
        read: How a label and its value become the part that counts are kept under.
        scale: By name, what its values are multiplied by.
        unless: A label and the pattern (of the whole value) of series that are left out: probes, mostly. All
            objects are asked about at once, so no other runtime's series may have that label.
        outside: Further metrics, of the cluster's own exporters: they know a pod by its name alone.
        addon: Who exports what not every cluster has, as part of a sentence; empty where nothing is added.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    read: Callable[[str, str], str]
    scale: Mapping[str, float] = {}
    unless: tuple[str, str] | None = None
    outside: tuple[str, ...] = ()
    addon: str = ""


GRPC = "grpc "
"""Begins the parts that count answers by gRPC's status, which HTTP's counts hold as well."""
AMONG = "among "
"""Begins the parts that count failures among the requests that another part counts all of."""
TOTAL, COUNT = "total", "count"
"""Parts of a latency without buckets: the sum of all, and of how many."""
ASKED = " requests"
"""The part that counts what feedback is divided by; no event begins with a blank."""
ROUTED = frozenset({Family.REQUESTS, Family.LATENCY, Family.LATENCY_MEAN})
"""What a router of ours counts, alike for every runtime."""


SUM, COUNTED = "_sum", "_count"
"""How the names of a histogram's sum and of its count end."""
RESIDENT, WORKING_SET = "process_resident_memory_bytes", "container_memory_working_set_bytes"
PROCESS_CPU, CONTAINER_CPU = "process_cpu_seconds_total", "container_cpu_usage_seconds_total"


def _plain(_label: str, value: str) -> str:
    return value


def _class(_label: str, code: str) -> str:
    """The class of an HTTP status: `5` for 503 and for 5xx."""
    return code[:1]


def _answer(label: str, value: str) -> str:
    """The class of an HTTP status, or gRPC's status marked as such."""
    return f"{GRPC}{value}" if label == "grpc_status" else value


def _milliseconds(_label: str, edge: str) -> str:
    """A bucket's edge in seconds, in milliseconds as the router's are."""
    return f"{float(edge) * 1000:.12g}"


def _from_microseconds(_label: str, edge: str) -> str:
    return f"{float(edge) / 1000:.12g}"


def _bucket(label: str, value: str) -> str:
    return value if label == "le" else TOTAL


def _distribution(name: str) -> Source:
    """A histogram: its buckets by upper edge, and the sum of all."""
    return Source((f"{name}_bucket", f"{name}_sum"), ("le", "__name__"), _bucket)


def _triton(label: str, value: str) -> str:
    """Triton counts failures by reason (older ones without); a caller that gave up is no fault of it."""
    if label == "reason":
        return "4" if value == "CANCELED" else "5"
    return "5" if value == "nv_inference_request_failure" else "2"


def _torchserve(_label: str, name: str) -> str:
    return f"{AMONG}5" if name == "Requests5XX" else "2"


def _mean(_label: str, name: str) -> str:
    return TOTAL if name.endswith(("_us", "_microseconds")) else COUNT


def _event(_label: str, event: str) -> str:
    """What users did, or (without a label) the requests that it is divided by."""
    return event or ASKED


def _mean_of(histogram: str, scale: float = 1.0) -> Source:
    """The sum and the count of a histogram, the sum in the family's unit."""
    return Source(
        (histogram + SUM, histogram + COUNTED), ("__name__",), _plain, scale={histogram + SUM: scale}
    )


_VLLM_PAGES = ("handler", "/v1/models|/docs|/redoc|/openapi.json|none")
"""What vLLM's HTTP server counts that is no request for an answer."""
_TENSORFLOW = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)


def _tensorflow(_label: str, status: str) -> str:
    """TensorFlow's status, which is gRPC's by name, as a class of HTTP's."""
    return "2" if status == "OK" else "5" if status in _TENSORFLOW else "4"


SOURCES: Mapping[Family, Source] = {
    # Answers by class of status. Envoy counts time-outs (504) and upstream resets (503) here, and a request
    # that was retried once, by its last answer. A gRPC call that fails is a success of HTTP's.
    Family.REQUESTS: Source(
        ("envoy_cluster_upstream_rq_xx", "envoy_grpc_calls"),
        ("envoy_response_code_class", "grpc_status"),
        _answer,
    ),
    Family.LATENCY: Source(("envoy_cluster_upstream_rq_time_bucket",), ("le",), _plain),
    Family.NULLS: Source(("model_output_null_total", "model_output_values_total"), ("__name__",), _plain),
    Family.MISSING: Source(("model_input_missing_total", "model_input_values_total"), ("__name__",), _plain),
    Family.SIZE: _mean_of("model_input_size"),
    Family.VOLUME: _mean_of("model_input_volume"),
    Family.BRIGHTNESS: _mean_of("model_input_brightness"),
    Family.LATENCY_MEAN: _mean_of("envoy_cluster_upstream_rq_time"),
    Family.IN_FLIGHT: Source(("model_inflight_requests",), ("__name__",), _plain),
    # What the container uses, children and page cache included, where somebody measures it; else what the
    # server's own process says of itself.
    Family.CPU: Source((PROCESS_CPU,), ("__name__",), _plain, outside=(CONTAINER_CPU,)),
    Family.MEMORY: Source((RESIDENT,), ("__name__",), _plain, outside=(WORKING_SET,)),
    Family.GPU: Source(
        (),
        ("gpu", "__name__"),
        _plain,
        outside=("DCGM_FI_DEV_GPU_UTIL",),
        scale={"DCGM_FI_DEV_GPU_UTIL": 0.01},
        addon="NVIDIA's dcgm-exporter",
    ),
    Family.SIZE_BUCKETS: _distribution("model_input_size"),
    Family.BRIGHTNESS_BUCKETS: _distribution("model_input_brightness"),
    Family.VOLUME_BUCKETS: _distribution("model_input_volume"),
    Family.RESTARTS: Source(
        (),
        ("__name__",),
        _plain,
        outside=("kube_pod_container_status_restarts_total",),
        addon="kube-state-metrics",
    ),
    Family.CONFIDENCE: _mean_of("model_output_confidence"),
    Family.CONFIDENCE_BUCKETS: Source(("model_output_confidence_bucket",), ("le",), _plain),
    Family.CLASSES: Source(("model_output_class_total",), ("class",), _plain),
    Family.FEEDBACK: Source(("model_feedback_total", "model_requests_total"), ("event",), _event),
    Family.LABELS: Source(("model_labelled_total", "model_labelled_correct_total"), ("__name__",), _plain),
}
"""The router's counts, and what `modeltelemetry` or a server that follows it exports."""

_TELEMETRY: Mapping[Family, Source] = {
    Family.REQUESTS: Source(("model_requests_total",), ("code",), _class),
    Family.LATENCY: Source(("model_request_duration_seconds_bucket",), ("le",), _milliseconds),
}
SERVED: Mapping[Runtime, Mapping[Family, Source]] = {
    Runtime.OPEN_INFERENCE: _TELEMETRY,
    Runtime.CUSTOM: _TELEMETRY,
    Runtime.MLSERVER: {
        # Its REST server's own, which knows a caller's fault from the model's; that of a model's readiness
        # is the one probe that it doesn't leave out itself.
        Family.REQUESTS: Source(
            ("rest_server_requests_total",), ("status_code",), _class, unless=("path", ".*/ready")
        ),
        Family.LATENCY: Source(
            ("rest_server_request_duration_seconds_bucket",),
            ("le",),
            _milliseconds,
            unless=("path", ".*/ready"),
        ),
        Family.IN_FLIGHT: Source(("rest_server_requests_in_progress",), ("__name__",), _plain),
    },
    Runtime.KSERVE: {
        # It counts no failures; see `ERRORLESS`.
        Family.REQUESTS: Source(("request_predict_seconds_count",), ("__name__",), lambda _label, _name: "2"),
        Family.LATENCY: Source(("request_predict_seconds_bucket",), ("le",), _milliseconds),
    },
    Runtime.TRITON: {
        Family.REQUESTS: Source(
            ("nv_inference_request_success", "nv_inference_request_failure"), ("reason", "__name__"), _triton
        ),
        Family.LATENCY: Source(
            ("nv_inference_request_duration_us", "nv_inference_request_success"),
            ("__name__",),
            _mean,
            scale={"nv_inference_request_duration_us": 1e-3},
        ),
    },
    Runtime.TORCHSERVE: {
        Family.REQUESTS: Source(("ts_inference_requests_total", "Requests5XX"), ("__name__",), _torchserve),
        Family.LATENCY: Source(
            ("ts_inference_latency_microseconds", "ts_inference_requests_total"),
            ("__name__",),
            _mean,
            scale={"ts_inference_latency_microseconds": 1e-3},
        ),
    },
    Runtime.TENSORFLOW_SERVING: {
        Family.REQUESTS: Source((":tensorflow:serving:request_count",), ("status",), _tensorflow),
        Family.LATENCY: Source((":tensorflow:serving:request_latency_bucket",), ("le",), _from_microseconds),
    },
    Runtime.VLLM: {
        # Its HTTP server's own: the engine counts requests that ended, and not those that failed before.
        Family.REQUESTS: Source(("http_requests_total",), ("status",), _class, unless=_VLLM_PAGES),
        Family.LATENCY: Source(("vllm:e2e_request_latency_seconds_bucket",), ("le",), _milliseconds),
        Family.SIZE: Source(
            ("vllm:request_prompt_tokens_sum", "vllm:request_prompt_tokens_count"), ("__name__",), _plain
        ),
        Family.SIZE_BUCKETS: _distribution("vllm:request_prompt_tokens"),
        Family.IN_FLIGHT: Source(("vllm:num_requests_running",), ("__name__",), _plain),
    },
    Runtime.BENTOML: {
        Family.REQUESTS: Source(
            ("bentoml_service_request_total",),
            ("http_response_code",),
            _class,
            unless=("endpoint", "/(readyz|livez|healthz)"),
        ),
        Family.LATENCY: Source(
            ("bentoml_service_request_duration_seconds_bucket",),
            ("le",),
            _milliseconds,
            unless=("endpoint", "/(readyz|livez|healthz)"),
        ),
        Family.IN_FLIGHT: Source(
            ("bentoml_service_request_in_progress",),
            ("__name__",),
            _plain,
            unless=("endpoint", "/(readyz|livez|healthz)"),
        ),
    },
    Runtime.RAY_SERVE: {
        # The proxy's: one request may call several deployments, each of which would count it.
        Family.REQUESTS: Source(
            ("ray_serve_num_http_requests_total",), ("status_code",), _class, unless=("route", "/-/.*")
        ),
        Family.LATENCY: Source(
            ("ray_serve_http_request_latency_ms_bucket",),
            ("le",),
            lambda _label, edge: f"{float(edge):.12g}",
            unless=("route", "/-/.*"),
        ),
        Family.IN_FLIGHT: Source(("ray_serve_num_ongoing_http_requests",), ("__name__",), _plain),
    },
}
"""What each runtime itself exports: asked where no router of ours counts, and for what a router can't see."""

MEAN_ONLY = frozenset(
    runtime for runtime, families in SERVED.items() if families[Family.LATENCY].read is _mean
)
"""Runtimes that export a sum of latencies and no buckets: nothing is known of their quantiles."""
ERRORLESS = frozenset({Runtime.KSERVE})
"""Runtimes that don't count failures."""


def counts_itself(spec: ModelDeploymentSpec) -> bool:
    """Whether the model's own server counts requests and times them: no router of ours does."""
    return spec.traffic.provider is not Provider.ROUTER


def has_mean_only(spec: ModelDeploymentSpec) -> bool:
    """Whether all that is known of latencies is their mean."""
    return counts_itself(spec) and spec.server.runtime in MEAN_ONLY


def asked_of(spec: ModelDeploymentSpec, family: Family) -> Runtime | None:
    """The runtime whose own names a family stands under; None for those of `SOURCES`."""
    runtime = Runtime.OPEN_INFERENCE if spec.server.runtime is Runtime.CUSTOM else spec.server.runtime
    if family in ROUTED:
        return runtime if counts_itself(spec) else None
    if family is Family.THROUGHPUT:  # per pod of the model, which a router's counts don't tell
        return runtime
    return runtime if family in SERVED[runtime] else None


def source(family: Family, runtime: Runtime | None) -> Source:
    """Where a family's counters come from, of a runtime that `asked_of` gave."""
    if runtime is None:
        return SOURCES[family]
    served = SERVED[runtime]
    if family is Family.THROUGHPUT:
        return served[Family.REQUESTS]
    if family is Family.LATENCY_MEAN:
        return _mean_beside(served[Family.LATENCY])
    return served[family]


def _mean_beside(latency: Source) -> Source:
    """Sum and count, in milliseconds, of the latencies whose buckets a source has."""
    if latency.read is _mean:
        return latency
    bucket = latency.names[0]
    second = float(latency.read("le", "1"))
    return _mean_of(bucket.removesuffix("_bucket"), second)._replace(unless=latency.unless)
