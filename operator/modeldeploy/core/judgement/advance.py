"""One look at the counters: the evidence before, and after."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.monitoring import Category, Metric
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core.drift.course import Course
from modeldeploy.core.drift.window import WEEK
from modeldeploy.core.judgement import assignment as assignments
from modeldeploy.core.judgement import drifting, histogram
from modeldeploy.core.judgement.assignment import Assignment
from modeldeploy.core.judgement.counters import Increments, Parts, Pod, difference
from modeldeploy.core.judgement.levels import levels, timed
from modeldeploy.core.judgement.plan import Kind, Plan, plans, share, threshold
from modeldeploy.core.judgement.presets import LATENCIES, LEVELS, TIMED
from modeldeploy.core.judgement.queries import (
    DENOMINATOR,
    NUMERATOR,
    Answer,
    Counters,
    NoData,
    Number,
    Query,
    QueryFailed,
    custom_query,
    families,
    question,
    ratio_queries,
)
from modeldeploy.core.judgement.recovery import SETTLING, Recovery
from modeldeploy.core.judgement.roles import Roles
from modeldeploy.core.judgement.sources import SOURCES, Family
from modeldeploy.core.judgement.state import UNSEEN, Evidence, Judged, Track
from modeldeploy.core.judgement.table import Row
from modeldeploy.core.judgement.weigh import NOTHING, Look, dispersion, weigh

_NO_SERIES = "no series of this revision"

STALE = 3
"""Intervals without any series after which data counts as gone."""


def advance(
    evidence: Evidence,
    spec: ModelDeploymentSpec,
    *,
    namespace: str,
    name: str,
    roles: Roles,
    answers: Mapping[Query, Answer],
    at: datetime,
    references: drifting.References = MappingProxyType({}),
) -> Evidence:
    """The evidence after a look at `at`. A look that is not later than the last one changes nothing.

    Args:
        evidence: What was known before.
        spec: The metrics and their bounds.
        namespace: The object's.
        name: The object's.
        roles: Who is on trial at `at`.
        answers: To the questions of `queries`; a missing one counts as failed.
        at: The time that Prometheus was asked about, in UTC.
        references: What drift is measured from, by metric, as far as that isn't counted along.
    """
    now = at.timestamp()
    if now <= evidence.at:
        return evidence
    evidence = evidence.with_roles(roles)
    monitoring, owner = spec.monitoring, (namespace, name)
    spans = seconds(monitoring.window), seconds(monitoring.interval)
    scene = _Scene(roles, *spans, now, owner, seconds(monitoring.warmup))
    pods: dict[str, Mapping[str, Pod]] = {}
    grown: dict[str, Increments] = {}
    for family, ago in _families(spec):
        answer = answers.get(question(spec, family, ago))
        rows, key = answer.rows if isinstance(answer, Counters) else (), _key(family, ago)
        before = evidence.pods.get(key, {})
        if family in LEVELS:
            grown[key] = levels(family, rows, min(now - evidence.at, STALE * scene.interval))
            continue
        pods[key], grown[key] = difference(before, rows, now, scene.interval)
        if family in TIMED:
            grown[key] = timed(grown[key], before, pods[key])
    look = drifting.Look(spec, roles, now, threshold(spec), references)
    metrics = {}
    for planned in plans(spec):
        metric = planned.metric
        judged = evidence.judged(planned)
        if metric.ratio is not None:
            key = f"{planned.part} of {metric.name}"
            pods[key], shares, judged = _own_shares(evidence, judged, metric, answers, key, scene)
            metrics[metric.name] = _counts(planned, judged, shares, scene)
        elif planned.family is None:
            own = (
                (revision, custom_query(metric, namespace, name, revision)) for revision in roles.revisions
            )
            mine = {revision: answers.get(query) for revision, query in own if query is not None}
            metrics[metric.name] = _numbers(planned, judged, mine, scene)
        else:
            judged = _answered(judged, answers.get(question(spec, planned.family)), now)
            if planned.drift is not None:
                a_week_ago = grown.get(_key(planned.family, WEEK), Increments())
                judged = drifting.followed(planned, judged, grown[planned.family], a_week_ago, look)
                metrics[metric.name] = judged
                continue
            metrics[metric.name] = _counts(planned, judged, grown[planned.family], scene)
    return replace(
        evidence,
        at=now,
        pods=pods,
        metrics=metrics,
        step_requests=evidence.step_requests + _asked_in_step(grown[Family.REQUESTS], scene),
        assignment=_assigned(evidence.assignment, spec, grown[Family.REQUESTS], scene),
        owner=(namespace, name),
    )


class _Scene(NamedTuple):
    """What all metrics of one look have in common; spans and times in seconds."""

    roles: Roles
    window: float
    interval: float
    now: float
    owner: tuple[str, str]
    warmup: float

    def warmup_of(self, planned: Plan) -> float:
        """Seconds from a revision's first request on during which its latencies are ignored."""
        own = planned.metric.warmup
        return self.warmup if own is None else seconds(own)


