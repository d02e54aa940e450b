"""`spec`: what the user asks for.

No field carries a default in the stored object: defaults live here, so that an upgrade of the operator never
changes what a user wrote, and with it the revision. The CRD states them in the descriptions.
"""

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints

from modeldeploy.api.quantity import Bound, Duration, Percent
from modeldeploy.api.v1alpha1 import rules
from modeldeploy.api.v1alpha1.base import Part, Rule


class Runtime(StrEnum):
    """Which server answers: it presets port, probes and metric names."""

    OPEN_INFERENCE = "OpenInference"
    CUSTOM = "Custom"


class Provider(StrEnum):
    """What moves the traffic."""

    ROUTER = "Router"


class Strategy(StrEnum):
    """How a new version comes in; each is only a default list of steps."""

    CANARY = "Canary"
    IMMEDIATE = "Immediate"


class Category(StrEnum):
    """What a metric speaks about, which decides what a breach can be blamed on."""

    SOFTWARE = "Software"
    INPUT = "Input"
    OUTPUT = "Output"


class Preset(StrEnum):
    """Metrics that the operator knows how to ask for."""

    LATENCY_P50 = "latencyP50"
    LATENCY_P95 = "latencyP95"
    LATENCY_P99 = "latencyP99"
    ERROR_RATIO = "errorRatio"
    NULL_RATIO = "nullRatio"
    MISSING_RATIO = "missingRatio"
    INPUT_SIZE = "inputSize"
    BRIGHTNESS = "brightness"


class NoDataPolicy(StrEnum):
    """What a metric without data means for a rollout."""

    HOLD = "Hold"
    IGNORE = "Ignore"


class RolloutAction(StrEnum):
    """What a breach does while a candidate is on trial."""

    ROLLBACK = "Rollback"
    PAUSE = "Pause"
    NOTIFY = "Notify"


class WatchAction(StrEnum):
    """What a breach does once the rollout has ended."""

    FLAG_RETRAINING = "FlagRetraining"
    NOTIFY = "Notify"


