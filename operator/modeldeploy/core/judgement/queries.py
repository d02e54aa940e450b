"""What Prometheus is asked, and how its answer is shared out.

Each preset belongs to a family: raw cumulative counters per pod for the whole cluster, numerator and
denominator together. Both therefore come from the same scrape of a pod, and one question serves all objects;
several families are asked for in one expression. The labels `namespace` and `pod` are the scraped pod's (for
the router's statistics, the router's, which stands in the namespace of the models it serves).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from sys import intern
from typing import Any, NamedTuple

from modeldeploy.api.v1alpha1.monitoring import Metric, Preset
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.traffic import Provider
from modeldeploy.core.judgement.roles import Roles
from modeldeploy.core.promql import QueryError, confine, substitute


class Family(StrEnum):
    """Counters that are asked for together."""

    REQUESTS = "requests"
    LATENCY = "latency"
    NULLS = "nulls"
    MISSING = "missing"
    SIZE = "size"
    BRIGHTNESS = "brightness"


class Source(NamedTuple):
    """Where a family's counters come from.

    Attributes:
        names: Of metrics.
        labels: Those that tell the parts apart; a series has one of them.
        read: How a label and its value become the part that counts are kept under.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    read: Callable[[str, str], str]


GRPC = "grpc "
"""Begins the parts that count answers by gRPC's status, which HTTP's counts hold as well."""


def _plain(_label: str, value: str) -> str:
    return value


def _class(_label: str, code: str) -> str:
    """The class of an HTTP status: `5` for 503."""
    return code[:1]


def _answer(label: str, value: str) -> str:
    """The class of an HTTP status, or gRPC's status marked as such."""
    return f"{GRPC}{value}" if label == "grpc_status" else value


def _milliseconds(_label: str, edge: str) -> str:
    """A bucket's edge in seconds, in milliseconds as the router's are."""
    return f"{float(edge) * 1000:.12g}"


SOURCES = {
    # Answers by class of status. Envoy counts time-outs (504) and upstream resets (503) here, and a request
    # that was retried once, by its last answer. A gRPC call that fails is a success of HTTP's.
    Family.REQUESTS: Source(
        ("envoy_cluster_upstream_rq_xx", "envoy_grpc_calls"),
        ("envoy_response_code_class", "grpc_status"),
        _answer,
    ),
    Family.LATENCY: Source(("envoy_cluster_upstream_rq_time_bucket",), ("le",), _plain),
    Family.NULLS: Source(("model_output_null_total", "model_output_values_total"), ("__name__",), _plain),
    Family.MISSING: Source(("model_input_missing_total", "model_input_values_total"), ("__name__",), _plain),
    Family.SIZE: Source(("model_input_size_sum", "model_input_size_count"), ("__name__",), _plain),
    Family.BRIGHTNESS: Source(
        ("model_input_brightness_sum", "model_input_brightness_count"), ("__name__",), _plain
    ),
}
SERVED = {
    Family.REQUESTS: Source(("model_requests_total",), ("code",), _class),
    Family.LATENCY: Source(("model_request_duration_seconds_bucket",), ("le",), _milliseconds),
}
"""Where there is no router of ours: the same from the model's own server."""
PRESET_FAMILY = {
    Preset.LATENCY_P50: Family.LATENCY,
    Preset.LATENCY_P95: Family.LATENCY,
    Preset.LATENCY_P99: Family.LATENCY,
    Preset.ERROR_RATIO: Family.REQUESTS,
    Preset.NULL_RATIO: Family.NULLS,
    Preset.MISSING_RATIO: Family.MISSING,
    Preset.INPUT_SIZE: Family.SIZE,
    Preset.BRIGHTNESS: Family.BRIGHTNESS,
}


@dataclass(frozen=True, slots=True)
class Query:
    """One question to Prometheus.

    Attributes:
        expression: What is asked.
        family: The counters it yields, for every object of the cluster; None for a user's own query.
        served: The counters are those of the models' own servers, where no router of ours counts.
    """

    expression: str
    family: Family | None = None
    served: bool = False

    @property
    def source(self) -> Source:
        """Where a family's counters come from; `ValueError` for a user's own query."""
        if self.family is None:
            raise ValueError("a user's own query has no source")
        return (SERVED if self.served else SOURCES)[self.family]


class Row(NamedTuple):
    """One counter of one pod, as it stood at the time of the question."""

    revision: str
    pod: str
    part: str
    value: float


