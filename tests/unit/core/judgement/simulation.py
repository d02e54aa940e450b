"""Traffic made up for tests: counters of pods, as a Prometheus would show them, and rollouts judged by it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core import judgement
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.cause import Who
from modeldeploy.core.judgement import Answer, Counters, Evidence, NoData, Query, Roles, Row
from modeldeploy.core.judgement.sources import Family

STABLE, CANDIDATE = "aaaa1111", "bbbb2222"
START = 1_800_000_000.0
EDGES = (5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 300.0, 500.0, 1000.0)

SEVEN = (
    {
        "name": "errors",
        "category": "Software",
        "preset": "errorRatio",
        "max": "1%",
        "compare": {"maxRatio": "1.2"},
    },
    {"name": "p95", "category": "Software", "preset": "latencyP95", "max": "300ms"},
    {"name": "p99", "category": "Software", "preset": "latencyP99", "max": "500ms"},
    {"name": "nulls", "category": "Output", "preset": "nullRatio", "max": "5%"},
    {"name": "missing", "category": "Input", "preset": "missingRatio", "max": "2%"},
    {"name": "size", "category": "Input", "preset": "inputSize", "min": 32, "max": 96},
    {"name": "brightness", "category": "Input", "preset": "brightness", "max": 200},
)


def make_spec(
    *metrics: Mapping[str, object], interval: str = "5s", false_rollback: str = "1%"
) -> ModelDeploymentSpec:
    return ModelDeploymentSpec.model_validate(
        {
            "model": {"version": "1"},
            "server": {"image": "model:1"},
            "rollout": {"falseRollback": false_rollback},
            "monitoring": {"interval": interval, "metrics": list(metrics)},
        }
    )


def when(at: float) -> datetime:
    return datetime.fromtimestamp(START + at, UTC)


@dataclass
class Rates:
    """Shares of one revision's requests at one time."""

    errors: float = 0.005
    nulls: float = 0.02
    slow: float = 0.02
    missing: float = 0.005
    clump: int = 1


@dataclass
class Revision:
    """One revision's counters on one router and one pod of its own."""

    source: np.random.Generator
    counts: dict[str, float] = field(default_factory=dict)

    def serve(self, requests: int, rates: Rates) -> None:
        errors = self._events(requests, rates.errors, rates.clump)
        nulls = self._events(requests, rates.nulls, rates.clump)
        slow = self._events(requests, rates.slow, rates.clump)
        very_slow = int(self.source.binomial(slow, 0.2))
        for part, grown in {
            "2": requests - errors,
            "5": errors,
            "model_output_values_total": requests,
            "model_output_null_total": nulls,
            "model_input_values_total": 64 * requests,
            "model_input_missing_total": self._events(64 * requests, rates.missing, rates.clump),
            "model_input_size_sum": 64.0 * requests,
            "model_input_size_count": requests,
            "model_input_brightness_sum": 120.0 * requests,
            "model_input_brightness_count": requests,
            "slow": slow,
            "very slow": very_slow,
            "all": requests,
        }.items():
            self.counts[part] = self.counts.get(part, 0.0) + grown

    def _events(self, requests: int, rate: float, clump: int) -> int:
        """Binomial, or in clumps of a fixed size at the same mean."""
        return min(requests, int(self.source.binomial(requests, rate / clump)) * clump)

    def rows(self, revision: str, family: Family) -> Iterator[Row]:
        counts = self.counts
        if not counts:
            return
        if family is Family.LATENCY:
            for edge in EDGES:
                slower = counts["slow"] if edge < 400 else counts["very slow"] if edge < 900 else 0.0
                fast = 0.5 if edge == EDGES[0] else 1.0
                yield Row(revision, "router-0", f"{edge:g}", (counts["all"] - slower) * fast)
            yield Row(revision, "router-0", "+Inf", counts["all"])
            return
        if family in {Family.SIZE_BUCKETS, Family.BRIGHTNESS_BUCKETS}:
            for upper, share in (("50", 0.3), ("100", 0.8), ("+Inf", 1.0)):
                yield Row(revision, f"model-{revision}", upper, share * counts["all"])
            return
        for part, value in counts.items():
            if family is Family.REQUESTS and part in {"2", "5"}:
                yield Row(revision, "router-0", part, value)
            elif part.startswith(_PREFIXES.get(family, ())):
                yield Row(revision, f"model-{revision}", part, value)


