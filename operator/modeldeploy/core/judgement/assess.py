"""From evidence to verdicts, one per metric, and to the sentence that explains each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from modeldeploy.api.quantity import seconds, spell_duration
from modeldeploy.api.v1alpha1.monitoring import Category, Metric, NoDataPolicy
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core.assessment import Assessment, Basis
from modeldeploy.core.cause import Who
from modeldeploy.core.judgement.advance import STALE
from modeldeploy.core.judgement.drift_verdict import assessed
from modeldeploy.core.judgement.passing import lack
from modeldeploy.core.judgement.plan import COMPARE, LEAST, Kind, Plan, plans, threshold
from modeldeploy.core.judgement.queries import asked, question
from modeldeploy.core.judgement.roles import Roles
from modeldeploy.core.judgement.sources import Family
from modeldeploy.core.judgement.state import Evidence, Judged, Recent, Track, Trial
from modeldeploy.core.judgement.weigh import RUN_LENGTH, dispersion
from modeldeploy.core.judgement.wording import behind as behind_of
from modeldeploy.core.judgement.wording import bounds, noun, percent, spell_shift, value_of

SUSPECT = 10.0
"""E-value from which stable, too, is suspected of being beyond a bound. Then the candidate is blamed only
when it is shown to be worse than stable."""

BURST = 2
"""Looks with events that it takes to break an absolute bound: one clump is one accident."""

UNDISPERSED = "DispersionUnknown: too little was seen of how events clump"
"""Why nobody is blamed yet."""

MEAN_SAMPLES = 30
"""Observations below which a mean says nothing."""


@dataclass(frozen=True, slots=True)
class _Case:
    """One metric with all that its verdict depends on."""

    planned: Plan
    judged: Judged
    roles: Roles
    query: str
    threshold: float
    window: float
    interval: float
    now: float

    @property
    def stale_after(self) -> float:
        """Seconds without any series after which data counts as gone."""
        return STALE * self.interval

    @property
    def metric(self) -> Metric:
        return self.planned.metric

    @property
    def subject(self) -> Track:
        return self.judged.tracks.get(self.roles.subject or "", Track())

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
        value = value_of(self.planned, self.subject) or "unknown"
        behind = f" {behind_of(self.planned, self.subject)}"
        stable = value_of(self.planned, self.judged.tracks.get(self.roles.stable or ""))
        beside = f", stable {stable}" if self.roles.candidate and stable and self.metric.compare else ""
        return f"{self.metric.name} {value}{behind.rstrip()}{beside} ({bounds(self.metric)})"


def assess(
    evidence: Evidence, spec: ModelDeploymentSpec, roles: Roles, now: datetime
) -> tuple[Assessment, ...]:
    """The verdicts, in spec's order; empty before the first look.

    Args:
        evidence: As of the last look.
        spec: The metrics and their bounds.
        roles: Who is on trial; the evidence of another trial says nothing.
        now: The present time, in UTC.
    """
    if not evidence.at:
        return ()
    evidence = evidence.with_roles(roles)
    limit, (namespace, name) = threshold(spec), evidence.owner
    window, interval = seconds(spec.monitoring.window), seconds(spec.monitoring.interval)
    found = []
    for planned in plans(spec):
        judged = evidence.judged(planned)
        if planned.drift is not None:
            found.append(assessed(planned, judged, roles, spec, now.timestamp(), STALE * interval))
            continue
        case = _Case(
            planned,
            judged,
            roles,
            question(spec, planned.family).expression
            if planned.family
            else asked(planned.metric, namespace, name, roles.subject or ""),
            limit,
            window,
            interval,
            now.timestamp(),
        )
        found.append(_with_values(case, _verdict(case)))
    return tuple(found)


def off_weight(evidence: Evidence, roles: Roles) -> str | None:
    """Why the candidate can't be compared: its share of requests isn't its weight; None while it may be."""
    return evidence.with_roles(roles).assignment.finding


def requests(evidence: Evidence, roles: Roles) -> int:
    """Requests that the candidate has answered in the step under way, by the router's count."""
    return round(evidence.with_roles(roles).step_requests)


