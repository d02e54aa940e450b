"""From evidence to verdicts, one per metric, and to the sentence that explains each."""

from dataclasses import replace
from datetime import datetime

from modeldeploy.api.quantity import seconds, spell_duration
from modeldeploy.api.v1alpha1.monitoring import Category, NoDataPolicy
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core.assessment import Assessment, Basis
from modeldeploy.core.cause import Who
from modeldeploy.core.judgement.advance import STALE
from modeldeploy.core.judgement.breach import breach
from modeldeploy.core.judgement.case import MEAN_SAMPLES, Case, number_of, says
from modeldeploy.core.judgement.drift_verdict import assessed
from modeldeploy.core.judgement.passing import lack
from modeldeploy.core.judgement.plan import Kind, plans, threshold
from modeldeploy.core.judgement.queries import asked, question
from modeldeploy.core.judgement.roles import Roles
from modeldeploy.core.judgement.sources import Family
from modeldeploy.core.judgement.state import UNSEEN, Evidence
from modeldeploy.core.judgement.weigh import RUN_LENGTH, dispersion
from modeldeploy.core.judgement.wording import noun, spell_shift, value_of


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
        subject, stable = (
            judged.tracks.get(revision or "", UNSEEN) for revision in (roles.subject, roles.stable)
        )
        case = Case(
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
            subject,
            value_of(planned, subject),
            value_of(planned, stable) if roles.candidate else None,
        )
        found.append(_with_values(case, _verdict(case)))
    return tuple(found)


def off_weight(evidence: Evidence, roles: Roles) -> str | None:
    """Why the candidate can't be compared: its share of requests isn't its weight; None while it may be."""
    return evidence.with_roles(roles).assignment.finding


def requests(evidence: Evidence, roles: Roles) -> int:
    """Requests that the candidate has answered in the step under way, by the router's count."""
    return round(evidence.with_roles(roles).step_requests)


def _with_values(case: Case, assessment: Assessment) -> Assessment:
    has_counts = case.planned.kind is not Kind.GAUGE
    return replace(
        _with_shift(case, assessment),
        candidate=case.value,
        stable=case.stable_value,
        samples=round(case.subject.recent.requests) if has_counts else None,
        recovered=_recovered(case),
        basis=_basis(case),
        on_trial=case.roles.candidate is not None,
        query=case.query,
    )


def _with_shift(case: Case, said: Assessment) -> Assessment:
    """The same with a change of stable's course; in a trial only of what callers send, which is both's."""
    course, on_trial = case.judged.course, case.roles.candidate is not None
    shift = course.shift if course else None
    if shift is None or (on_trial and case.metric.category is not Category.INPUT):
        return said
    who = said.who if said.verdict is Verdict.BREACH else Who.BOTH if on_trial else Who.STABLE
    message = f"{said.message or case.said}; {spell_shift(case.planned, shift)}"
    return replace(said, who=who, shift=shift, message=message[:1024])


def _recovered(case: Case) -> bool | None:
    """Whether stable keeps its bounds again since traffic was returned; one that it breaks is enough."""
    found = [recovery.recovered for recovery in case.judged.recovery.values()]
    if False in found:
        return False
    return True if found and all(found) else None


def _basis(case: Case) -> Basis | None:
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


def _verdict(case: Case) -> Assessment:
    if case.roles.subject is None:
        return says(case, Verdict.NOT_APPLICABLE, f"{case.metric.name}: nothing serves yet")
    if case.roles.candidate and case.roles.shadow and case.planned.family is Family.FEEDBACK:
        said = f"{case.metric.name}: the candidate answers no users, who could say something of it"
        return says(case, Verdict.NOT_APPLICABLE, said)
    found = breach(case)
    if found is not None:
        return found
    return _unanswered(case) or _undecided(case) or says(case, Verdict.PASS, case.said)