def _families(spec: ModelDeploymentSpec) -> Iterable[tuple[Family, float]]:
    wanted = [one for metric in spec.monitoring.metrics for one in families(metric)]
    return dict.fromkeys([(Family.REQUESTS, 0.0), *wanted])


def _key(family: Family, ago: float) -> str:
    """What a family's counters are kept under, now and as they stood before."""
    return f"{family} {ago:.0f}" if ago else family


def _asked_in_step(grown: Increments, scene: _Scene) -> float:
    if scene.roles.candidate is None or scene.now <= scene.roles.step_started_at:
        return 0.0
    return share(Family.REQUESTS, grown.by_revision.get(scene.roles.candidate, {}))[1]


def _assigned(
    assignment: Assignment, spec: ModelDeploymentSpec, grown: Increments, scene: _Scene
) -> Assignment:
    """Sticky clients count as often as they ask, so nothing can be said of theirs."""
    roles = scene.roles
    settled = scene.now - scene.interval >= roles.weighed_at + assignments.SETTLING
    if spec.traffic.sticky or not settled or not 0 < roles.weight < 100:  # noqa: PLR2004 - percent
        return assignment
    candidate, stable = (
        share(Family.REQUESTS, grown.by_revision.get(revision or "", {}))[1]
        for revision in (roles.candidate, roles.stable)
    )
    return assignment.after(candidate, stable, roles.weight, scene.now)


def _numbers(planned: Plan, judged: Judged, answers: Mapping[str, Answer | None], scene: _Scene) -> Judged:
    """A user's query: the number it yields for each revision."""
    tracks = {}
    for revision, answer in answers.items():
        track = judged.tracks.get(revision, UNSEEN)
        if isinstance(answer, Number):
            if revision == scene.roles.stable and answer.value != track.number:  # the same again is no news
                judged = _followed_on(planned, judged, Look(answer.value, 1.0), scene)
            track = replace(track, seen_at=scene.now, number=answer.value)
        tracks[revision] = track
    return _answered(replace(judged, tracks=tracks), answers.get(scene.roles.subject or ""), scene.now)


def _own_shares(
    evidence: Evidence,
    judged: Judged,
    metric: Metric,
    answers: Mapping[Query, Answer],
    key: str,
    scene: _Scene,
) -> tuple[Mapping[str, Pod], Increments, Judged]:
    """A user's own ratio: its counters, and what they have gained, by revision as `numerator` and so on."""
    rows: list[Row] = []
    whole: set[str] = set()
    asked: Answer | None = None
    for revision in scene.roles.revisions:
        halves = ratio_queries(metric, *scene.owner, revision)
        if all(isinstance(answers.get(query), Counters) for query in halves):
            whole.add(revision)
        for query in halves:
            answer = answers.get(query)
            if revision == scene.roles.subject and not isinstance(asked, QueryFailed | NoData):
                asked = answer
            found = answer.rows if isinstance(answer, Counters) else ()
            # Without a pod's name a revision stands for its pods: its first sight is a level, too.
            rows += [Row(revision, row.pod or revision, query.part + row.part, row.value) for row in found]
    pods, grown = difference(evidence.pods.get(key, {}), rows, scene.now)
    shares = {
        revision: {
            half: sum(count for part, count in parts.items() if part.startswith(half))
            for half in (NUMERATOR, DENOMINATOR)
        }
        for revision, parts in grown.by_revision.items()
    }
    return pods, Increments(shares, frozenset(whole)), _answered(judged, asked, scene.now)


def _answered(judged: Judged, answer: Answer | None, now: float) -> Judged:
    failure = None
    if answer is None or isinstance(answer, QueryFailed):
        failure = answer.reason if answer else "the query was not asked"
    absence = answer.reason if isinstance(answer, NoData) else None
    since = None if failure is None else judged.failed_at or now
    if (failure, absence, since) == (judged.failure, judged.absence, judged.failed_at):
        return judged
    return replace(judged, failure=failure, absence=absence, failed_at=since)


def _is_unanswered(scene: _Scene) -> bool:
    """Whether users see none of the candidate's answers, so that they can say nothing of them."""
    return scene.roles.shadow or scene.now <= scene.roles.weighed_at


def _absence(planned: Plan, reason: str) -> str:
    """The same, with whom to ask for it: some series come from exporters that not every cluster has."""
    addon = SOURCES[planned.family].addon if planned.family else ""
    return f"{reason}; it comes from {addon}, which Prometheus must scrape" if addon else reason


