"""Whether the right cause is found: made-up episodes through the real core, and quiet seasons.

One look is what the operator does at a tick: the counters into the evidence, the verdicts off it, and the
decision upon them, which sets the weights of the next look.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np

from bench.episodes import CAUSES, TRIAL, Counted, Episode, episodes
from bench.figure import Figure
from modeldeploy.api.v1alpha1.base import dump
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus
from modeldeploy.core import judgement
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.judgement import Answer, Counters, Evidence, NoData, Number, Query, Roles, Row
from modeldeploy.core.judgement.sources import Family
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Observed, Routers, Snapshot, Target, Workload
from unit.core.build import candidate, rev, spec, stable, status

EPISODES = 500
SEED = 20261201
LOOK = 10.0
HISTORY = 900.0
"""Seconds that stable is watched before an episode."""
AFTERWARDS = 120.0
"""Seconds that are played on after a rollback."""
START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
OLD, NEW = rev("v1"), rev("v2")
EDGES = (100.0, 300.0, 1000.0)
METRICS = (
    {
        "name": "errors",
        "category": "Software",
        "preset": "errorRatio",
        "max": "1%",
        "compare": {"maxRatio": 2},
    },
    {"name": "p95", "category": "Software", "preset": "latencyP95", "max": "300ms"},
    {"name": "nulls", "category": "Output", "preset": "nullRatio", "max": "5%"},
    {"name": "missing", "category": "Input", "preset": "missingRatio", "max": "2%"},
    {
        "name": "wer",
        "category": "Quality",
        "query": 'wer{revision="$revision"}',
        "max": "12%",
        "onNoData": "Ignore",
    },
)
STEPS = ({"weight": 10, "hold": "10m"}, {"weight": 30, "hold": "12m"}, {"weight": 60, "hold": "10m"})
REASONS = {"MetricBreached": "Candidate"}


@dataclass
class Played:
    """What the operator made of an episode.

    Attributes:
        causes: Those that it ever named.
        last: The last one; of a candidate that was rolled back, why.
        rolled_back: Whether one was.
        flagged: Whether `DriftDetected` stands at the end.
    """

    causes: list[str] = field(default_factory=list)
    last: str = "None"
    rolled_back: bool = False
    flagged: bool = False

    def finds(self, cause: str) -> bool:
        """Whether a cause was found.

        A candidate and the world at once is a rollback and a flag: where all of it comes within one look,
        the candidate's part may be known a look before stable's.
        """
        if cause == "None":
            return self.causes == ["None"]
        if cause == "CandidateAndWorld":
            return self.last in ("Candidate", cause) and self.flagged
        return self.last == cause and not (cause == "Candidate" and self.flagged)


class Stage:
    """Counters of two versions, and the operator that looks at them."""

    def __init__(self, wanted: ModelDeploymentSpec, status: ModelDeploymentStatus) -> None:
        self.spec, self.status, self.evidence = wanted, status, Evidence()
        self._totals: dict[str, Counter[str]] = {OLD: Counter(), NEW: Counter()}
        self._wrong: dict[str, float] = {}
        self._known: tuple[object, ...] = ()

    def serve(self, revision: str, seen: Counted) -> None:
        """Count what a version did."""
        total = self._totals[revision]
        total.update(
            {
                "2": seen.requests - seen.errors,
                "5": seen.errors,
                "model_output_values_total": seen.requests,
                "model_output_null_total": seen.nulls,
                "model_input_values_total": seen.values,
                "model_input_missing_total": seen.missing,
                "slow": seen.slow,
                "all": seen.requests,
            }
        )
        self._wrong[revision] = seen.wrong

    def look(self, at: datetime) -> tuple[Assessment, ...]:
        """Take in what was counted, and decide where that may change anything, as the operator does."""
        roles = Roles.of(self.status)
        asked = judgement.queries(self.spec, "ns", "digits", roles)
        self.evidence = judgement.advance(
            self.evidence,
            self.spec,
            namespace="ns",
            name="digits",
            roles=roles,
            answers={query: self._answer(query) for query in asked},
            at=at,
        )
        found = judgement.assess(self.evidence, self.spec, roles, at)
        gist = tuple(one.gist for one in found)
        if roles.candidate or gist != self._known:
            self._decide(found, at)
            self._known = gist
        return found

    def _decide(self, found: tuple[Assessment, ...], at: datetime) -> None:
        pods = Workload(wanted=2, ready=2)
        generation = self.status.traffic_generation
        version = "v2" if self.status.candidate or self.status.rejected else self._serving
        snapshot = Snapshot(
            generation=1,
            spec=self.spec,
            invalid=None,
            target=Target(rev(version), version),
            status=self.status,
            observed=Observed(workloads={OLD: pods, NEW: pods}, routers=Routers(ready=2, serving=generation)),
            assessments=found,
            now=at,
            answered=judgement.requests(self.evidence, Roles.of(self.status)),
            off_weight=judgement.off_weight(self.evidence, Roles.of(self.status)),
        )
        self.status = ModelDeploymentStatus.model_validate(dump(decide(snapshot).status))

    @property
    def _serving(self) -> str:
        return self.status.stable.model_version if self.status.stable else "v1"

    def _answer(self, query: Query) -> Answer:
        if query.family is None:
            revision = NEW if NEW in query.expression else OLD
            return Number(self._wrong[revision]) if revision in self._wrong else NoData()
        rows = [row for revision in (OLD, NEW) for row in self._rows(revision, query.family)]
        return Counters(tuple(rows)) if rows else NoData()

    def _rows(self, revision: str, family: Family) -> Iterator[Row]:
        total = self._totals[revision]
        if family is Family.LATENCY and total:
            for edge in EDGES:
                below = total["all"] - (total["slow"] if edge < EDGES[-1] else 0)
                yield Row(revision, "router-0", f"{edge:g}", below * (0.5 if edge == EDGES[0] else 1.0))
            yield Row(revision, "router-0", "+Inf", total["all"])
        for part, count in total.items():
            if family is Family.REQUESTS and part in {"2", "5"}:
                yield Row(revision, "router-0", part, count)
            elif part.startswith(PREFIXES.get(family, ())):
                yield Row(revision, f"model-{revision}", part, count)


PREFIXES: Mapping[Family, tuple[str, ...]] = {
    Family.NULLS: ("model_output_",),
    Family.MISSING: ("model_input_",),
}


def play(episode: Episode) -> Played:
    """One episode from its history to its end."""
    wanted = spec("v2" if episode.on_trial else "v1", metrics=METRICS, steps=STEPS)
    monitoring = wanted.monitoring.model_copy(update={"interval": f"{LOOK:g}s"})
    stage = Stage(wanted.model_copy(update={"monitoring": monitoring}), status(stable=stable()))
    calm = replace(episode, begin=math.inf)
    for look in range(round(HISTORY / LOOK)):
        stage.serve(OLD, calm.count(0.0, LOOK, 0.0)[0])
        stage.look(START + timedelta(seconds=LOOK * (look - HISTORY / LOOK)))
    if episode.on_trial:
        begun = candidate("v2", weight=10, step=1, started=START, since=START, of=3)
        stage.status = stage.status.model_copy(
            update={"candidate": begun, "stable": stable(weight=90), "traffic_changed_at": START}
        )
    played, ended = Played(), None
    for look in range(1, round(TRIAL / LOOK) + 1):
        at = LOOK * look
        weights = stage.status.candidate.weight / 100 if stage.status.candidate else 0.0
        if stage.status.stable and stage.status.stable.revision == NEW:
            weights = 1.0
        for revision, seen in zip((OLD, NEW), episode.count(at, LOOK, weights), strict=True):
            stage.serve(revision, seen)
        stage.look(START + timedelta(seconds=at))
        note(played, stage.status)
        ended = at if ended is None and played.rolled_back else ended
        if ended is not None and at >= ended + AFTERWARDS:
            break
    played.flagged = any(one.type == "DriftDetected" for one in stage.status.conditions)
    return played


def note(played: Played, now: ModelDeploymentStatus) -> None:
    """Keep what the status says: a rollout's end has the last word on its cause."""
    if played.rolled_back:
        return
    cause = str(now.cause.cause) if now.cause else "None"
    if now.rejected:
        cause, played.rolled_back = REASONS.get(now.rejected.reason, now.rejected.reason), True
    played.last = cause
    if cause not in played.causes:
        played.causes.append(cause)


