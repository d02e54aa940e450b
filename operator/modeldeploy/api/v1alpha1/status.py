"""`status`: what the operator found and decided. Everything it needs to go on after a restart stands here."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from modeldeploy.api.v1alpha1.base import StatusPart
from modeldeploy.api.v1alpha1.cause import CauseStatus
from modeldeploy.api.v1alpha1.episode import RetrainingStatus


class Phase(StrEnum):
    """Where the object stands, in one word."""

    PENDING = "Pending"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    HEALTHY = "Healthy"
    DEGRADED = "Degraded"
    ROLLING_BACK = "RollingBack"


class Verdict(StrEnum):
    """What the evidence says of one metric."""

    PASS = "Pass"  # noqa: S105 - a verdict, no password
    BREACH = "Breach"
    INCONCLUSIVE = "Inconclusive"
    NO_DATA = "NoData"
    ERROR = "Error"
    NOT_APPLICABLE = "NotApplicable"


class Outcome(StrEnum):
    """How a rollout ended."""

    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    STEPPED_DOWN = "SteppedDown"
    SUPERSEDED = "Superseded"
    ABORTED = "Aborted"


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(StatusPart):
    """One observation, in the form that kubectl wait, kstatus and dashboards read."""

    type: str = Field(max_length=316, description="What is observed.")
    status: ConditionStatus = Field(description="True, False or Unknown.")
    reason: str = Field(max_length=1024, description="Why, in one word for programs.")
    message: str = Field(max_length=32768, description="Why, in a sentence for people.")
    last_transition_time: datetime = Field(description="When `status` last changed.")
    observed_generation: int = Field(ge=0, description="The generation of the spec this was said of.")


class Stable(StatusPart):
    """The revision that users can rely on."""

    revision: str = Field(max_length=63, description="Hash that names the revision's objects.")
    model_version: str = Field(max_length=63, description="Its `spec.model.version`.")
    weight: int = Field(ge=0, le=100, description="Share of requests, in percent.")


class PreviewRoute(StatusPart):
    """The way to the candidate for those who know it."""

    header: str | None = Field(default=None, max_length=64, description="Name of the header.")
    value: str | None = Field(default=None, max_length=256, description="Its value.")
    hostname: str | None = Field(default=None, max_length=253, description="Host name.")


class SteppedDown(StatusPart):
    """A breach that cost the candidate a step."""

    times: int = Field(ge=1, description="How often it has gone back in this rollout.")
    at: datetime = Field(description="When it last did. What was measured before counts no more.")
    step: int = Field(ge=1, description="The step in which it breached.")
    message: str = Field(max_length=1024, description="The breach, in a sentence.")


class Candidate(StatusPart):
    """The revision on trial."""

    revision: str = Field(max_length=63, description="Hash that names the revision's objects.")
    model_version: str = Field(max_length=63, description="Its `spec.model.version`.")
    weight: int = Field(ge=0, le=100, description="Share of requests, in percent.")
    step: int = Field(ge=0, description="The step under way, from 1; 0 while the pods start.")
    progress: str = Field(max_length=16, description="The step under way of all steps, e.g. `2/3`.")
    started_at: datetime = Field(description="When the rollout of this revision began.")
    step_started_at: datetime = Field(description="When the step under way began.")
    size: int = Field(default=1, ge=0, description="Pods that it runs at least.")
    demand: int = Field(default=1, ge=0, description="Pods that all requests together need.")
    mirror: int = Field(
        default=0, ge=0, le=100, description="Share of requests that are copied to it, in percent."
    )
    preview: PreviewRoute | None = Field(
        default=None, description="The way to it for those who know it, while there is one."
    )
    approved: int = Field(default=0, ge=0, description="The step that a human let end, 0 if none.")
    promoting: bool = Field(
        default=False, description="It becomes stable as soon as its pods can carry all requests."
    )
    returned_at: datetime | None = Field(
        default=None,
        description="When its traffic was returned to see whether stable recovers without it; absent once it "
        "has its share again.",
    )
    cleared: bool = Field(
        default=False,
        description="In this step its traffic was returned, and stable did not recover: the world moved, not "
        "it.",
    )
    stepped_down: SteppedDown | None = Field(
        default=None, description="With `onBreach.duringRollout: StepDown`: the breach that cost it a step."
    )

    @property
    def judged_since(self) -> datetime:
        """Since when what is measured of it counts."""
        return self.stepped_down.at if self.stepped_down else self.started_at


class Successor(StatusPart):
    """The revision in spec while the one before it is still on trial and keeps its share."""

    revision: str = Field(max_length=63, description="Hash that names the revision's objects.")
    model_version: str = Field(max_length=63, description="Its `spec.model.version`.")
    started_at: datetime = Field(description="When its pods were asked for.")
    size: int = Field(ge=0, description="Pods that it runs at least.")


class Undone(StatusPart):
    """A revision in spec that a human went back from. It isn't tried again until spec names another one."""

    revision: str = Field(max_length=63, description="The revision in spec.")
    to: str = Field(max_length=63, description="The revision that serves instead.")
    model_version: str = Field(max_length=63, description="The `spec.model.version` of that one.")