def _with_values(case: _Case, assessment: Assessment) -> Assessment:
    has_counts = case.planned.kind is not Kind.GAUGE
    stable = case.judged.tracks.get(case.roles.stable or "")
    return replace(
        _with_shift(case, assessment),
        candidate=value_of(case.planned, case.subject),
        stable=value_of(case.planned, stable) if case.roles.candidate else None,
        samples=round(case.subject.recent.requests) if has_counts else None,
        recovered=_recovered(case),
        basis=_basis(case),
        on_trial=case.roles.candidate is not None,
        query=case.query,
    )


def _with_shift(case: _Case, said: Assessment) -> Assessment:
    """The same with a change of stable's course; in a trial only of what callers send, which is both's."""
    course, on_trial = case.judged.course, case.roles.candidate is not None
    shift = course.shift if course else None
    if shift is None or (on_trial and case.metric.category is not Category.INPUT):
        return said
    who = said.who if said.verdict is Verdict.BREACH else Who.BOTH if on_trial else Who.STABLE
    message = f"{said.message or case.said}; {spell_shift(case.planned, shift)}"
    return replace(said, who=who, shift=shift, message=message[:1024])


def _recovered(case: _Case) -> bool | None:
    """Whether stable keeps its bounds again since traffic was returned; one that it breaks is enough."""
    found = [recovery.recovered for recovery in case.judged.recovery.values()]
    if False in found:
        return False
    return True if found and all(found) else None


def _basis(case: _Case) -> Basis | None:
    """The strongest evidence against a bound, and what it must reach."""
    judged, begun = case.judged, case.roles.started_at
    if case.planned.kind in {Kind.MEAN, Kind.GAUGE}:
        return None
    if case.roles.candidate is None:
        found = [watch.level for watch in judged.watches.values()]
        needed, span = RUN_LENGTH / case.interval, case.window
    else:
        found = [trial.broken.value for trial in judged.trials.values()]
        needed, span = case.threshold, case.now - begun
    return Basis(max(found), needed, span) if found else None


def _says(case: _Case, verdict: Verdict, message: str, who: Who = Who.CANDIDATE) -> Assessment:
    policies = {Verdict.NO_DATA: case.metric.on_no_data, Verdict.ERROR: case.metric.on_error}
    holds = verdict is not Verdict.NOT_APPLICABLE and policies.get(verdict) is not NoDataPolicy.IGNORE
    return Assessment(
        case.metric.name, case.metric.category, verdict, who, message=message[:1024], holds=holds
    )


def _verdict(case: _Case) -> Assessment:
    if case.roles.subject is None:
        return _says(case, Verdict.NOT_APPLICABLE, f"{case.metric.name}: nothing serves yet")
    if case.roles.candidate and case.roles.shadow and case.planned.family is Family.FEEDBACK:
        said = f"{case.metric.name}: the candidate answers no users, who could say something of it"
        return _says(case, Verdict.NOT_APPLICABLE, said)
    breach = _breach(case)
    if breach is not None:
        return breach
    return _unanswered(case) or _undecided(case) or _says(case, Verdict.PASS, case.said)


def _unanswered(case: _Case) -> Assessment | None:
    """Error and NoData: never a pass, never a breach."""
    name, judged, seen_at = case.metric.name, case.judged, case.subject.seen_at
    if judged.failure is not None:
        return _failed(case) or _says(case, Verdict.ERROR, f"{name}: {judged.failure}")
    if judged.absence is not None and (seen_at is None or case.now - seen_at > case.stale_after):
        since = "" if seen_at is None else f" for {spell_duration(case.now - seen_at)}"
        message = f"{name}: no data{since}, {judged.absence}"
        return _lost(case, message) or _says(case, Verdict.NO_DATA, message)
    return None


def _failed(case: _Case) -> Assessment | None:
    """A breach where questions have failed for longer than `onError: Fail` allows."""
    begun = max(case.judged.failed_at or case.now, case.roles.started_at)
    limit = seconds(case.metric.fail_after)
    if case.metric.on_error is not NoDataPolicy.FAIL or case.roles.candidate is None:
        return None
    if case.now - begun < limit:
        return None
    said = f"{case.metric.name}: {case.judged.failure}, for {spell_duration(case.now - begun)}"
    return _says(case, Verdict.BREACH, f"{said} (onError: Fail after {case.metric.fail_after})")