@cache
def outcomes(count: int = EPISODES, seed: int = SEED) -> tuple[tuple[Episode, Played], ...]:
    """All of them with what was made of each."""
    return tuple((episode, play(episode)) for episode in episodes(count, seed))


def recall() -> Iterator[Figure]:
    """The share of a cause's episodes at whose end it was named; of no cause, in which none ever was."""
    found: dict[str, list[bool]] = {cause: [] for cause in CAUSES}
    for episode, played in outcomes():
        found[episode.cause].append(played.finds(episode.cause))
    worst = min(CAUSES, key=lambda cause: sum(found[cause]) / len(found[cause]))
    value = sum(found[worst]) / len(found[worst])
    keys = {"worst": worst}
    yield Figure("cause_recall_min", value, "share of episodes", 0.9, at_least=True, keys=keys)


def blamed() -> Iterator[Figure]:
    """The share of episodes that are no candidate's doing in which one was rolled back."""
    world = [played for episode, played in outcomes() if episode.cause not in GUILTY]
    yield Figure(
        "world_blamed_on_candidate",
        sum(one.rolled_back for one in world) / len(world),
        "share of episodes",
        0.01,
    )


GUILTY = {"Candidate", "CandidateAndWorld", "Interference"}

DAYS = 90
SEASONS = 5
QUIET = (
    {"name": "missing", "category": "Input", "preset": "missingRatio", "max": "2%"},
    {"name": "nulls", "category": "Output", "preset": "nullRatio", "max": "5%"},
    {"name": "wer", "category": "Quality", "query": 'wer{revision="$revision"}', "max": "12%"},
)