class PullPolicy(StrEnum):
    """When an image is pulled."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


INTERVAL_PATTERN = r"^([0-9]{1,5}(\.[0-9]{1,3})?(s|m|h)|[0-9]{1,8}ms)+$"
RATIO_PATTERN = r"^[0-9]+(\.[0-9]+)?$"
PATH_PATTERN = r"^/[^\s]*$"
VERSION_PATTERN = r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
IMAGE_PATTERN = r"^[^\s]+$"
URL_PATTERN = r"^https?://[^\s/]+(/[^\s]*)?$"
QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]*)?([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$"

Weight = Annotated[int, Field(ge=1, le=100)]
Port = Annotated[int, Field(ge=1, le=65535)]
Path = Annotated[str, StringConstraints(pattern=PATH_PATTERN, max_length=256)]
ModelVersion = Annotated[str, StringConstraints(pattern=VERSION_PATTERN, min_length=1, max_length=63)]
Interval = Annotated[str, StringConstraints(pattern=INTERVAL_PATTERN, max_length=32)]
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


class Server(Part):
    """The server that answers for the model, one Deployment per revision."""

    runtime: Runtime = Field(
        default=Runtime.OPEN_INFERENCE,
        description="OpenInference: port 8080, readiness `/v2/health/ready`, liveness `/v2/health/live`, "
        "metrics "
        "`/metrics`. Custom: `port` is required, readiness is a TCP connection unless `readinessPath` is "
        "given.",
    )
    image: Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=IMAGE_PATTERN)] = Field(
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
    readiness_path: Path | None = Field(
        default=None,
        description="HTTP path that answers 200 once the model is loaded. Preset by the runtime.",
    )
    metrics_path: Path | None = Field(
        default=None, description="HTTP path of the server's Prometheus metrics. Defaults to `/metrics`."
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


class Traffic(Part):
    """How requests reach the pods. Clients call the Service `<name>` on port 80."""

    provider: Provider = Field(
        default=Provider.ROUTER,
        description="Router: Envoy proxies in the object's namespace, run by the operator; no add-on needed.",
    )
    timeout: Duration | None = Field(
        default=None,
        description="Longest time for one answer; then the client gets 504. Without it a slow model is "
        "waited for.",
    )

    rules: ClassVar[tuple[Rule, ...]] = rules.TRAFFIC


class Step(Part):
    """One stage of a rollout: a share of requests for a time."""

    weight: Weight = Field(description="Share of requests, in percent, that the candidate answers.")
    hold: Duration = Field(
        default="5m",
        description="Time to stay at least. The step ends when it is over and the metrics have passed.",
    )
    min_requests: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Requests that the candidate must have answered in this step at least. Only a floor: "
        "the evidence needed follows from the bounds.",
    )


class Rollout(Part):
    """How a new version is brought in."""

    strategy: Strategy = Field(
        default=Strategy.CANARY,
        description="Canary: growing shares, judged at each step (default steps 5, 20 and 50% for 5m each). "
        "Immediate: all traffic as soon as the new pods are ready.",
    )
    steps: list[Step] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="Steps of a Canary, with growing weights; after the last one the candidate is promoted.",
    )
    keep_previous: Duration = Field(
        default="1h",
        description="How long the replaced revision keeps running, at its size, so that going back is one "
        "traffic change that starts no pod.",
    )
    drain: Duration = Field(
        default="30s",
        description="Time between the last new request to a revision and its pods' end: the longest stream.",
    )
    progress_deadline: Duration = Field(
        default="15m",
        description="How long the work of a rollout may take on top of `spec.server.startupTimeout` and the "
        "holds. A candidate that is not ready by then is given up; a step that still waits pauses and says "
        "for what. Waiting for a metrics store does not count.",
    )
    false_rollback: Percent = Field(
        default="1%",
        description="Chance, per rollout and over all metrics together, that a candidate as good as stable "
        "is "
        "rolled back. Smaller needs more evidence.",
    )

    rules: ClassVar[tuple[Rule, ...]] = rules.ROLLOUT


class Compare(Part):
    """A bound relative to stable, measured over the same time."""

    rules: ClassVar[tuple[Rule, ...]] = rules.COMPARE

    max_ratio: (
        Annotated[str, StringConstraints(pattern=RATIO_PATTERN, max_length=16)] | Annotated[int, Field(ge=1)]
    ) = Field(
        description="Candidate's ratio over stable's at most, e.g. `\"1.2\"` (quoted) or `2`. At least 1.",
    )


class Metric(Part):
    """One thing to watch, with its bounds."""

    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=40)] = Field(
        description="Name in status, messages and history."
    )
    category: Category = Field(
        description="Software (latency, errors), Input (what callers send: flags drift, never blames a "
        "candidate) "
        "or Output (what the model answers)."
    )
    preset: Preset | None = Field(
        default=None,
        description="A metric the operator knows. latencyP50/P95/P99 and errorRatio come from the router, "
        "per "
        "revision; nullRatio, missingRatio, inputSize and brightness from the model's own metrics.",
    )
    query: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = Field(
        default=None,
        description="PromQL that yields one number for a revision. `$revision`, `$name` and `$namespace` are "
        "replaced; every selector is confined to the object's namespace. Judged as `Heuristic`: there is no "
        "count "
        "behind the number, so a breach pauses and never rolls back.",
    )
    max: Bound | None = Field(
        default=None,
        description="Upper bound, with its unit: `300ms` for latencies, `1%` for ratios, a number otherwise.",
    )
    min: Bound | None = Field(default=None, description="Lower bound, with its unit.")
    compare: Compare | None = Field(
        default=None, description="Bound relative to stable, while a rollout runs."
    )
    on_no_data: NoDataPolicy = Field(
        default=NoDataPolicy.HOLD,
        description="Hold: no data holds the step. Ignore: the step goes on without this metric.",
    )

    rules: ClassVar[tuple[Rule, ...]] = rules.METRIC


class Prometheus(Part):
    """The metrics store of this object."""

    url: Annotated[str, StringConstraints(pattern=URL_PATTERN, max_length=512)] = Field(
        description="Base URL. Must be on the operator's allow-list (chart value `prometheus.allowedURLs`).",
    )


class Monitoring(Part):
    """What is watched, during rollouts and after."""

    interval: Interval = Field(default="10s", description="Time between two looks at the metrics, 1s to 1h.")
    window: Duration = Field(
        default="2m",
        description="Span over which values are shown and means are taken; no test depends on it.",
    )
    prometheus: Prometheus | None = Field(
        default=None,
        description="Another metrics store than the operator's own (chart value `prometheus.url`).",
    )
    metrics: list[Metric] = Field(
        default_factory=list,
        max_length=32,
        description="Metrics with thresholds. Start with many, keep those that help.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )

    rules: ClassVar[tuple[Rule, ...]] = rules.MONITORING


class OnBreach(Part):
    """What a breach leads to."""

    during_rollout: RolloutAction = Field(
        default=RolloutAction.ROLLBACK,
        description="Rollback: all traffic returns to stable at once. Pause: the step stays. Notify: only "
        "told.",
    )
    after_rollout: WatchAction = Field(
        default=WatchAction.FLAG_RETRAINING,
        description="FlagRetraining: condition RetrainingRecommended when inputs or outputs breach. Notify: "
        "only told.",
    )


class ModelDeploymentSpec(Part):
    """Which model version to serve, how to bring a new one in, what to watch, and what to do on a breach."""

    model: Model = Field(description="The model to serve.")
    server: Server = Field(description="The server that answers for the model.")
    traffic: Traffic = Field(default_factory=Traffic, description="How requests reach the pods.")
    rollout: Rollout = Field(default_factory=Rollout, description="How a new version is brought in.")
    monitoring: Monitoring = Field(default_factory=Monitoring, description="What is watched.")
    on_breach: OnBreach = Field(default_factory=OnBreach, description="What a breach leads to.")
