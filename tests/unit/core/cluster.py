"""A small simulated cluster around `decide`: pods, routers and metrics that do as they are told.

Everything that an operator remembers goes through the status as JSON, so each look is also a restart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from modeldeploy.api.v1alpha1.base import dump
from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus, Verdict
from modeldeploy.core.assessment import Assessment, Blame
from modeldeploy.core.decision import Decision
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Observed, Routers, Snapshot, Target, Workload
from modeldeploy.core.traffic import shares
from unit.core.build import ERRORS, MISSING, NOW, NULLS, rev, revision, spec

CATEGORIES = {"nulls": Category.OUTPUT, "errors": Category.SOFTWARE, "missing": Category.INPUT}
VERSIONS = ("v1", "v2", "v3")
WRITTEN = {
    "canary": spec(metrics=[NULLS, ERRORS, MISSING]),
    "long canary": spec(
        metrics=[NULLS, ERRORS, MISSING],
        steps=[{"weight": weight, "hold": "10s"} for weight in (1, 10, 25, 50, 100)],
        keepPrevious="1m",
    ),
    "paused by breaches": spec(metrics=[NULLS, ERRORS, MISSING], during="Pause"),
    "told of breaches": spec(metrics=[NULLS, ERRORS, MISSING], during="Notify", after="Notify"),
    "immediate": spec(metrics=[NULLS], strategy="Immediate", keepPrevious="0s", drain="0s"),
    "unwatched": spec(metrics=[], keepPrevious="0s"),
}
JUDGED_AFTER = timedelta(seconds=5)
"""How long a step lasts before anything can be said of it."""


@dataclass(slots=True)
class Router:
    """One router pod: the table it serves, and whether the operator has seen which that is."""

    generation: int = 0
    table: Mapping[str, int] = field(default_factory=dict)
    ready: bool = True
    asked: bool = True


@dataclass(slots=True)
class Opinion:
    """What the metrics say of one version, whenever it is judged."""

    verdicts: dict[str, Verdict] = field(default_factory=lambda: dict.fromkeys(CATEGORIES, Verdict.PASS))
    blame: Blame = Blame.CANDIDATE


class Cluster:
    """The world as it is, and as an operator sees it."""

    def __init__(self) -> None:
        self.now = NOW
        self.generation = 1
        self.version: str | None = "v1"
        self.written = "canary"
        self.kept: dict[str, Any] = {}
        self.pods: dict[str, Workload] = {}
        self.records: list[str] = []
        self.recorded: str | None = None
        self.routers = [Router(), Router()]
        self.published: tuple[int, dict[str, int]] = (0, {})
        self.opinions = {version: Opinion() for version in VERSIONS}
        self.refused: str | None = None
        self.conflict: str | None = None
        self.failure: str | None = None

    @property
    def status(self) -> ModelDeploymentStatus:
        return ModelDeploymentStatus.model_validate(self.kept)

    def spec(self) -> ModelDeploymentSpec | None:
        if self.version is None:
            return None
        written = WRITTEN[self.written]
        return written.model_copy(
            update={"model": written.model.model_copy(update={"version": self.version})}
        )

    def snapshot(self, *, blind: bool = False) -> Snapshot:
        """What the operator sees; `blind` before its first look at the metrics."""
        wanted, status = self.spec(), self.status
        target = Target(rev(self.version), self.version) if self.version else None
        return Snapshot(
            generation=self.generation,
            spec=wanted,
            invalid=None if wanted else "spec.rollout.drain: '5 minutes' is not a duration",
            target=target,
            status=status,
            observed=self._observed(),
            assessments=() if blind or wanted is None else self.assess(wanted, status),
            now=self.now,
        )

    def assess(self, wanted: ModelDeploymentSpec, status: ModelDeploymentStatus) -> tuple[Assessment, ...]:
        """The metrics of the candidate, or of stable while there is none."""
        track = status.candidate or status.stable
        if track is None:
            return ()
        opinion = self.opinions[track.model_version]
        candidate = status.candidate
        early = candidate and (candidate.step == 0 or self.now < candidate.step_started_at + JUDGED_AFTER)
        return tuple(
            Assessment(
                metric.name,
                CATEGORIES[metric.name],
                Verdict.NO_DATA if early else opinion.verdicts[metric.name],
                opinion.blame,
                candidate=f"{self.now.second}%",
                message=f"{metric.name} as of {self.now.second}",
            )
            for metric in wanted.monitoring.metrics
        )

    def act(self, decision: Decision) -> None:
        """Write the status and apply what follows from it."""
        self.kept = dump(decision.status)
        self.published = (decision.status.traffic_generation, shares(decision.status))
        for name in decision.running:
            if name not in self.records:
                self.records.append(name)
            self.pods.setdefault(name, Workload(wanted=2, ready=0))
        for name in decision.retired:
            del self.pods[name]
        if decision.status.stable:
            self.recorded = decision.status.stable.revision

    def follow(self, router: Router) -> None:
        """Give a router what was published last; none ever goes back to an older table."""
        if self.published[0] >= router.generation:
            router.generation, router.table = self.published

    def edit(self, version: str | None) -> None:
        self.version = version
        self.generation += 1

    def heal_pods(self) -> None:
        self.pods = {name: Workload(wanted=2, ready=2) for name in self.pods}

    def mend(self) -> None:
        """Everything well from here on."""
        self.refused = self.conflict = self.failure = None
        self.opinions = {version: Opinion() for version in VERSIONS}
        for router in self.routers:
            router.ready = router.asked = True
        if self.version is None:
            self.edit("v1")

    def settle(self, looks: int = 80) -> ModelDeploymentStatus:
        """Look as an operator would: when something changed, when a look is due, and at every interval."""
        for _ in range(looks):
            self.heal_pods()
            before = self.snapshot()
            decision = decide(before)
            self.act(decision)
            for router in self.routers:
                self.follow(router)
            if self.snapshot() == before:
                if decision.requeue_at is None and not self.status.candidate:
                    break
                self._wait(decision.requeue_at)
        return self.status

    def _wait(self, until: datetime | None) -> None:
        tick = self.now + timedelta(seconds=10)
        self.now = min(until, tick) if until and self.status.candidate else until or tick

    def _observed(self) -> Observed:
        ready = [router for router in self.routers if router.ready]
        known = bool(ready) and all(router.asked for router in ready)
        return Observed(
            revisions={
                name: revision(name.removeprefix("rev-"), number)
                for number, name in enumerate(self.records, 1)
            },
            workloads=dict(self.pods),
            routers=Routers(
                ready=len(ready),
                serving=min(router.generation for router in ready) if known else None,
                problem=None if ready else "no pod of Deployment router is ready",
            ),
            conflict=self.conflict,
            rejection=self.refused,
            failure=self.failure,
            recorded_stable=self.recorded,
            recorded_port=10001 if self.recorded else None,
        )