class IntentStatus(StatusPart):
    """What came of an intent in `spec.rollout.control`."""

    intent: str = Field(max_length=16, description="approve, promote, abort, retry or undo.")
    revision: str = Field(max_length=63, description="The revision that it named.")
    nonce: str | None = Field(default=None, max_length=64, description="As in spec.")
    accepted: bool = Field(description="Whether it acted.")
    message: str = Field(max_length=1024, description="What was done, or why not.")
    at: datetime = Field(description="When.")


class Previous(StatusPart):
    """The replaced revision, still running so that going back is one traffic change."""

    revision: str = Field(max_length=63, description="Hash that names the revision's objects.")
    model_version: str = Field(max_length=63, description="Its `spec.model.version`.")
    until: datetime | None = Field(
        default=None, description="When its pods end; an incumbent is yours and stays."
    )
    size: int | None = Field(default=None, ge=0, description="Pods that it is kept at.")


class Draining(StatusPart):
    """A revision that gets no new requests and ends once the last answers are out."""

    revision: str = Field(max_length=63, description="Hash that names the revision's objects.")
    since: datetime | None = Field(
        default=None, description="When every router was first seen to send it nothing; absent before."
    )


class Rejected(StatusPart):
    """The revision in spec that was rolled back; it is not tried again until the spec names another one."""

    revision: str = Field(max_length=63, description="Hash of the revision.")
    model_version: str = Field(max_length=63, description="Its `spec.model.version`.")
    reason: str = Field(max_length=64, description="Why, in one word.")
    message: str = Field(max_length=1024, description="Why, in a sentence.")
    at: datetime = Field(description="When.")


class Routing(StatusPart):
    """The object's place on the routers of its namespace."""

    port: int = Field(ge=1, le=65535, description="Port of its listener.")
    extra_ports: dict[str, int] = Field(
        default_factory=dict, max_length=4, description="Ports of further listeners, by name of the port."
    )


class MetricStatus(StatusPart):
    """The last verdict on one metric. Written when a verdict changes or a step does, not at every look."""

    name: str = Field(max_length=40, description="As in spec.")
    verdict: Verdict = Field(description="Pass, Breach, Inconclusive, NoData, Error or NotApplicable.")
    reason: str | None = Field(
        default=None,
        max_length=64,
        description="In one word, what there is to know besides: BeyondWarn, DriftInsensitive, "
        "ReferenceMissing, ReferenceUnreadable, ReferenceMismatch or ReferenceTooSmall.",
    )
    moved: str = Field(
        default="",
        max_length=32,
        description="Whose it is that moved, and how: Candidate, Worse (both, the candidate's more), Both, "
        "Stable or Unsure; sudden or gradual where that is known. Empty while nothing has.",
    )
    candidate: str | None = Field(
        default=None, max_length=40, description="Candidate's value, with its unit."
    )
    stable: str | None = Field(default=None, max_length=40, description="Stable's value, with its unit.")
    samples: int | None = Field(default=None, ge=0, description="Observations behind the candidate's value.")
    message: str = Field(default="", max_length=1024, description="What was compared with what.")
    bound: str = Field(default="", max_length=128, description="What it is held against, as in spec.")
    statistic: str = Field(
        default="", max_length=128, description="What judges it, its value, and what that must reach."
    )
    span: str = Field(default="", max_length=32, description="How long the evidence was gathered for.")
    query: str = Field(default="", max_length=512, description="What the metrics store was asked.")
    at: datetime = Field(description="When the verdict was reached.")