def quiet(days: int, seed: int) -> Counter[str]:
    """False flags in days without a change: how often `RetrainingRecommended` and `DriftDetected` came up.

    Every minute's rates follow AR(0.6) about a daily and a weekly cycle.
    """
    source = np.random.default_rng(seed)
    wanted = spec("v1", metrics=QUIET)
    monitoring = wanted.monitoring.model_copy(update={"interval": "1m"})
    stage = Stage(wanted.model_copy(update={"monitoring": monitoring}), status(stable=stable()))
    flags: Counter[str] = Counter()
    standing: frozenset[str] = frozenset()
    noise = np.zeros(3)
    for minute in range(days * 1440):
        noise = 0.6 * noise + 0.8 * source.normal(size=3)
        cycle = 0.2 * math.sin(2 * math.pi * minute / 1440) + 0.1 * math.sin(2 * math.pi * minute / 10080)
        missing, nulls, wrong = np.array([0.006, 0.015, 0.08]) * (1.0 + cycle + 0.05 * noise)
        requests = int(source.poisson(600.0 * (1.0 + cycle)))
        drawn = [
            int(source.binomial(count, rate)) for count, rate in ((requests, nulls), (20 * requests, missing))
        ]
        stage.serve(OLD, Counted(requests, 0, 0, drawn[0], 20 * requests, drawn[1], float(wrong)))
        stage.look(START + timedelta(minutes=minute))
        now = frozenset(one.type for one in stage.status.conditions) & {
            "RetrainingRecommended",
            "DriftDetected",
        }
        flags.update(now - standing)
        standing = now
    return flags


def false_retraining() -> Iterator[Figure]:
    """Per metric and 90 days, over several such seasons."""
    found = [quiet(DAYS, seed) for seed in range(SEASONS)]
    for flag, bar in (("RetrainingRecommended", 1.0), ("DriftDetected", 1.0)):
        value = sum(one[flag] for one in found) / SEASONS / len(QUIET)
        yield Figure("false_retraining_per_90d", value, "per metric", bar, keys={"condition": flag})


FIGURES = {
    "cause_recall_min": recall,
    "world_blamed_on_candidate": blamed,
    "false_retraining_per_90d": false_retraining,
}
"""What can be measured here, by the figure's name."""
