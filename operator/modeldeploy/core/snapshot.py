"""Everything a decision may look at, as immutable values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.finding import Finding


@dataclass(frozen=True, slots=True)
class Revision:
    """The pod-affecting part of a spec, as kept in a ControllerRevision.

    Attributes:
        name: Hash of `content`, 8 or more hexadecimal characters.
        number: Order of creation within the object, from 1.
        model_version: `spec.model.version`.
        content: What the user wrote, `{"model": …, "server": …}`, without defaults and what no pod feels.
        template: The pod template rendered when the revision was made. It never changes afterwards.
    """

    name: str
    number: int
    model_version: str
    content: Mapping[str, Any]
    template: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Workload:
    """What is seen of one revision's Deployment and pods.

    Attributes:
        wanted: `spec.replicas` of the Deployment.
        ready: Ready pods of the current template.
        settled: The Deployment's controller has seen its latest generation.
        restarts: Container restarts of its present pods, summed.
        problem: Why a pod doesn't start or stay, in a sentence; None while nothing is wrong.
        fatal: The problem won't mend itself: a container that crashes again and again.
        images: Images as the pods run them, with their digests; more than one where a tag has moved.
        awaiting: What a pod that starts as it should has not done yet, in words; None when nothing is known.
    """

    wanted: int
    ready: int
    settled: bool = True
    restarts: int = 0
    problem: str | None = None
    fatal: bool = False
    awaiting: str | None = None
    images: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether every wanted pod is ready."""
        return self.settled and self.wanted > 0 and self.ready >= self.wanted


@dataclass(frozen=True, slots=True)
class Routers:
    """What is seen of the namespace's routers.

    Attributes:
        ready: Ready router pods.
        serving: The lowest traffic generation that any ready router was seen to serve for this object, or
            None when that is not known.
        problem: Why they aren't ready, in a sentence.
    """

    ready: int = 0
    serving: int | None = None
    problem: str | None = None

    def follow(self, generation: int) -> bool:
        """Whether every ready router is known to serve this traffic generation, or a later one."""
        return self.serving is not None and self.serving >= generation


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of running an episode's trigger.

    Attributes:
        episode: The episode's id.
        number: Which attempt of the episode this was, from 1.
        what: Webhook, or the kind of what was made.
        done: It need not be run again.
        message: What came of it, in a sentence.
        at: When that was known, in UTC.
    """

    episode: str
    number: int
    what: str
    done: bool
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Observed:
    """The object's children as they are.

    Attributes:
        revisions: By name, as kept in ControllerRevisions.
        workloads: By revision; a revision without a Deployment is absent. What answers behind a Service of
            the user's own is found under `incumbent`.
        routers: The namespace's routers.
        conflict: Names an object in the way that isn't ours, in a sentence with the mend.
        rejection: Why the API server refuses the pods of the revision in spec, in a sentence.
        failure: The last apply that failed, in a sentence.
        incumbent: Why the Service that answers today can't be led to, in a sentence with the mend.
        unable: What the provider can't do of what is decided, in a sentence.
        limits: What of `spec.traffic` isn't so although requests are served.
        attempt: The last attempt at an episode's trigger by this process.
        untriggerable: Why the trigger in spec can't be run, in a sentence that names field and mend.
        recorded_stable: The stable revision as written on the Service `<name>`, in case status is lost.
        recorded_port: The listener port that the Service `<name>` leads to, likewise.
    """

    revisions: Mapping[str, Revision] = field(default_factory=dict)
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    routers: Routers = field(default_factory=Routers)
    conflict: str | None = None
    rejection: str | None = None
    failure: str | None = None
    incumbent: str | None = None
    unable: str | None = None
    limits: tuple[Finding, ...] = ()
    attempt: Attempt | None = None
    untriggerable: str | None = None
    recorded_stable: str | None = None
    recorded_port: int | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """The revision that spec asks for."""

    revision: str
    model_version: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at the world.

    Attributes:
        generation: `metadata.generation` of the object.
        spec: What the user asks for, or None when it can't be understood.
        invalid: Why the spec can't be understood, in a sentence that names field and mend.
        target: The revision in spec; None when the spec is invalid.
        off_weight: Why the candidate's requests are no fair sample of all, in words; None while they may be.
        baseline: The revision to serve first where nothing is stable yet; None where spec names none.
        status: What was decided last.
        observed: The children as they are.
        assessments: One per metric, in spec's order; empty before the first look.
        now: The time of this look, in UTC.
        answered: Requests that the candidate has answered in the step under way, as far as is known.
        acknowledged: The episode that an annotation acknowledges.
    """

    generation: int
    spec: ModelDeploymentSpec | None
    invalid: str | None
    target: Target | None
    status: ModelDeploymentStatus
    observed: Observed
    assessments: tuple[Assessment, ...]
    now: datetime
    answered: int = 0
    off_weight: str | None = None
    baseline: Target | None = None
    acknowledged: str | None = None
