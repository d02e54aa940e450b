"""Lengths of inputs as models' servers count them, in buckets, look by look."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from modeldeploy.api.v1alpha1.drift import ExpectedChange
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core import judgement
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.drift.buckets import Histogram
from modeldeploy.core.drift.reference import Reference
from modeldeploy.core.judgement import Answer, Counters, Evidence, NoData, Query, References, Roles, Row
from modeldeploy.core.judgement.sources import Family
from unit.core.judgement.simulation import make_spec, when

EDGES = ("10", "20", "30", "40", "50", "60", "80", "100", "+Inf")
NAME = "model_input_size"
Factor = Callable[[str, float], float]
"""How long the inputs of a revision are at a time, in seconds, relative to usual ones."""


def drift_spec(
    source: str = "Training",
    *,
    category: str = "Input",
    change: str = "Fast",
    preset: str = "inputSize",
    **drift: object,
) -> ModelDeploymentSpec:
    reference: dict[str, object] = {"source": source}
    if source == "Training":
        reference["configMap"] = {"name": "training"}
    asked = {"warn": 0.1, "fail": 0.25, "reference": reference, **drift}
    metric = {"name": "length", "category": category, "preset": preset, "drift": asked}
    spec = make_spec(metric, interval="10s")
    update = {"expected_change": ExpectedChange(change)}
    return spec.model_copy(update={"monitoring": spec.monitoring.model_copy(update=update)})


def lengths(source: np.random.Generator, count: int, factor: float = 1.0) -> np.ndarray:
    return factor * source.gamma(6.0, 6.0, count)


def training(count: int = 20_000) -> Reference:
    values = lengths(np.random.default_rng(99), count)
    edges = tuple(float(edge) for edge in EDGES)
    counts = np.histogram(values, (-np.inf, *edges))[0]
    return Reference({NAME: (Histogram(edges, tuple(map(float, counts)), float(values.sum())), 1.0)})


@dataclass
class Inputs:
    """Counters of pods, one per revision.

    A week ago they were asked the usual.
    """

    spec: ModelDeploymentSpec
    factor: Factor = field(default=lambda _revision, _at: 1.0)
    load: Mapping[str, float] = field(default_factory=lambda: {"aaaa": 30.0})
    references: References = field(default_factory=dict)
    seed: int = 1

    def __post_init__(self) -> None:
        self.source = np.random.default_rng(self.seed)
        self.counts: dict[str, dict[str, float]] = {}
        self.week_ago: dict[str, dict[str, float]] = {}
        self.evidence = Evidence()

    def look(self, at: float, roles: Roles, *, silent: bool = False) -> tuple[Assessment, ...]:
        for revision, mean in self.load.items():
            self._serve(self.counts, revision, mean, self.factor(revision, at))
            self._serve(self.week_ago, revision, mean, 1.0)
        queries = judgement.queries(self.spec, "ns", "digits", roles)
        self.evidence = judgement.advance(
            self.evidence,
            self.spec,
            namespace="ns",
            name="digits",
            roles=roles,
            answers={} if silent else {query: self.answer(query) for query in queries},
            at=when(at),
            references=self.references,
        )
        return judgement.assess(self.evidence, self.spec, roles, when(at))

    def run(self, roles: Roles, seconds: float, since: float = 0.0) -> Iterator[tuple[float, Assessment]]:
        at = since
        while at <= since + seconds:
            yield at, self.look(at, roles)[0]
            at += 10.0

    def last(self, roles: Roles, seconds: float, since: float = 0.0) -> Assessment:
        return list(self.run(roles, seconds, since))[-1][1]

    def answer(self, query: Query) -> Answer:
        if query.family is not Family.SIZE_BUCKETS:
            return NoData()
        counts = self.week_ago if query.ago else self.counts
        rows = [
            Row(revision, f"pod-{revision}", part, value)
            for revision, parts in counts.items()
            for part, value in parts.items()
        ]
        return Counters(tuple(rows)) if rows else NoData()

    def _serve(self, counts: dict[str, dict[str, float]], revision: str, mean: float, factor: float) -> None:
        values = lengths(self.source, self.source.poisson(mean), factor)
        mine = counts.setdefault(revision, dict.fromkeys((*EDGES, "total"), 0.0))
        for edge in EDGES:
            mine[edge] += float((values <= float(edge)).sum())
        mine["total"] += float(values.sum())