@dataclass(frozen=True, slots=True)
class Counters:
    """One object's part of a family's answer; never empty."""

    rows: tuple[Row, ...]


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
    """The questions that a look at the metrics needs, each once; the router's request counts always.

    A query of the user's that can't be asked is left out here; `problems` says why.
    """
    served = counts_itself(spec)
    found = {family_query(Family.REQUESTS, served=served): None}
    for metric in spec.monitoring.metrics:
        if metric.preset is not None:
            found[family_query(PRESET_FAMILY[metric.preset], served=served)] = None
        for revision in roles.revisions:
            query = custom_query(metric, namespace, name, revision)
            if query is not None:
                found[query] = None
    return tuple(found)


def counts_itself(spec: ModelDeploymentSpec) -> bool:
    """Whether the model's own server counts requests and times them: no router of ours does."""
    return spec.traffic.provider is not Provider.ROUTER


@lru_cache(maxsize=1024)
def family_query(family: Family, matchers: str = "", *, served: bool = False) -> Query:
    """The question for a family's counters, narrowed by further matchers if any are given.

    Args:
        family: What is asked for.
        matchers: Further ones, each with a comma before it.
        served: Ask for the counts of the models' servers where the router's are usual.
    """
    served = served and family in SERVED
    source = (SERVED if served else SOURCES)[family]
    return Query(_expression(source.names, source.labels, matchers), family, served)


def together(asked: Sequence[Query]) -> str:
    """One expression for several families' questions: an evaluation in one go, and one answer."""
    if len(asked) == 1:
        return asked[0].expression
    sources = [query.source for query in asked if query.family is not None]
    names = [name for source in sources for name in source.names]
    return _expression(
        names, dict.fromkeys(("__name__", *(label for source in sources for label in source.labels)))
    )


def apart(asked: Sequence[Query], result: Iterable[Any]) -> dict[Query, list[Any]]:
    """The answer to `together`, as each question alone would have been answered."""
    if len(asked) == 1:
        return {asked[0]: list(result)}
    found: dict[Query, list[Any]] = {query: [] for query in asked}
    owner = {name: query for query in asked if query.family for name in query.source.names}
    for item in result:
        found[owner[item["metric"]["__name__"]]].append(item)
    return found


def _expression(names: Sequence[str], parts: Iterable[str], matchers: str = "") -> str:
    named = f'__name__="{names[0]}"' if len(names) == 1 else f'__name__=~"{"|".join(names)}"'
    return (
        f"sum by (namespace, pod, modeldeploy_name, modeldeploy_revision, {', '.join(parts)}) "
        f'({{{named},modeldeploy_revision!=""{matchers}}})'
    )


def narrowed(query: Query, namespace: str, name: str) -> Query:
    """The question, asked for one object alone: for ranges, whose answer would be large for a cluster."""
    if query.family is None:
        return query
    matchers = f',namespace="{namespace}",modeldeploy_name="{name}"'
    return family_query(query.family, matchers, served=query.served)


def custom_query(metric: Metric, namespace: str, name: str, revision: str) -> Query | None:
    """The question of a metric with its own query, or None if it has none or it can't be asked."""
    if metric.query is None:
        return None
    text = substitute(metric.query, namespace=namespace, name=name, revision=revision)
    try:
        return Query(confine(text, namespace))
    except QueryError:
        return None


def share_out(query: Query, vector: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Counters]:
    """A family's answer by object (namespace, name).

    Args:
        query: A question with a family.
        vector: Prometheus' instant vector: items of `metric` (labels) and `value` ([time, text]).
    """
    source = query.source
    found: dict[tuple[str, str], dict[tuple[str, str, str], float]] = {}
    for item in vector:
        labels, value = item["metric"], float(item["value"][1])
        if math.isfinite(value):
            # Interned: every object keeps its last rows, and the texts are the same again and again.
            revision, pod = (intern(labels.get(key, "")) for key in ("modeldeploy_revision", "pod"))
            label = next((one for one in source.labels if one in labels), source.labels[0])
            kind = intern(source.read(label, labels.get(label, "")))
            owner = labels.get("namespace", ""), labels.get("modeldeploy_name", "")
            counts = found.setdefault(owner, {})
            counts[revision, pod, kind] = counts.get((revision, pod, kind), 0.0) + value
    return {
        owner: Counters(tuple(Row(*place, count) for place, count in counts.items()))
        for owner, counts in found.items()
    }


def single(result: Sequence[Any]) -> Answer:
    """The answer to a user's own query: one scalar, or a vector of one series."""
    if not result:
        return NoData()
    if isinstance(result[0], Mapping):
        if len(result) > 1:
            return QueryFailed(
                f"the query yields {len(result)} series where one is expected; aggregate with sum()"
            )
        if "value" not in result[0]:
            return QueryFailed(
                "the query yields a histogram where a number is expected; use histogram_quantile()"
            )
        result = result[0]["value"]
    value = float(result[1])
    return Number(value) if math.isfinite(value) else NoData(f"the query yields {result[1]}")