def _counts(planned: Plan, judged: Judged, grown: Increments, scene: _Scene) -> Judged:
    """A preset: its counters' growth, by revision, and what it says about the bounds."""
    roles = scene.roles
    if judged.failure is None and roles.subject not in grown.present:
        judged = replace(judged, absence=_absence(planned, judged.absence or _NO_SERIES))
    stable = judged.tracks.get(roles.stable or "")
    edges = None
    if planned.kind is Kind.LATENCY and planned.ratio is not None and stable is not None:
        edges = histogram.compared_edges(stable.profile, planned.quantile, planned.ratio)
    looks: dict[str, Look] = {}
    tracks: dict[str, Track] = {}
    for revision in roles.revisions:
        track = judged.tracks.get(revision, UNSEEN)
        if planned.family is Family.FEEDBACK and revision == roles.candidate and _is_unanswered(scene):
            tracks[revision], looks[revision] = track, NOTHING
        elif revision in grown.present:
            edge = edges[revision == roles.candidate] if edges else None
            parts = grown.by_revision.get(revision, {})
            tracks[revision], looks[revision] = _followed(planned, track, parts, edge, scene)
        else:
            tracks[revision], looks[revision] = track, NOTHING
    before = judged
    if planned.kind not in {Kind.MEAN, Kind.COUNT}:
        judged = weigh(planned, judged, looks, roles, scene.interval)
    look = looks.get(roles.stable or "", NOTHING)
    judged = _recovering(planned, judged, look, dispersion(before, roles) or 1.0, scene)
    return replace(_followed_on(planned, judged, look, scene), tracks=tracks)


def _recovering(planned: Plan, judged: Judged, look: Look, phi: float, scene: _Scene) -> Judged:
    """What stable does since the candidate's traffic was returned to it."""
    returned = scene.roles.returned_at
    if not returned or scene.now - scene.interval < returned + SETTLING or not look.requests:
        return judged
    known = judged.recovery
    found = {
        limit.name: known.get(limit.name, Recovery()).after(
            look.events, look.requests, limit, phi, scene.interval
        )
        for limit in planned.limits
    }
    return replace(judged, recovery=found)


def _followed_on(planned: Plan, judged: Judged, look: Look, scene: _Scene) -> Judged:
    """The course of stable's value; software's may do as it likes within its bounds."""
    category = planned.metric.category
    if category is Category.SOFTWARE:
        return judged
    of_inputs, course = category is Category.INPUT, judged.course
    if course is None or course.of_inputs is not of_inputs:
        course = Course(of_inputs=of_inputs)
    is_share = planned.kind is Kind.SHARE
    return replace(judged, course=course.after(look.events, look.requests, scene.now, is_share=is_share))


def _followed(
    planned: Plan, track: Track, parts: Parts, edge: float | None, scene: _Scene
) -> tuple[Track, Look]:
    """A revision's counts after this look, and what it yields. A compared latency's tail begins at `edge`."""
    now, profile = scene.now, track.profile
    if planned.kind is Kind.LATENCY:
        counts = histogram.buckets(parts)
        look = _latency(planned, counts, edge)
        if look.requests:
            keep = math.exp(min(0.0, track.spread.at - now) / scene.window)
            profile = histogram.faded(profile, counts, keep)
    elif planned.edge is not None:
        look = _below(planned.edge, histogram.buckets(parts))
    elif planned.family is None:
        requests = parts.get(DENOMINATOR, 0.0)
        events = min(requests, parts.get(NUMERATOR, 0.0))
        look = Look(events, requests, None, events)
    else:
        events, requests = share(planned.family, parts, planned.part)
        look = Look(events, requests, None, events)
    if not look.requests:
        return replace(track, seen_at=now), NOTHING
    first_at = now if track.first_at is None else track.first_at
    if planned.family in LATENCIES and now - first_at < scene.warmup_of(planned):
        return replace(track, seen_at=now, first_at=first_at), NOTHING
    compared = look.events if look.compared is None else look.compared
    return Track(
        seen_at=now,
        first_at=track.first_at,
        events=track.events + look.events,
        requests=track.requests + look.requests,
        recent=track.recent.after(look.events, look.requests, now, planned.window or scene.window),
        spread=track.spread.after(compared, look.requests, now),
        profile=profile,
    ), look


def _below(edge: float, counts: histogram.Buckets) -> Look:
    """Observations below a value: those up to the edge at or below it, and as `lower` the one above."""
    low, high = histogram.bracket(counts, edge)
    events = counts.get(low, 0.0)
    return Look(events, histogram.total(counts), None if low == high else counts.get(high, 0.0), events)


def _latency(planned: Plan, counts: histogram.Buckets, edge: float | None) -> Look:
    requests, events, lower = histogram.total(counts), 0.0, None
    if planned.high is not None:
        below, above = histogram.bracket(counts, planned.high)
        events = histogram.beyond(counts, above)
        lower = None if below == above else histogram.beyond(counts, below)
    return Look(events, requests, lower, None if edge is None else histogram.beyond(counts, edge))
