"""One metric with all that its verdict depends on, and how a verdict on it is said."""

from dataclasses import dataclass

from modeldeploy.api.v1alpha1.monitoring import Metric, NoDataPolicy
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.cause import Who
from modeldeploy.core.judgement.advance import STALE
from modeldeploy.core.judgement.plan import Kind, Plan
from modeldeploy.core.judgement.roles import Roles
from modeldeploy.core.judgement.state import Judged, Recent, Track
from modeldeploy.core.judgement.wording import behind as behind_of
from modeldeploy.core.judgement.wording import bounds

MEAN_SAMPLES = 30
"""Observations below which a mean says nothing."""


@dataclass(frozen=True, slots=True)
class Case:
    """One metric with all that its verdict depends on.

    Attributes:
        planned: The metric, understood.
        judged: The evidence on it.
        roles: Who is on trial.
        query: What Prometheus was asked.
        threshold: The e-value at which a bound counts as broken.
        window: Seconds over which values are shown.
        interval: Seconds between looks.
        now: The present time, in seconds since 1970.
        subject: The counts of the revision that the verdict speaks of.
        value: Its value with its unit; None without one.
        stable_value: The same of stable.
    """

    planned: Plan
    judged: Judged
    roles: Roles
    query: str
    threshold: float
    window: float
    interval: float
    now: float
    subject: Track
    value: str | None
    stable_value: str | None

    @property
    def stale_after(self) -> float:
        """Seconds without any series after which data counts as gone."""
        return STALE * self.interval

    @property
    def metric(self) -> Metric:
        """As in spec."""
        return self.planned.metric

    @property
    def fresh(self) -> Recent:
        """The subject's counts within `window` of now."""
        return self.fresh_of(self.subject)

    def fresh_of(self, track: Track) -> Recent:
        """A revision's counts within `window` of now."""
        return track.recent.since(self.now - self.window - self.stale_after)

    @property
    def has_stable_traffic(self) -> bool:
        """Whether stable was asked anything lately: at weight 100 there is nothing to compare with."""
        stable = self.judged.tracks.get(self.roles.stable or "")
        return stable is not None and self.now - stable.spread.at <= self.window + self.stale_after

    @property
    def said(self) -> str:
        """The value, what stands behind it, and the bounds: `nulls 24.3% of 412 answers (max 5%)`."""
        value = self.value or "unknown"
        behind = f" {behind_of(self.planned, self.subject)}"
        stable = self.stable_value
        beside = f", stable {stable}" if self.roles.candidate and stable and self.metric.compare else ""
        return f"{self.metric.name} {value}{behind.rstrip()}{beside} ({bounds(self.metric)})"


def says(case: Case, verdict: Verdict, message: str, who: Who = Who.CANDIDATE) -> Assessment:
    """The verdict with its sentence, and whether a step must wait for it."""
    policies = {Verdict.NO_DATA: case.metric.on_no_data, Verdict.ERROR: case.metric.on_error}
    holds = verdict is not Verdict.NOT_APPLICABLE and policies.get(verdict) is not NoDataPolicy.IGNORE
    return Assessment(
        case.metric.name, case.metric.category, verdict, who, message=message[:1024], holds=holds
    )


def number_of(case: Case, track: Track) -> float | None:
    """A mean over `window` with enough observations, or a gauge that isn't stale."""
    if case.planned.kind is Kind.GAUGE:
        is_fresh = track.seen_at is not None and case.now - track.seen_at <= case.stale_after
        return track.number if is_fresh else None
    fresh = case.fresh_of(track)
    return fresh.events / fresh.requests if fresh.requests >= MEAN_SAMPLES else None
