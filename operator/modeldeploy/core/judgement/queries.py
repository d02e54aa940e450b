"""What Prometheus is asked, and how its answer is shared out.

Each preset belongs to a family: raw cumulative counters per pod for the whole cluster, numerator and
denominator together. Both therefore come from the same scrape of a pod, and one question serves all objects;
several families are asked for in one expression. The labels `namespace` and `pod` are the scraped pod's (for
the router's statistics, the router's, which stands in the namespace of the models it serves).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from typing import Any, NamedTuple

from modeldeploy.api.v1alpha1.drift import ReferenceSource
from modeldeploy.api.v1alpha1.monitoring import Metric, Preset
from modeldeploy.api.v1alpha1.server import Runtime
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core.drift.window import WEEK
from modeldeploy.core.judgement import sources
from modeldeploy.core.judgement.presets import PRESETS
from modeldeploy.core.judgement.roles import Roles
from modeldeploy.core.judgement.sources import Family, Source
from modeldeploy.core.judgement.table import Row
from modeldeploy.core.naming import CONTAINER
from modeldeploy.core.promql import QueryError, confine, substitute

PRESET_FAMILY = {preset: facts.family for preset, facts in PRESETS.items()}
BUCKET_FAMILY = {
    Preset.LATENCY_P50: Family.LATENCY,
    Preset.LATENCY_P95: Family.LATENCY,
    Preset.LATENCY_P99: Family.LATENCY,
    Preset.INPUT_SIZE: Family.SIZE_BUCKETS,
    Preset.INPUT_VOLUME: Family.VOLUME_BUCKETS,
    Preset.BRIGHTNESS: Family.BRIGHTNESS_BUCKETS,
    Preset.CONFIDENCE: Family.CONFIDENCE_BUCKETS,
}
"""Where the distribution of a preset's values comes from."""
NUMERATOR, DENOMINATOR = "numerator", "denominator"
_POD = 'pod=~".+-[a-z0-9]+-[a-z0-9]+-[a-z0-9]{5}"'
"""Pods of a Deployment: its name, which is ours and a revision's, a hash, and five characters."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question to Prometheus.

    Attributes:
        expression: What is asked.
        family: The counters it yields, for every object of the cluster; None for a user's own query.
        part: Of a user's own ratio, which counters it yields: `NUMERATOR` or `DENOMINATOR`.
        runtime: The counters are those that this runtime itself exports; None for those of the router and
            of a model's telemetry.
        ago: They are asked for as they stood so many seconds before.
    """

    expression: str
    family: Family | None = None
    runtime: Runtime | None = None
    ago: float = 0.0
    part: str = ""

    @property
    def source(self) -> Source:
        """Where a family's counters come from; `ValueError` for a user's own query."""
        if self.family is None:
            raise ValueError("a user's own query has no source")
        return sources.source(self.family, self.runtime)


class Place(NamedTuple):
    """Where a series' value belongs: whose it is, in which line, and what it is multiplied by."""

    owner: tuple[str, str]
    line: tuple[str, str, str]
    scale: float


@dataclass(frozen=True, slots=True)
class Counters:
    """One object's part of a family's answer; never empty."""

    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Number:
    """The one finite number that a user's query yielded."""

    value: float


@dataclass(frozen=True, slots=True)
class NoData:
    """Prometheus answered, and there was nothing in it, or NaN or an infinity.

    Attributes:
        reason: What was found instead of a number, as part of a sentence.
    """

    reason: str = "the query yields nothing"


@dataclass(frozen=True, slots=True)
class QueryFailed:
    """Prometheus gave no usable answer.

    Attributes:
        reason: Why, in a sentence without a full stop.
    """

    reason: str


Answer = Counters | Number | NoData | QueryFailed


def queries(spec: ModelDeploymentSpec, namespace: str, name: str, roles: Roles) -> tuple[Query, ...]:
    """The questions that a look at the metrics needs, each once; requests are always counted.

    A query of the user's that can't be asked is left out here; `problems` says why.
    """
    found = {question(spec, Family.REQUESTS): None}
    for metric in spec.monitoring.metrics:
        for family, ago in families(metric):
            found[question(spec, family, ago)] = None
        for revision in roles.revisions:
            found |= dict.fromkeys(own_queries(metric, namespace, name, revision))
    return tuple(found)


def families(metric: Metric) -> tuple[tuple[Family, float], ...]:
    """The families of a metric's counters, and how many seconds before now each is asked for."""
    if metric.preset is None:
        return ()
    if metric.drift is None:
        return ((PRESET_FAMILY[metric.preset], 0.0),)
    family = BUCKET_FAMILY.get(metric.preset)
    if family is None:
        return ()
    if metric.drift.reference.source is ReferenceSource.LAST_WEEK:
        return (family, 0.0), (family, WEEK)
    return ((family, 0.0),)


def question(spec: ModelDeploymentSpec, family: Family, ago: float = 0.0) -> Query:
    """The question for a family's counters, under the names that they have for this object."""
    return family_query(family, runtime=sources.asked_of(spec, family), ago=ago)


@lru_cache(maxsize=1024)
def family_query(
    family: Family,
    of: tuple[str, str] | None = None,
    *,
    runtime: Runtime | None = None,
    ago: float = 0.0,
) -> Query:
    """The question for a family's counters, of all objects or of one.

    Args:
        family: What is asked for.
        of: Namespace and name of one object; None for all.
        runtime: Whose own counts are asked for; None for the router's and a model's telemetry.
        ago: They are asked for as they stood so many seconds before.
    """
    expression = _expression([sources.source(family, runtime)], of=of, ago=ago)
    return Query(expression, family, runtime, ago)


