"""Drift of a metric's distribution: from counters to the window.

Whose values count: of inputs, at each look, those of the revision that got most of them, since they are the
world's and not a revision's; of anything else the candidate's, or stable's while no rollout runs.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.drift import ReferenceSource
from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core.drift.buckets import Histogram
from modeldeploy.core.drift.clumps import NEIGHBOURS
from modeldeploy.core.drift.measure import RUN_LENGTH, Drifting
from modeldeploy.core.drift.reference import MISSING, Known, Reference, Trouble
from modeldeploy.core.drift.window import WINDOWS, Windows
from modeldeploy.core.judgement import sources
from modeldeploy.core.judgement.counters import Increments, Parts
from modeldeploy.core.judgement.plan import Plan, plan
from modeldeploy.core.judgement.queries import Query, question
from modeldeploy.core.judgement.roles import Roles
from modeldeploy.core.judgement.sources import TOTAL, Family
from modeldeploy.core.judgement.state import Judged, Track

References = Mapping[str, Reference | Trouble]
"""What is known of the references that aren't counted along, by name of the metric."""

_BUCKET = "_bucket"


class Look(NamedTuple):
    """What all drift of one look has in common.

    Attributes:
        spec: Windows, and how sure one must be.
        roles: Who is who.
        at: The time, in seconds since 1970.
        threshold: E-value at which a candidate is blamed.
        references: As far as they are known.
    """

    spec: ModelDeploymentSpec
    roles: Roles
    at: float
    threshold: float
    references: References


def windows(spec: ModelDeploymentSpec) -> Windows:
    """The spans over which values are taken."""
    return WINDOWS[spec.monitoring.expected_change]


def followed(planned: Plan, judged: Judged, grown: Increments, before: Increments, look: Look) -> Judged:
    """The evidence on a drift after a look.

    Args:
        planned: The metric.
        judged: Its evidence before.
        grown: What was counted since the last look.
        before: What was counted a week ago, between the same times.
        look: The look.
    """
    drift, roles = planned.drift, look.roles
    whom = key(planned, roles, windows(look.spec))
    if drift is None or whom is None:
        return replace(judged, drifting=None)
    mine = _counted(planned, grown, roles.revisions, roles.subject)
    source = drift.reference.source
    if source is ReferenceSource.STABLE:
        mine = histogram(grown.by_revision.get(roles.candidate or "", {}))
        theirs = histogram(grown.by_revision.get(roles.stable or "", {}))
    elif source is ReferenceSource.LAST_WEEK:
        theirs = _counted(planned, before, tuple(before.by_revision), roles.subject)
    else:
        theirs = Histogram()
    span = windows(look.spec)
    state = (judged.drifting or Drifting()).of(whom, look.at)
    apart = max(NEIGHBOURS, 2.0 * seconds(look.spec.monitoring.interval))
    state = state.after(mine, theirs, look.at, span, apart)
    if judged.failure is None and judged.absence is None and not grown.present & set(roles.revisions):
        judged = replace(judged, absence="no series of this object's revisions")
    tracks = {name: Track(seen_at=look.at) for name in grown.present & set(roles.revisions)}
    return replace(
        judged,
        tracks={**judged.tracks, **tracks},
        drifting=state.judged(
            drift,
            _known(planned, look),
            look.threshold if source is ReferenceSource.STABLE else RUN_LENGTH / span.bin,
            _first(state, roles, span) if source is ReferenceSource.STABLE else 0,
        ),
    )


def histogram(parts: Parts) -> Histogram:
    """A family's growth as a histogram."""
    edges = {float(part): count for part, count in parts.items() if part and part != TOTAL}
    return Histogram.of_cumulative(edges, parts.get(TOTAL)) if math.inf in edges else Histogram()


def snapshot_queries(spec: ModelDeploymentSpec) -> dict[str, Query]:
    """What is asked for a snapshot of the previous version, by the name of the histogram."""
    found = {}
    for metric in spec.monitoring.metrics:
        family = plan(metric).family
        if metric.drift and family and metric.drift.reference.source is ReferenceSource.PREVIOUS:
            found[exported(spec, family)] = question(spec, family)
    return found


def exported(spec: ModelDeploymentSpec, family: Family) -> str:
    """The name of a family's histogram as it is exported: references are kept under it."""
    names = sources.source(family, sources.asked_of(spec, family)).names
    return next(one for one in names if one.endswith(_BUCKET)).removesuffix(_BUCKET)


def _reader(spec: ModelDeploymentSpec, family: Family) -> Callable[[str, str], str]:
    return sources.source(family, sources.asked_of(spec, family)).read


def key(planned: Plan, roles: Roles, span: Windows) -> str | None:
    """Whom the window is about, and how long it is; None if there is nobody to compare."""
    drift = planned.drift
    if drift is None or roles.subject is None:
        return None
    if drift.reference.source is ReferenceSource.STABLE:
        return f"{roles.candidate} {roles.started_at:.0f} {span.current:.0f}" if roles.candidate else None
    whose = "world" if planned.metric.category is Category.INPUT else roles.subject
    return f"{whose} {span.current:.0f}"


def _counted(planned: Plan, grown: Increments, revisions: tuple[str, ...], subject: str | None) -> Histogram:
    if planned.metric.category is not Category.INPUT:
        return histogram(grown.by_revision.get(subject or "", {}))
    found = [histogram(grown.by_revision.get(revision, {})) for revision in revisions]
    return max(found, key=lambda one: one.n, default=Histogram())


def _first(state: Drifting, roles: Roles, span: Windows) -> int:
    """The number of the window's first bin since the trial began, from 1."""
    if not state.window.bins:
        return 1
    begun = math.floor(roles.started_at / span.bin)
    return max(1, round(state.window.bins[0].start / span.bin) - begun + 1)


def _known(planned: Plan, look: Look) -> Known | Trouble | None:
    """The reference of a metric; None for one that is counted along."""
    found = look.references.get(planned.metric.name)
    if found is None or planned.family is None or isinstance(found, Trouble):
        return found if isinstance(found, Trouble) else None
    name = exported(look.spec, planned.family)
    known = found.histograms.get(name)
    if known is None and planned.drift and planned.drift.reference.source is ReferenceSource.PREVIOUS:
        return Trouble("", f"the previous version left no {name} to compare with")
    if known is None:
        held = ", ".join(sorted(found.histograms)[:4])
        return Trouble(MISSING, f"the reference holds {held}, but not {name}; export it, too")
    read, (kept, clumps) = _reader(look.spec, planned.family), known
    edges = tuple(float(read("le", f"{edge!r}")) for edge in kept.edges)
    return replace(kept, edges=edges), clumps