def _unanswered(case: Case) -> Assessment | None:
    """Error and NoData: never a pass, never a breach."""
    name, judged, seen_at = case.metric.name, case.judged, case.subject.seen_at
    if judged.failure is not None:
        return _failed(case) or says(case, Verdict.ERROR, f"{name}: {judged.failure}")
    if judged.absence is not None and (seen_at is None or case.now - seen_at > case.stale_after):
        since = "" if seen_at is None else f" for {spell_duration(case.now - seen_at)}"
        message = f"{name}: no data{since}, {judged.absence}"
        return _lost(case, message) or says(case, Verdict.NO_DATA, message)
    return None


def _failed(case: Case) -> Assessment | None:
    """A breach where questions have failed for longer than `onError: Fail` allows."""
    begun = max(case.judged.failed_at or case.now, case.roles.started_at)
    limit = seconds(case.metric.fail_after)
    if case.metric.on_error is not NoDataPolicy.FAIL or case.roles.candidate is None:
        return None
    if case.now - begun < limit:
        return None
    said = f"{case.metric.name}: {case.judged.failure}, for {spell_duration(case.now - begun)}"
    return says(case, Verdict.BREACH, f"{said} (onError: Fail after {case.metric.fail_after})")


def _lost(case: Case, message: str) -> Assessment | None:
    """A breach where the candidate has had no data for longer than `onNoData: Fail` allows."""
    begun = max(case.subject.seen_at or 0.0, case.roles.started_at)
    if case.metric.on_no_data is not NoDataPolicy.FAIL or case.roles.candidate is None:
        return None
    if case.now - begun < seconds(case.metric.fail_after):
        return None
    stable = case.judged.tracks.get(case.roles.stable or "", UNSEEN)
    is_there = stable.seen_at is not None and case.now - stable.seen_at <= case.stale_after
    who = Who.CANDIDATE if is_there else Who.BOTH
    also = "" if is_there else "; neither has stable"
    said = f"{message} (onNoData: Fail after {case.metric.fail_after}){also}"
    return says(case, Verdict.BREACH, said, who)


def _undecided(case: Case) -> Assessment | None:
    if case.planned.kind is Kind.COUNT:
        silent = f"{case.metric.name}: nothing counted yet"
        return None if case.subject.recent.requests else says(case, Verdict.INCONCLUSIVE, silent)
    if case.planned.kind in {Kind.MEAN, Kind.GAUGE}:
        counted = case.fresh.requests
        if number_of(case, case.subject) is not None:
            return None
        needed = f"{case.metric.name}: {counted:.0f} of {MEAN_SAMPLES} {noun(case.planned)} needed"
        return says(case, Verdict.INCONCLUSIVE, needed)
    if case.roles.candidate is None:
        if not case.planned.limits:
            return says(case, Verdict.NOT_APPLICABLE, f"{case.metric.name}: compared while a rollout runs")
        return None if case.fresh.requests else says(case, Verdict.INCONCLUSIVE, _silent(case))
    return _coarse(case) or _unproven(case)


def _coarse(case: Case) -> Assessment | None:
    trial = case.judged.trials.get("max")
    if trial is None or trial.lower is None or trial.lower.value < case.threshold:
        return None
    message = (
        f"{case.said}; BucketsTooCoarse: value and bound lie in the same bucket of the histogram; "
        "choose a bound at a bucket's edge"
    )
    return says(case, Verdict.INCONCLUSIVE, message)


def _unproven(case: Case) -> Assessment | None:
    """What isn't shown yet, and how many requests that takes."""
    planned, compared = case.planned, case.has_stable_traffic
    phi = dispersion(case.judged, case.roles) or 1.0
    missing = lack(planned, case.judged, case.subject, phi, compared=compared)
    if missing is not None:
        counted = case.subject.requests
        said = f"{case.said}; {missing}" if counted else f"{case.metric.name}: {missing}"
        return says(case, Verdict.INCONCLUSIVE, said)
    if not planned.comparisons or planned.limits or compared:
        return None
    return says(case, Verdict.NOT_APPLICABLE, f"{case.metric.name}: no traffic on stable to compare with")


def _silent(case: Case) -> str:
    return f"{case.metric.name}: no {noun(case.planned)} for {spell_duration(case.window)}"