_PREFIXES = {
    Family.NULLS: ("model_output_",),
    Family.MISSING: ("model_input_missing", "model_input_values"),
    Family.SIZE: ("model_input_size",),
    Family.BRIGHTNESS: ("model_input_brightness",),
}


@dataclass
class World:
    """Stable and candidate behind one router, looked at every `interval` seconds."""

    spec: ModelDeploymentSpec
    seed: int
    interval: float = 5.0
    stable_rates: Callable[[float], Rates] = field(default=lambda _: Rates())
    candidate_rates: Callable[[float], Rates] = field(default=lambda _: Rates())
    load: Callable[[float], tuple[float, float]] = field(default=lambda _: (180.0, 20.0))
    history: float = 600.0
    missed: float = 0.0
    restarts: float = 0.0

    def __post_init__(self) -> None:
        self.source = np.random.default_rng(self.seed)
        self.stable, self.candidate = Revision(self.source), Revision(self.source)
        self.evidence = Evidence()

    def answers(self, queries: tuple[Query, ...]) -> dict[Query, Answer]:
        found: dict[Query, Answer] = {}
        for query in queries:
            if query.family is None:
                continue
            rows = [
                row
                for name, revision in ((STABLE, self.stable), (CANDIDATE, self.candidate))
                if self.source.random() >= self.missed
                for row in revision.rows(name, query.family)
            ]
            found[query] = Counters(tuple(rows)) if rows else NoData()
        return found

    def look(self, at: float, roles: Roles) -> None:
        queries = judgement.queries(self.spec, "ns", "digits", roles)
        self.evidence = judgement.advance(
            self.evidence,
            self.spec,
            namespace="ns",
            name="digits",
            roles=roles,
            answers=self.answers(queries),
            at=when(at),
        )

    def run(self, seconds: float) -> Iterator[tuple[float, tuple[Assessment, ...]]]:
        """A rollout from time 0 on, after `history` seconds of stable alone; one item per look."""
        before = Roles(STABLE)
        at = -self.history
        self.stable.serve(0, self.stable_rates(at))
        while at < 0.0:
            load = sum(self.load(0.0))
            self._serve(self.stable, load, self.stable_rates(at))
            self.look(at, before)
            at += self.interval
        roles = Roles(STABLE, CANDIDATE, START, START)
        self.candidate.serve(0, self.candidate_rates(0.0))
        self.look(0.0, roles)
        at = self.interval
        while at <= seconds:
            for revision, load, rates in zip(
                (self.stable, self.candidate),
                self.load(at),
                (self.stable_rates(at), self.candidate_rates(at)),
                strict=True,
            ):
                self._serve(revision, load, rates)
            self.look(at, roles)
            yield at, judgement.assess(self.evidence, self.spec, roles, when(at))
            at += self.interval

    def _serve(self, revision: Revision, load: float, rates: Rates) -> None:
        if self.source.random() < self.restarts:
            revision.counts = dict.fromkeys(revision.counts, 0.0)
        requests = int(self.source.poisson(load * self.interval))
        if requests:
            revision.serve(requests, rates)


def blamed(assessments: tuple[Assessment, ...], *names: str) -> list[str]:
    return [
        assessment.name
        for assessment in assessments
        if assessment.verdict is Verdict.BREACH
        and assessment.who is Who.CANDIDATE
        and (not names or assessment.name in names)
    ]
