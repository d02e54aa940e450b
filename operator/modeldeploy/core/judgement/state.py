"""What is remembered between looks: immutable, small, made of numbers and texts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from modeldeploy.core.drift.course import Course
from modeldeploy.core.drift.measure import Drifting
from modeldeploy.core.judgement.assignment import Assignment
from modeldeploy.core.judgement.confidence import Stretch
from modeldeploy.core.judgement.counters import Pod
from modeldeploy.core.judgement.dispersion import Dispersion
from modeldeploy.core.judgement.eprocess import Detector, Mixture, Product
from modeldeploy.core.judgement.plan import Plan
from modeldeploy.core.judgement.recovery import Recovery
from modeldeploy.core.judgement.roles import Roles

_BINS = 4


@dataclass(frozen=True, slots=True)
class Recent:
    """Events and requests over the last `window`, to within a quarter of it; for display and for means.

    Attributes:
        bins: (start, events, requests), rising.
    """

    bins: tuple[tuple[float, float, float], ...] = ()

    def after(self, events: float, requests: float, at: float, window: float) -> Self:
        """The bins after a look."""
        kept = [bin_ for bin_ in self.bins if bin_[0] > at - window]
        if kept and at - kept[-1][0] < window / _BINS:
            start, before, asked = kept[-1]
            kept[-1] = (start, before + events, asked + requests)
        elif requests:
            kept.append((at, events, requests))
        return type(self)(tuple(kept))

    def since(self, at: float) -> Self:
        """What of it is later than a time: of a revision that is asked no more, nothing in the end."""
        return type(self)(tuple(bin_ for bin_ in self.bins if bin_[0] > at))

    @property
    def events(self) -> float:
        """Events within the window."""
        return sum(events for _, events, _ in self.bins)

    @property
    def requests(self) -> float:
        """Requests within the window."""
        return sum(requests for _, _, requests in self.bins)


@dataclass(frozen=True, slots=True)
class Track:
    """One revision's counts for one metric.

    Attributes:
        seen_at: When series of the revision were last there; None before.
        first_at: Of a latency, when its first request was seen; None before.
        events: Events since the revision is watched.
        requests: Requests since then.
        recent: The same within `window`.
        spread: How events vary from look to look.
        profile: A latency's histogram of late, by upper edge in milliseconds.
        number: What a user's query yielded last.
    """

    seen_at: float | None = None
    first_at: float | None = None
    events: float = 0.0
    requests: float = 0.0
    recent: Recent = field(default_factory=Recent)
    spread: Dispersion = field(default_factory=Dispersion)
    profile: Mapping[float, float] = field(default_factory=dict)
    number: float | None = None


UNSEEN = Track()
"""Of a revision that nothing is known of."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The evidence on one bound while a candidate is on trial.

    Attributes:
        broken: That the candidate is beyond the bound.
        kept: That it is not at what a pass must exclude, such as twice the bound.
        stable: That stable is beyond the bound as well, over the same looks (absolute bounds only).
        worse: That the candidate has more events than stable (absolute bounds only).
        lower: That the share above the bucket edge *below* a latency's bound is too large; None if an edge is
            at it.
        rare: That the candidate's events are too rare to compare (comparisons only).
        stretch: What the candidate's rate surely is (absolute bounds only).
        compared: Events and requests of the candidate, and of stable, so far (comparisons only).
    """

    broken: Mixture = field(default_factory=Mixture)
    kept: Product = field(default_factory=Product)
    stable: Mixture | None = None
    worse: Mixture | None = None
    lower: Mixture | None = None
    rare: Product | None = None
    stretch: Stretch = field(default_factory=Stretch)
    compared: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


UNTRIED = Trial()
"""Of a bound that no look has spoken of."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The evidence on one metric.

    Attributes:
        fingerprint: Of the plan that it was gathered for.
        tracks: By revision.
        trials: By bound: `max`, `min`, `compare`.
        watches: By absolute bound, on stable.
        eventful: Looks in which the candidate had events: a single burst never breaks a bound.
        dispersed: The dispersion was known before the last look, so the evidence has been divided by it.
        failure: Why the last question failed; None if it was answered.
        failed_at: Since when questions fail, in seconds since 1970; None while they don't.
        absence: What the last answer held instead of data; None if it held some.
        drifting: Of a drift: the histograms, and what they say; None of anything else.
        course: What stable's value has done over hours and weeks; None where nobody cares.
        recovery: By absolute bound, what stable does once the candidate's traffic was returned.
    """

    fingerprint: str
    tracks: Mapping[str, Track] = field(default_factory=dict)
    trials: Mapping[str, Trial] = field(default_factory=dict)
    watches: Mapping[str, Detector] = field(default_factory=dict)
    eventful: int = 0
    dispersed: bool = False
    failure: str | None = None
    failed_at: float | None = None
    absence: str | None = None
    drifting: Drifting | None = None
    course: Course | None = None
    recovery: Mapping[str, Recovery] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the judgement of one ModelDeployment remembers.

    Attributes:
        at: Time of the last look, in seconds since 1970.
        roles: Whom it was about.
        pods: By question, each pod's counters as last seen.
        metrics: By name.
        step_requests: Requests that the candidate has answered in the step under way.
        assignment: Whether the candidate gets the share of requests that it should.
        owner: Namespace and name of the object.
    """

    at: float = 0.0
    roles: Roles = field(default_factory=Roles)
    pods: Mapping[str, Mapping[str, Pod]] = field(default_factory=dict)
    metrics: Mapping[str, Judged] = field(default_factory=dict)
    step_requests: float = 0.0
    assignment: Assignment = field(default_factory=Assignment)
    owner: tuple[str, str] = ("", "")

    def judged(self, planned: Plan) -> Judged:
        """The evidence on a metric; none yet if it was gathered for other bounds."""
        found = self.metrics.get(planned.metric.name)
        if found is None or found.fingerprint != planned.fingerprint:
            return Judged(planned.fingerprint, course=found.course if found else None)
        return found

    def with_roles(self, roles: Roles) -> Self:
        """The evidence that still counts: a new trial begins with none, a new stable is watched anew."""
        if roles == self.roles:
            return self
        before = self.roles
        metrics = self.metrics
        same_trial = (roles.candidate, roles.started_at) == (before.candidate, before.started_at)
        if not same_trial:
            metrics = {name: _new_trial(judged, roles.candidate) for name, judged in metrics.items()}
        if roles.stable != before.stable:
            metrics = {
                name: replace(judged, watches={}, course=judged.course and judged.course.promoted())
                for name, judged in metrics.items()
            }
        if roles.returned_at != before.returned_at:
            metrics = {name: replace(judged, recovery={}) for name, judged in metrics.items()}
        same_step = (roles.candidate, roles.step_started_at) == (before.candidate, before.step_started_at)
        return replace(
            self,
            roles=roles,
            metrics=metrics,
            step_requests=self.step_requests if same_step else 0.0,
            assignment=self.assignment if same_trial else Assignment(),
        )


def _new_trial(judged: Judged, candidate: str | None) -> Judged:
    tracks = {revision: track for revision, track in judged.tracks.items() if revision != candidate}
    return replace(judged, tracks=tracks, trials={}, eventful=0, dispersed=False)
