"""`spec.rollout`: how a new version is brought in."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from modeldeploy.api.quantity import Duration, Percent
from modeldeploy.api.v1alpha1 import rules
from modeldeploy.api.v1alpha1.base import Part, Rule
from modeldeploy.api.v1alpha1.text import (
    HeaderName,
    HeaderValue,
    Hostname,
    Image,
    ModelVersion,
    RevisionName,
    Share,
)


class Strategy(StrEnum):
    """How a new version comes in; each is only a default list of steps."""

    SHADOW = "Shadow"
    CANARY = "Canary"
    BLUE_GREEN = "BlueGreen"
    IMMEDIATE = "Immediate"


class Switch(StrEnum):
    """How a BlueGreen rollout moves traffic."""

    INSTANT = "Instant"
    GRADUAL = "Gradual"


class OnSupersede(StrEnum):
    """What becomes of a candidate when spec names a third version."""

    STABLE_FIRST = "StableFirst"
    STRAIGHT_ON = "StraightOn"


class Scaling(StrEnum):
    """How many pods a candidate runs."""

    FULL = "Full"
    PROPORTIONAL = "Proportional"


class Surge(StrEnum):
    """Whether candidate and stable run side by side."""

    FULL = "Full"
    NONE = "None"


class Approval(StrEnum):
    """Whether a step waits for a human."""

    REQUIRED = "Required"


class Shadow(Part):
    """Copies of requests: the candidate's answers are measured and thrown away."""

    percent: Share = Field(default=100, description="Share of requests that are copied, in percent.")


class PreviewHeader(Part):
    """A header that leads a request to the candidate."""

    name: HeaderName = Field(description="Name of the header.")
    value: HeaderValue = Field(description="Its exact value.")


class Preview(Part):
    """A way to the candidate for those who know it, without a share of everybody's requests."""

    header: PreviewHeader | None = Field(
        default=None,
        description="Requests with this header go to the candidate. Defaults to "
        "`x-modeldeploy-preview: candidate` where no hostname is given.",
    )
    hostname: Hostname | None = Field(
        default=None, description="Requests for this host name go to the candidate."
    )


class Step(Part):
    """One stage of a rollout. What a step does not state stays as the steps before left it."""

    weight: Share | None = Field(
        default=None,
        description="Share of requests, in percent, that the candidate answers. Ends the copies of a shadow "
        "step.",
    )
    shadow: Shadow | None = Field(
        default=None, description="Copy requests to the candidate, whose answers nobody gets."
    )
    preview: Preview | None = Field(
        default=None, description="Let those who know the way reach the candidate, until the rollout ends."
    )
    approval: Approval | None = Field(
        default=None, description="Required: the step ends only when `spec.rollout.control.approve` says so."
    )
    hold: Duration | None = Field(
        default=None,
        description="Time to stay at least. The step ends when it is over and the metrics have passed. "
        "Defaults to 5m, and to 0s for a step of nothing but an approval.",
    )
    min_requests: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Requests that the candidate must have answered in this step at least, copies counted. "
        "Only a floor: the evidence needed follows from the bounds.",
    )

    rules: ClassVar[tuple[Rule, ...]] = rules.STEP


class Intent(Part):
    """Something that a human wants done once, to one revision."""

    revision: RevisionName = Field(
        description="The revision that is meant, as in status. For any other the intent is refused."
    )
    nonce: Annotated[str, StringConstraints(max_length=64)] | None = Field(
        default=None,
        description="Any text. The same revision and nonce act once; change it to ask again.",
    )


class Control(Part):
    """What a human wants."""

    paused: bool = Field(
        default=False,
        description="The candidate gets no further, whatever the metrics say. A breach still ends it.",
    )
    approve: Intent | None = Field(
        default=None, description="The step under way may end, if it waits for approval."
    )
    promote: Intent | None = Field(
        default=None, description="The candidate becomes stable as soon as its pods can carry all requests."
    )
    abort: Intent | None = Field(
        default=None, description="All traffic returns to stable; the candidate is not tried again by itself."
    )
    retry: Intent | None = Field(
        default=None, description="The revision in spec, rolled back or aborted before, is tried again."
    )
    undo: Intent | None = Field(
        default=None,
        description="Go back to this revision (or `incumbent`) while spec stays as it is: at once if it "
        "still runs, else as soon as its pods are ready.",
    )


class Baseline(Part):
    """The version to trust where nothing runs yet: in a cluster that was built anew."""

    version: ModelVersion = Field(description="Its `spec.model.version`.")
    image: Image | None = Field(
        default=None, description="Its image, if it is another than `spec.server.image`."
    )


class Rollout(Part):
    """How a new version is brought in."""

    strategy: Strategy = Field(
        default=Strategy.CANARY,
        description="Canary: growing shares, judged at each step (5, 20 and 50% for 5m each, or `steps`). "
        "Shadow: copies of all requests for 5m, then an approval; nobody gets its answers before. "
        "BlueGreen: both versions at full size, a preview for 5m, then the switch. "
        "Immediate: all traffic as soon as the new pods are ready.",
    )
    switch: Switch | None = Field(
        default=None,
        description="With BlueGreen. Instant (the default): all traffic at once. Gradual: 25, 50 and 75% "
        "for 1m each first.",
    )
    steps: list[Step] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="Steps instead of the strategy's own; after the last one the candidate is promoted.",
    )
    keep_previous: Duration = Field(
        default="1h",
        description="How long the replaced revision keeps running, at its size, so that going back is one "
        "traffic change that starts no pod. With `surge: None` there is no room for that: it ends at once.",
    )
    drain: Duration = Field(
        default="30s",
        description="Time between the last new request to a revision and its pods' end: the longest stream.",
    )
    progress_deadline: Duration = Field(
        default="15m",
        description="How long the work of a rollout may take on top of `spec.server.startupTimeout` and the "
        "holds. A candidate that is not ready by then is given up; a step that still waits pauses and says "
        "for what. Waiting for a metrics store or for a human does not count.",
    )
    false_rollback: Percent = Field(
        default="1%",
        description="Chance, per rollout and over all metrics together, that a candidate as good as stable "
        "is rolled back. Smaller needs more evidence.",
    )
    on_supersede: OnSupersede = Field(
        default=OnSupersede.STABLE_FIRST,
        description="When spec names a third version in mid-rollout. StableFirst: all traffic returns to "
        "stable at once. StraightOn: the candidate keeps its share until the third version's pods are ready.",
    )
    scaling: Scaling = Field(
        default=Scaling.FULL,
        description="Full: the candidate starts with as many pods as stable runs. Proportional: with as many "
        "as its next share of requests needs; with `surge: None` always.",
    )
    surge: Surge = Field(
        default=Surge.FULL,
        description="Full: the candidate runs beside stable. None: where compute suffices for one only, "
        "stable gives way first, pod by pod; a stable of one pod goes entirely, and NOBODY ANSWERS while the "
        "candidate starts.",
    )
    baseline: Baseline | None = Field(
        default=None,
        description="The version to serve first where the object is new, e.g. in a rebuilt cluster; then the "
        "version in spec is tried against it.",
    )
    revision_history_limit: int = Field(
        default=10, ge=0, le=100, description="Revisions kept for `undo`, beside those in use."
    )
    control: Control = Field(
        default_factory=Control,
        description="What a human wants of the rollout under way. Each intent acts once, and "
        "`status.control` tells what came of it.",
    )

    rules: ClassVar[tuple[Rule, ...]] = rules.ROLLOUT