class Replaced(StatusPart):
    """The stable revision before this one: drift from `Previous` is measured from what it had."""

    revision: str = Field(max_length=63, description="Hash that named the revision's objects.")
    model_version: str = Field(max_length=63, description="Its `spec.model.version`.")
    at: datetime = Field(description="When it was replaced.")


class AdaptationStatus(StatusPart):
    """Bounds of replicas that were raised because capacity lacked (`spec.adapt`)."""

    min: int = Field(ge=1, description="Pods that always run.")
    max: int = Field(ge=1, description="Pods at most.")
    own_min: int = Field(ge=1, description="`spec.server.replicas.min` when they were raised.")
    own_max: int | None = Field(default=None, ge=1, description="`spec.server.replicas.max`, likewise.")
    times: int = Field(ge=1, description="How often they were raised.")
    at: datetime = Field(description="When they last were.")
    message: str = Field(max_length=1024, description="Why.")


class HistoryEntry(StatusPart):
    """One rollout that has ended, or has gone a step back."""

    revision: str = Field(max_length=63, description="Hash of the revision.")
    model_version: str = Field(max_length=63, description="Its `spec.model.version`.")
    image: str | None = Field(
        default=None, max_length=512, description="Its image as it was run, with the digest."
    )
    outcome: Outcome = Field(description="Promoted, RolledBack, SteppedDown, Superseded or Aborted.")
    reason: str = Field(max_length=64, description="Why, in one word.")
    message: str = Field(max_length=1024, description="Why, in a sentence.")
    evidence: list[MetricStatus] = Field(
        default_factory=list, max_length=32, description="The metrics as they stood at the decision."
    )
    at: datetime = Field(description="When.")


class ModelDeploymentStatus(StatusPart):
    """What the operator found and decided."""

    observed_generation: int = Field(default=0, ge=0, description="The generation this status speaks of.")
    phase: Phase = Field(
        default=Phase.PENDING, description="Pending, Progressing, Paused, Healthy, Degraded or RollingBack."
    )
    message: str = Field(default="", max_length=4096, description="What is going on, in a sentence.")
    verdict: str | None = Field(
        default=None, max_length=80, description="The worst verdict, with the metric that gave it."
    )
    stable: Stable | None = Field(default=None, description="The revision that users can rely on.")
    candidate: Candidate | None = Field(default=None, description="The revision on trial.")
    successor: Successor | None = Field(
        default=None, description="The revision in spec while the one before it is still on trial."
    )
    previous: Previous | None = Field(default=None, description="The replaced revision, kept warm.")
    replaced: Replaced | None = Field(default=None, description="The stable revision before this one.")
    undone: Undone | None = Field(
        default=None, description="The revision in spec, if a human went back from it."
    )
    control: list[IntentStatus] = Field(
        default_factory=list,
        max_length=5,
        description="What came of the intents in `spec.rollout.control`.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["intent"]},
    )
    images: dict[str, Annotated[str, StringConstraints(max_length=512)]] = Field(
        default_factory=dict,
        max_length=32,
        description="Images as they run, with digests, by revision.",
    )
    rejected: Rejected | None = Field(
        default=None, description="The revision in spec, if it was rolled back."
    )
    draining: list[Draining] = Field(
        default_factory=list, max_length=16, description="Revisions that finish their last answers."
    )
    traffic_generation: int = Field(default=0, ge=0, description="Grows with every change of weights.")
    traffic_changed_at: datetime | None = Field(default=None, description="When the weights last changed.")
    routing: Routing | None = Field(default=None, description="The object's place on the routers.")
    metrics: list[MetricStatus] = Field(default_factory=list, max_length=32, description="The last verdicts.")
    cause: CauseStatus | None = Field(default=None, description="Why metrics have moved, if any has.")
    adaptation: AdaptationStatus | None = Field(
        default=None, description="Raised bounds of replicas; they end when the spec's own are edited."
    )
    retraining: RetrainingStatus | None = Field(
        default=None, description="Episodes of recommended retraining, with `spec.retraining`."
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=32,
        description="Ready, Available, Progressing, Healthy, with a trigger RetrainingReady, and when true "
        "Paused, Promoted, TrafficLimited (something in spec.traffic can't be had), MonitoringLimited (a "
        "metric can't be judged as spec asks), DriftDetected, RetrainingRecommended, CapacityShort, "
        "Reconciling and "
        "Stalled.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    history: list[HistoryEntry] = Field(
        default_factory=list,
        max_length=20,
        description="Rollouts that have ended, and steps back, the latest first.",
    )