def _lost(case: _Case, message: str) -> Assessment | None:
    """A breach where the candidate has had no data for longer than `onNoData: Fail` allows."""
    begun = max(case.subject.seen_at or 0.0, case.roles.started_at)
    if case.metric.on_no_data is not NoDataPolicy.FAIL or case.roles.candidate is None:
        return None
    if case.now - begun < seconds(case.metric.fail_after):
        return None
    stable = case.judged.tracks.get(case.roles.stable or "", Track())
    is_there = stable.seen_at is not None and case.now - stable.seen_at <= case.stale_after
    who = Who.CANDIDATE if is_there else Who.BOTH
    also = "" if is_there else "; neither has stable"
    said = f"{message} (onNoData: Fail after {case.metric.fail_after}){also}"
    return _says(case, Verdict.BREACH, said, who)


def _breach(case: _Case) -> Assessment | None:
    if case.planned.kind is Kind.COUNT:
        return _breach_of_count(case)
    if case.planned.kind in {Kind.MEAN, Kind.GAUGE}:
        return _breach_of_number(case)
    if case.roles.candidate is None:
        standing = [name for name, watch in case.judged.watches.items() if watch.standing]
        return _says(case, Verdict.BREACH, case.said, Who.STABLE) if standing else None
    found = {name: _whose(case, name, trial) for name, trial in case.judged.trials.items()}
    who = _together(found)
    if who is None:
        return None
    why = _WHY.get(who, "")
    if who is Who.UNSURE:
        why = f"; {'too little is known' if case.judged.dispersed else UNDISPERSED} to blame the candidate"
    if case.metric.category is Category.INPUT:
        why = "; inputs never blame the candidate"
    return _says(case, Verdict.BREACH, case.said + _surely(case) + why, who)


_WHY = {
    Who.WORSE: "; stable is beyond it, too, but less",
    Who.BOTH: "; so is stable",
}


def _together(found: Mapping[str, Who | None]) -> Who | None:
    """Who is beyond any of a metric's bounds: beyond `compare` as well as both beyond another is worse."""
    seen = set(found.values()) - {None}
    if Who.CANDIDATE in {found.get(COMPARE), found.get(LEAST)} and Who.BOTH in seen:
        return Who.WORSE
    return next((who for who in (Who.WORSE, Who.CANDIDATE, Who.BOTH, Who.UNSURE) if who in seen), None)


def _whose(case: _Case, name: str, trial: Trial) -> Who | None:
    """Who is beyond a bound; None while it isn't shown to be broken."""
    if trial.broken.value < case.threshold:
        return None
    if name in case.planned.comparisons:
        return Who.CANDIDATE if case.judged.dispersed else Who.UNSURE
    if case.judged.eventful < BURST:
        return None
    stable = trial.stable.value if trial.stable else 0.0
    if stable < SUSPECT:
        return (
            Who.UNSURE if trial.stable is None and case.metric.category is Category.INPUT else Who.CANDIDATE
        )
    is_worse = case.judged.dispersed and trial.worse is not None and trial.worse.value >= case.threshold
    if is_worse:
        return Who.WORSE
    return Who.BOTH if stable >= case.threshold else Who.UNSURE


def _breach_of_number(case: _Case) -> Assessment | None:
    value = _number_of(case, case.subject)
    if value is None or (_is_within(case.planned, value) and not _is_apart(case, value)):
        return None
    said = f"{case.said}; Heuristic, a number without a count behind it"
    return _says(case, Verdict.BREACH, said, _whose_number(case))


def _is_apart(case: _Case, value: float) -> bool:
    """Whether a number is further from stable's than `compare` allows; not where stable has none."""
    if case.roles.candidate is None or not case.planned.comparisons:
        return False
    stable = _number_of(case, case.judged.tracks.get(case.roles.stable or "", Track()))
    if stable is None:
        return False
    most, least = case.planned.ratio, case.planned.least
    return (most is not None and value > most * stable) or (least is not None and value < least * stable)