def together(asked: Sequence[Query]) -> str:
    """One expression for families' questions about one time; its answer has the metrics' names."""
    found = [query.source for query in asked if query.family is not None]
    return _expression(found, ("__name__",), ago=asked[0].ago)


def by_name(asked: Iterable[Query]) -> dict[str, list[Query]]:
    """Which of several families' questions a series answers, by the name of its metric."""
    found: dict[str, list[Query]] = {}
    for query in asked:
        for name in (*query.source.names, *query.source.outside) if query.family else ():
            found.setdefault(name, []).append(query)
    return found


def _expression(
    found: Sequence[Source],
    parts: Iterable[str] = (),
    of: tuple[str, str] | None = None,
    ago: float = 0.0,
) -> str:
    labels = dict.fromkeys((*parts, *(label for source in found for label in source.labels)))
    # A series without the label has it empty, so what is left out of one family leaves the others alone.
    unless = dict.fromkeys(f'{source.unless[0]}!~"{source.unless[1]}"' for source in found if source.unless)
    ours = _selector(
        [name for source in found for name in source.names],
        ['modeldeploy_revision!=""', *unless],
        of and [f'namespace="{of[0]}"', f'modeldeploy_name="{of[1]}"'],
    )
    outside = _selector(
        [name for source in found for name in source.outside],
        [f'container=~"{CONTAINER}|"', _POD],  # the exporters of GPUs don't all tell the container
        of and [f'namespace="{of[0]}"', f'pod=~"{of[1]}-.+"'],
    )
    then = f" offset {ago:.0f}s" if ago else ""
    series = " or ".join(selector + then for selector in (ours, outside) if selector)
    return f"sum by (namespace, pod, modeldeploy_name, modeldeploy_revision, {', '.join(labels)}) ({series})"


def _selector(names: Iterable[str], matchers: Iterable[str], of: Iterable[str] | None) -> str:
    """The series of those names; empty without any."""
    known = list(dict.fromkeys(names))
    if not known:
        return ""
    named = f'__name__="{known[0]}"' if len(known) == 1 else f'__name__=~"{"|".join(known)}"'
    return f"{{{','.join((named, *matchers, *(of or ())))}}}"


def narrowed(query: Query, namespace: str, name: str) -> Query:
    """The question, asked for one object alone: for ranges, whose answer would be large for a cluster."""
    if query.family is None:
        return query
    return family_query(query.family, (namespace, name), runtime=query.runtime, ago=query.ago)


def custom_query(metric: Metric, namespace: str, name: str, revision: str) -> Query | None:
    """The question of a metric with its own query, or None if it has none or it can't be asked."""
    if metric.query is None:
        return None
    text = substitute(metric.query, namespace=namespace, name=name, revision=revision)
    try:
        return Query(confine(text, namespace))
    except QueryError:
        return None


@lru_cache(maxsize=4096)
def asked(metric: Metric, namespace: str, name: str, revision: str) -> str:
    """What the metrics store is asked for a user's own query of a revision; empty if it can't be."""
    return " / ".join(query.expression for query in own_queries(metric, namespace, name, revision))


def ratio_queries(metric: Metric, namespace: str, name: str, revision: str) -> tuple[Query, ...]:
    """The two questions of a metric with a ratio of its own; none if it has none or it can't be asked."""
    if metric.ratio is None:
        return ()
    parts = {NUMERATOR: metric.ratio.numerator, DENOMINATOR: metric.ratio.denominator}
    try:
        return tuple(
            Query(
                confine(substitute(text, namespace=namespace, name=name, revision=revision), namespace),
                part=part,
            )
            for part, text in parts.items()
        )
    except QueryError:
        return ()


def own_queries(metric: Metric, namespace: str, name: str, revision: str) -> tuple[Query, ...]:
    """All questions of a user's own about a revision."""
    query = custom_query(metric, namespace, name, revision)
    return (query,) if query else ratio_queries(metric, namespace, name, revision)


def share_out(query: Query, vector: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Counters]:
    """A family's answer by object (namespace, name).

    Args:
        query: A question with a family.
        vector: Prometheus' instant vector: items of `metric` (labels) and `value` ([time, text]).
    """
    found: dict[tuple[str, str], dict[tuple[str, str, str], float]] = {}
    for item in vector:
        value = float(item["value"][1])
        if math.isfinite(value):
            whose, line, scale = place(query, item["metric"])
            counts = found.setdefault(whose, {})
            counts[line] = counts.get(line, 0.0) + value * scale
    return {
        whose: Counters(tuple(Row(*place, count) for place, count in counts.items()))
        for whose, counts in found.items()
    }


def place(query: Query, labels: Mapping[str, str]) -> Place:
    """Where a series of a family's answer belongs, by its labels."""
    source = query.source
    name, revision = owner(labels)
    label = next((one for one in source.labels if one in labels), source.labels[0])
    kind = source.read(label, labels.get(label, ""))
    # Interned: every object keeps its last rows, and the texts are the same again and again.
    line = intern(revision), intern(labels.get("pod", "")), intern(kind)
    scale = source.scale.get(labels.get("__name__", ""), 1.0)
    return Place((labels.get("namespace", ""), name), line, scale)


def owner(labels: Mapping[str, str]) -> tuple[str, str]:
    """Whose series it is, as name and revision; of the cluster's own exporters, by the name of the pod."""
    revision, pod = labels.get("modeldeploy_revision", ""), labels.get("pod", "")
    if revision or pod.count("-") < _DASHES:
        return labels.get("modeldeploy_name", ""), revision
    name, revision, _hash, _suffix = pod.rsplit("-", _DASHES)
    return name, revision


_DASHES = 3
