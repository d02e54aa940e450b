"""`spec.monitoring` and `spec.onBreach`: what is watched, and what a breach leads to."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from modeldeploy.api.quantity import Bound, Duration
from modeldeploy.api.v1alpha1 import rules
from modeldeploy.api.v1alpha1.base import Part, Rule
from modeldeploy.api.v1alpha1.drift import Drift, ExpectedChange
from modeldeploy.api.v1alpha1.text import (
    NAME_PATTERN,
    RATIO_PATTERN,
    URL_PATTERN,
    Interval,
    LabelValue,
    LongName,
    PairValue,
)


class Category(StrEnum):
    """What a metric speaks about, which decides what a breach can be blamed on."""

    SOFTWARE = "Software"
    INPUT = "Input"
    OUTPUT = "Output"
    QUALITY = "Quality"


class Preset(StrEnum):
    """Metrics that the operator knows how to ask for."""

    LATENCY_P50 = "latencyP50"
    LATENCY_P95 = "latencyP95"
    LATENCY_P99 = "latencyP99"
    LATENCY_MEAN = "latencyMean"
    ERROR_RATIO = "errorRatio"
    THROUGHPUT = "throughput"
    IN_FLIGHT = "inFlight"
    CPU = "cpu"
    MEMORY = "memory"
    GPU = "gpu"
    RESTARTS = "restarts"
    INPUT_SIZE = "inputSize"
    INPUT_VOLUME = "inputVolume"
    MISSING_RATIO = "missingRatio"
    BRIGHTNESS = "brightness"
    NULL_RATIO = "nullRatio"
    FEEDBACK_RATIO = "feedbackRatio"
    CONFIDENCE = "confidence"
    LOW_CONFIDENCE_RATIO = "lowConfidenceRatio"
    CLASS_RATIO = "classRatio"
    ACCURACY = "accuracy"


class NoDataPolicy(StrEnum):
    """What a metric without data means for a rollout."""

    HOLD = "Hold"
    FAIL = "Fail"
    IGNORE = "Ignore"


class Proof(StrEnum):
    """What lets a metric pass."""

    DETECT = "Detect"
    NON_INFERIOR = "NonInferior"


class RolloutAction(StrEnum):
    """What a breach does while a candidate is on trial."""

    ROLLBACK = "Rollback"
    STEP_DOWN = "StepDown"
    PAUSE = "Pause"
    NOTIFY = "Notify"


class WatchAction(StrEnum):
    """What a breach does once the rollout has ended."""

    ROLLBACK = "Rollback"
    FLAG_RETRAINING = "FlagRetraining"
    NOTIFY = "Notify"


class Compare(Part):
    """A bound relative to stable, measured over the same time."""

    rules: ClassVar[tuple[Rule, ...]] = rules.COMPARE

    max_ratio: (
        Annotated[str, StringConstraints(pattern=RATIO_PATTERN, max_length=16)]
        | Annotated[int, Field(ge=1)]
        | None
    ) = Field(
        default=None,
        description="Candidate's value over stable's at most, e.g. `\"1.2\"` (quoted) or `2`. At least 1.",
    )
    min_ratio: Annotated[str, StringConstraints(pattern=RATIO_PATTERN, max_length=16)] | None = Field(
        default=None,
        description="Candidate's value over stable's at least, e.g. `\"0.9\"` (quoted) for what must not "
        "fall. At most 1.",
    )


Promql = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class Ratio(Part):
    """Two counters of your own, judged with their counts like a preset."""

    numerator: Promql = Field(
        description="PromQL that yields counters of events for a revision, one series per pod, without "
        'rate(): `sum by (pod) (wrong_total{modeldeploy_revision="$revision"})`.'
    )
    denominator: Promql = Field(
        description="The same for what the events are counted among; it includes them."
    )


class Metric(Part):
    """One thing to watch, with its bounds."""

    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=40)] = Field(
        description="Name in status, messages and history."
    )
    category: Category = Field(
        description="Software (latency, errors, memory), Input (what callers send: flags drift, never blames "
        "a candidate), Output (what the model answers and what users do with it) or Quality (labels that "
        "come later)."
    )
    preset: Preset | None = Field(
        default=None,
        description="A metric the operator knows. Software: latencyP50, latencyP95, latencyP99, latencyMean, "
        "errorRatio, throughput, inFlight, cpu, memory, gpu, restarts. Input: inputSize, inputVolume, "
        "missingRatio, brightness. Output: nullRatio, feedbackRatio, confidence, lowConfidenceRatio, "
        "classRatio. Quality: accuracy.",
    )
    event: LabelValue | None = Field(
        default=None,
        description="Of feedbackRatio: the event that is counted, e.g. `redo`, `typed`, `clicked`, "
        "`accepted`.",
    )
    below: Bound | None = Field(
        default=None,
        description="Of lowConfidenceRatio: the confidence below which an answer counts, e.g. `50%`. A bound "
        "of the histogram's buckets.",
    )
    output_class: LabelValue | None = Field(
        default=None, description="Of classRatio: the class whose share of the answers is watched."
    )
    query: Promql | None = Field(
        default=None,
        description="PromQL that yields one number for a revision. `$revision`, `$name` and `$namespace` are "
        "replaced; every selector is confined to the object's namespace. Judged as `Heuristic`: there is no "
        "count "
        "behind the number, so a breach pauses and never rolls back.",
    )
    ratio: Ratio | None = Field(
        default=None,
        description="Events among requests, as two counters of your own. `$revision`, `$name` and "
        "`$namespace` are replaced as in query. What each pod has counted since the last look is judged like "
        "a preset, so a breach can roll back.",
    )
    max: Bound | None = Field(
        default=None,
        description="Upper bound, with its unit: `300ms` for latencies, `1%` for ratios, `2Gi` for memory, a "
        "number otherwise.",
    )
    min: Bound | None = Field(default=None, description="Lower bound, with its unit.")
    compare: Compare | None = Field(
        default=None, description="Bound relative to stable, while a rollout runs."
    )
    drift: Drift | None = Field(
        default=None,
        description="How far the distribution of the values may move from a reference, instead of bounds. "
        "For inputSize, inputVolume, brightness, confidence and latencyP50, P95 and P99: these have "
        "histograms. Input metrics flag, and never blame a candidate.",
    )
    evidence: Proof = Field(
        default=Proof.DETECT,
        description="What lets the metric pass. Detect: the candidate is shown not to be at `detect` times "
        "the bound. NonInferior: it is shown to keep the bound itself, which takes the more requests the "
        "nearer it comes; without them the step waits.",
    )
    detect: (
        Annotated[str, StringConstraints(pattern=RATIO_PATTERN, max_length=16)]
        | Annotated[int, Field(ge=2)]
        | None
    ) = Field(
        default=None,
        description='Times the bound that a pass excludes, 2 by default, e.g. `"1.5"` (quoted) or `3`. '
        "Smaller needs more requests.",
    )
    on_no_data: NoDataPolicy = Field(
        default=NoDataPolicy.HOLD,
        description="Hold: no data holds the step. Ignore: the step goes on without this metric. Fail: after "
        "`failAfter` it counts as a breach of the candidate, unless stable has no data either.",
    )
    on_error: NoDataPolicy = Field(
        default=NoDataPolicy.HOLD,
        description="The same for questions that the metrics store doesn't answer. Hold: it holds the step, "
        "and the deadline stands still. Ignore: the step goes on. Fail: after `failAfter` it counts as a "
        "breach of the candidate, whatever the reason is.",
    )
    fail_after: Duration = Field(
        default="5m", description="How long data may be missing, or questions fail, before Fail acts."
    )
    warmup: Duration | None = Field(
        default=None,
        description="Of latencies: how long from a revision's first request on they are ignored, instead of "
        "`monitoring.warmup`.",
    )

    rules: ClassVar[tuple[Rule, ...]] = rules.METRIC


class Prometheus(Part):
    """The metrics store of this object."""

    rules: ClassVar[tuple[Rule, ...]] = rules.PROMETHEUS

    url: Annotated[str, StringConstraints(pattern=URL_PATTERN, max_length=512)] = Field(
        description="Base URL. Must be on the operator's allow-list (chart value `prometheus.allowedURLs`).",
    )
    secret_name: LongName | None = Field(
        default=None,
        description="A Secret of this namespace with what the store is shown: `token` (bearer), or "
        "`username` and `password`; `tls.crt` and `tls.key` where it wants a client's certificate; `ca.crt` "
        "where its own comes from an authority of yours. Its name must be in the chart value "
        "`prometheus.secretNames`. Changes are picked up.",
    )
    query_parameters: dict[str, PairValue] = Field(
        default_factory=dict,
        max_length=8,
        description="Added to every question, for stores that know more than Prometheus: `dedup`, "
        "`partial_response`, `max_source_resolution` (Thanos), `nocache`, `deny_partial_response`, "
        "`latency_offset`, `max_lookback` (VictoriaMetrics), `lookback_delta` (Prometheus, Thanos).",
    )
    headers: dict[str, PairValue] = Field(
        default_factory=dict,
        max_length=2,
        description="Added to every request: `X-Scope-OrgID` (the tenant of Mimir, Cortex), `THANOS-TENANT`. "
        "No credentials: everybody could read them here.",
    )


class Monitoring(Part):
    """What is watched, during rollouts and after."""

    interval: Interval = Field(default="10s", description="Time between two looks at the metrics, 1s to 1h.")
    window: Duration = Field(
        default="2m",
        description="Span over which values are shown and means are taken; no test depends on it.",
    )
    expected_change: ExpectedChange = Field(
        default=ExpectedChange.SLOW,
        description="How quickly the world is expected to move, which sets the windows of `drift`. Slow: the "
        "last day, against 7 days of the previous version. Fast: the last hour, against one day.",
    )
    warmup: Duration = Field(
        default="10s",
        description="How long from a revision's first request on latencies are ignored, of stable and "
        "candidate alike: caches fill, code is compiled. Errors never wait. Keep it well below `hold`.",
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

    rules: ClassVar[tuple[Rule, ...]] = rules.ON_BREACH

    during_rollout: RolloutAction = Field(
        default=RolloutAction.ROLLBACK,
        description="Rollback: all traffic returns to stable at once. StepDown: the candidate goes back to "
        "the last step in which it got less, holds there anew and is judged afresh; where there is none, "
        "and once it has gone back `stepDowns` times, a breach is a Rollback. Pause: the step stays. Notify: "
        "only told.",
    )
    step_downs: int | None = Field(
        default=None,
        ge=1,
        le=20,
        description="With StepDown: how often a rollout may go back before a breach rolls it back. Defaults "
        "to 1.",
    )
    after_rollout: WatchAction = Field(
        default=WatchAction.FLAG_RETRAINING,
        description="FlagRetraining: condition RetrainingRecommended when inputs or outputs breach. "
        "Rollback: while `rollout.keepPrevious` lasts, a breach of software or outputs with a count behind "
        "it leads all traffic back to the replaced version, unless inputs moved as well; anything else is "
        "flagged. Notify: only told.",
    )
