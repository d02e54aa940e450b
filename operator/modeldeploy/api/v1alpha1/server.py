"""`spec.model` and `spec.server`: what a revision is made of, and how many pods of it run."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints

from modeldeploy.api.quantity import Duration
from modeldeploy.api.v1alpha1 import rules
from modeldeploy.api.v1alpha1.base import Part, Rule
from modeldeploy.api.v1alpha1.text import QUANTITY_PATTERN, Image, ModelVersion, Path, Port, PortName


class Runtime(StrEnum):
    """Which server answers: it presets port, probes and metric names."""

    OPEN_INFERENCE = "OpenInference"
    MLSERVER = "MLServer"
    KSERVE = "KServe"
    TRITON = "Triton"
    TORCHSERVE = "TorchServe"
    TENSORFLOW_SERVING = "TensorFlowServing"
    VLLM = "VLLM"
    BENTOML = "BentoML"
    RAY_SERVE = "RayServe"
    CUSTOM = "Custom"


class Protocol(StrEnum):
    """What a server speaks on a port."""

    HTTP1 = "HTTP1"
    HTTP2 = "HTTP2"


class PullPolicy(StrEnum):
    """When an image is pulled."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


Quantity = (
    Annotated[int, Field(ge=0)] | Annotated[str, StringConstraints(pattern=QUANTITY_PATTERN, max_length=32)]
)


class Model(Part):
    """The model to serve."""

    version: ModelVersion = Field(
        description="Identity of the model: it names the version in status, pod labels, metrics and history. "
        "Changing it brings in a new revision. At most 63 letters, digits, '-', '_' or '.'; quote dates.",
        examples=["2026-11-20"],
    )


class Replicas(Part):
    """How many pods a revision runs. With `min` below `max` an autoscaler chooses between them."""

    min: int = Field(default=1, ge=1, le=1000, description="Pods that always run.")
    max: int | None = Field(
        default=None, ge=1, le=1000, description="Pods at most. Without it the number stays at `min`."
    )
    target_cpu: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        alias="targetCPU",
        description="CPU use, in percent of the request, that the autoscaler aims at. Defaults to 70. Needs "
        "a "
        "CPU request in `spec.server.resources` and a metrics API in the cluster.",
    )

    rules: ClassVar[tuple[Rule, ...]] = rules.REPLICAS


class Resources(Part):
    """Compute resources of the model's container, as in a pod."""

    requests: dict[str, Quantity] | None = Field(
        default=None, max_length=16, description="What is reserved, e.g. `{cpu: '1', memory: 1Gi}`."
    )
    limits: dict[str, Quantity] | None = Field(
        default=None, max_length=16, description="What may be used at most, e.g. `{memory: 2Gi}`."
    )


class ExtraPort(Part):
    """One more port of the server that clients reach, e.g. gRPC beside HTTP."""

    name: PortName = Field(description="Name of the port, in pods and Services.")
    port: Port = Field(description="Port that the server listens on; the Service `<name>` has the same.")
    protocol: Protocol | None = Field(
        default=None, description="HTTP1 (the default), or HTTP2 without TLS, which gRPC needs."
    )


class Server(Part):
    """The server that answers for the model, one Deployment per revision."""

    runtime: Runtime = Field(
        default=Runtime.OPEN_INFERENCE,
        description="Which server runs in the image; presets `port`, probes, `metricsPort`, `metricsPath` "
        "and metric names. Ports of requests and metrics: OpenInference 8080; MLServer 8080, 8082; KServe "
        "8080; Triton 8000, 8002; TorchServe 8080, 8082; TensorFlowServing 8501; VLLM 8000; BentoML 3000; "
        "RayServe 8000, 8080. Custom: `port` is required, and readiness is a TCP connection unless "
        "`readinessPath` is given.",
    )
    image: Image = Field(
        description="Container image of the model server.", examples=["registry.example/recogniser:7"]
    )
    image_pull_policy: PullPolicy | None = Field(
        default=None,
        description="When the image is pulled: Always, IfNotPresent or Never. Kubernetes chooses by tag if "
        "absent.",
    )
    port: Port | None = Field(
        default=None,
        description="Port on which the server answers HTTP. Preset by the runtime, except Custom.",
    )
    protocol: Protocol | None = Field(
        default=None,
        description="What the server speaks on `port`: HTTP1 (the default), or HTTP2 without TLS, which gRPC "
        "needs.",
    )
    extra_ports: list[ExtraPort] | None = Field(
        default=None,
        min_length=1,
        max_length=4,
        description="More ports of the server, routed at the same weights; provider Router or Service.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    readiness_path: Path | None = Field(
        default=None,
        description="HTTP path that answers 200 once the model is loaded. Preset by the runtime.",
    )
    metrics_path: Path | None = Field(
        default=None,
        description="HTTP path of the server's Prometheus metrics. Preset by the runtime: `/metrics`, of "
        "TensorFlowServing `/monitoring/prometheus/metrics`.",
    )
    metrics_port: Port | None = Field(
        default=None,
        description="Port of the server's Prometheus metrics. Preset by the runtime, else that of `port`.",
    )
    resources: Resources | None = Field(
        default=None, description="Requests and limits of the model's container."
    )
    replicas: Replicas = Field(
        default_factory=Replicas, description="How many pods run. Not part of the revision."
    )
    startup_timeout: Duration = Field(
        default="10m",
        description="How long a pod may take from its start until it is ready: pulling, loading, warming up. "
        "Deadlines of rollouts know it. Not part of the revision.",
    )
    pod_template: dict[str, Any] | None = Field(
        default=None,
        description="Anything else a pod may need, merged into the pod template (a PodTemplateSpec: "
        "`metadata`, "
        "`spec`). The model's container is named `model`; containers, volumes and variables merge by name.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )

    rules: ClassVar[tuple[Rule, ...]] = rules.SERVER