def _breach_of_count(case: _Case) -> Assessment | None:
    """Events that count by themselves, such as restarts: a hard bound, without any statistics."""
    high = case.planned.high
    if high is None or case.subject.recent.events <= high:
        return None
    stable = case.judged.tracks.get(case.roles.stable or "", Track())
    if case.roles.candidate is None:
        return _says(case, Verdict.BREACH, case.said, Who.STABLE)
    who = Who.BOTH if stable.recent.events > high else Who.CANDIDATE
    return _says(case, Verdict.BREACH, case.said + _WHY.get(who, ""), who)


def _whose_number(case: _Case) -> Who:
    """Who is beyond a bound by a number alone, which may tell of inputs, and never blames a candidate."""
    if case.roles.candidate is None:
        return Who.STABLE
    beside = _number_of(case, case.judged.tracks.get(case.roles.stable or "", Track()))
    if case.metric.category is not Category.INPUT or beside is None:
        return Who.UNSURE
    return Who.CANDIDATE if _is_within(case.planned, beside) else Who.BOTH


def _is_within(planned: Plan, value: float) -> bool:
    low, high = planned.low, planned.high
    return (low is None or value >= low) and (high is None or value <= high)


def _number_of(case: _Case, track: Track) -> float | None:
    """A mean over `window` with enough observations, or a gauge that isn't stale."""
    if case.planned.kind is Kind.GAUGE:
        is_fresh = track.seen_at is not None and case.now - track.seen_at <= case.stale_after
        return track.number if is_fresh else None
    fresh = case.fresh_of(track)
    return fresh.events / fresh.requests if fresh.requests >= MEAN_SAMPLES else None


def _undecided(case: _Case) -> Assessment | None:
    if case.planned.kind is Kind.COUNT:
        silent = f"{case.metric.name}: nothing counted yet"
        return None if case.subject.recent.requests else _says(case, Verdict.INCONCLUSIVE, silent)
    if case.planned.kind in {Kind.MEAN, Kind.GAUGE}:
        counted = case.fresh.requests
        if _number_of(case, case.subject) is not None:
            return None
        needed = f"{case.metric.name}: {counted:.0f} of {MEAN_SAMPLES} {noun(case.planned)} needed"
        return _says(case, Verdict.INCONCLUSIVE, needed)
    if case.roles.candidate is None:
        if not case.planned.limits:
            return _says(case, Verdict.NOT_APPLICABLE, f"{case.metric.name}: compared while a rollout runs")
        return None if case.fresh.requests else _says(case, Verdict.INCONCLUSIVE, _silent(case))
    return _coarse(case) or _unproven(case)


def _coarse(case: _Case) -> Assessment | None:
    trial = case.judged.trials.get("max")
    if trial is None or trial.lower is None or trial.lower.value < case.threshold:
        return None
    message = (
        f"{case.said}; BucketsTooCoarse: value and bound lie in the same bucket of the histogram; "
        "choose a bound at a bucket's edge"
    )
    return _says(case, Verdict.INCONCLUSIVE, message)


def _unproven(case: _Case) -> Assessment | None:
    """What isn't shown yet, and how many requests that takes."""
    planned, compared = case.planned, case.has_stable_traffic
    phi = dispersion(case.judged, case.roles) or 1.0
    missing = lack(planned, case.judged, case.subject, phi, compared=compared)
    if missing is not None:
        counted = case.subject.requests
        said = f"{case.said}; {missing}" if counted else f"{case.metric.name}: {missing}"
        return _says(case, Verdict.INCONCLUSIVE, said)
    if not planned.comparisons or planned.limits or compared:
        return None
    return _says(case, Verdict.NOT_APPLICABLE, f"{case.metric.name}: no traffic on stable to compare with")


def _silent(case: _Case) -> str:
    return f"{case.metric.name}: no {noun(case.planned)} for {spell_duration(case.window)}"


def _surely(case: _Case) -> str:
    """How far beyond a broken bound the candidate surely is: the end of a confidence sequence, in words.

    No less than the bound, which the test itself has disproved.
    """
    for limit in case.planned.limits:
        trial = case.judged.trials.get(limit.name)
        if trial is not None and trial.broken.value >= case.threshold:
            least = max(limit.rate, trial.stretch.least(case.threshold))
            above = " above it" if case.planned.kind is Kind.LATENCY else ""
            side = f"at most {percent(1.0 - least)}" if limit.name == "min" else f"at least {percent(least)}"
            return f", surely {side}{above}"
    return ""
