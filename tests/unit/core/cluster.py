"""A small simulated cluster around `decide`: pods, routers and metrics that do as they are told.

Everything that an operator remembers goes through the status as JSON, so each look is also a restart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from modeldeploy.api.v1alpha1.base import dump
from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.api.v1alpha1.rollout import Control, Intent, Surge
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus, Verdict
from modeldeploy.api.v1alpha1.traffic import Incumbent, Traffic
from modeldeploy.core.adaptation import adapted
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.cause import Who
from modeldeploy.core.decision import Decision, Run
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Attempt, Observed, Routers, Snapshot, Target, Workload
from modeldeploy.core.traffic import INCUMBENT, shares
from unit.core.build import ERRORS, LATENCY, MISSING, NOW, NULLS, rev, revision, spec

SOME = {"min": 3, "max": 6}
CATEGORIES = {
    "nulls": Category.OUTPUT,
    "errors": Category.SOFTWARE,
    "p95": Category.SOFTWARE,
    "missing": Category.INPUT,
}
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
    "shadow": spec(metrics=[NULLS], strategy="Shadow"),
    "blue/green": spec(metrics=[NULLS], strategy="BlueGreen", scaling="Proportional", replicas=SOME),
    "gradual": spec(metrics=[NULLS], strategy="BlueGreen", switch="Gradual", replicas=SOME),
    "careful": spec(
        metrics=[NULLS, MISSING],
        steps=[
            {"shadow": {"percent": 50}, "hold": "30s", "minRequests": 500},
            {"preview": {"hostname": "preview.example.org"}},
            {"weight": 10, "hold": "30s", "approval": "Required"},
            {"weight": 60, "hold": "30s"},
        ],
        replicas=SOME,
        scaling="Proportional",
        onSupersede="StraightOn",
    ),
    "going back afterwards": spec(
        metrics=[NULLS, ERRORS, MISSING], after="Rollback", keepPrevious="1h", replicas=SOME
    ),
    "going back afterwards, or more pods": spec(
        metrics=[NULLS, LATENCY, MISSING],
        after="Rollback",
        keepPrevious="1h",
        replicas=SOME,
        adapt={"mode": "Automatic", "maxReplicas": 8},
    ),
    "stepping down": spec(
        metrics=[NULLS, ERRORS, MISSING],
        during="StepDown",
        steps=[{"weight": weight, "hold": "30s"} for weight in (5, 20, 60)],
        replicas=SOME,
        scaling="Proportional",
    ),
    "stepping down to copies": spec(
        metrics=[NULLS],
        during="StepDown",
        step_downs=3,
        steps=[
            {"preview": {}, "hold": "30s"},
            {"shadow": {"percent": 50}, "hold": "30s"},
            {"weight": 10, "hold": "30s"},
            {"approval": "Required"},
            {"weight": 60, "hold": "30s"},
        ],
        onSupersede="StraightOn",
    ),
    "stepping down without room": spec(
        metrics=[NULLS],
        during="StepDown",
        step_downs=2,
        surge="None",
        steps=[{"weight": weight, "hold": "30s"} for weight in (20, 60)],
        replicas=SOME,
    ),
    "straight on": spec(metrics=[NULLS], onSupersede="StraightOn", replicas=SOME),
    "no room": spec(metrics=[NULLS], surge="None", replicas=SOME),
    "no room for two": spec(metrics=[NULLS], surge="None", strategy="Immediate", drain="0s"),
}
HOOK = {"webhook": {"url": "https://pipelines.example.org/retrain"}}
WRITTEN |= {
    "retrained by hand": spec(metrics=[NULLS, MISSING], retraining={"cooldown": "1h", "trigger": HOOK}),
    "retrained by itself": spec(
        metrics=[NULLS, ERRORS, MISSING],
        retraining={"mode": "Automatic", "cooldown": "1h", "trigger": HOOK},
    ),
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
    who: Who = Who.CANDIDATE
    recovered: bool | None = None


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
        self.intents: dict[str, Intent] = {}
        self.paused = False
        self.suspended = False
        self.baseline: str | None = None
        self.led_by: bool = False
        self.incumbent: Workload | None = None
        self.answered = 1000
        self.off_weight: str | None = None
        self.acknowledged: str | None = None
        self.hook: bool | None = True
        self.attempt: Attempt | None = None
        self.triggered: list[str] = []

    @property
    def status(self) -> ModelDeploymentStatus:
        return ModelDeploymentStatus.model_validate(self.kept)

    def spec(self) -> ModelDeploymentSpec | None:
        if self.version is None:
            return None
        written = WRITTEN[self.written]
        control = Control(paused=self.paused, **self.intents)
        changes = {
            "model": written.model.model_copy(update={"version": self.version}),
            "rollout": written.rollout.model_copy(update={"control": control}),
            "suspend": self.suspended,
        }
        if written.retraining and self.acknowledged:
            update = {"acknowledge": self.acknowledged}
            changes["retraining"] = written.retraining.model_copy(update=update)
        if self.led_by:
            changes["traffic"] = Traffic(incumbent=Incumbent(service="before"))
        return written.model_copy(update=changes)

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
            answered=self.answered,
            off_weight=self.off_weight if status.candidate and status.candidate.weight else None,
            baseline=Target(rev(self.baseline), self.baseline) if self.baseline and wanted else None,
        )

    def assess(self, wanted: ModelDeploymentSpec, status: ModelDeploymentStatus) -> tuple[Assessment, ...]:
        """The metrics of the candidate, or of stable while there is none."""
        track = status.candidate or status.stable
        if track is None or track.revision == INCUMBENT:
            return ()
        opinion = self.opinions[track.model_version]
        candidate = status.candidate
        early = candidate and (candidate.step == 0 or self.now < candidate.step_started_at + JUDGED_AFTER)
        return tuple(
            Assessment(
                metric.name,
                CATEGORIES[metric.name],
                Verdict.NO_DATA if early else opinion.verdicts[metric.name],
                opinion.who if candidate else Who.STABLE,
                recovered=opinion.recovered if candidate and candidate.returned_at else None,
                candidate=f"{self.now.second}%",
                message=f"{metric.name} as of {self.now.second}",
            )
            for metric in wanted.monitoring.metrics
        )

    def act(self, decision: Decision) -> None:
        """Write the status and apply what follows from it."""
        self.kept = dump(decision.status)
        if decision.run:
            self._run(decision.run)
        if self.suspended and self.version:
            return
        self.published = (decision.status.traffic_generation, shares(decision.status))
        for name in sorted(decision.running - {INCUMBENT}):
            if name not in self.records:
                self.records.append(name)
        for name, size in decision.sizes.items():
            self.pods[name] = self._sized(self.pods.get(name, Workload(wanted=size, ready=0)), size)
        for name in decision.retired:
            del self.pods[name]
        if decision.status.stable:
            self.recorded = decision.status.stable.revision

    def _run(self, run: Run) -> None:
        """The trigger works or fails; without a word the operator died before it knew which."""
        if self.hook is not False:
            self.triggered.append(run.episode.id)
        self.attempt = None
        if self.hook is not None:
            said = "HTTP 202" if self.hook else "HTTP 500"
            self.attempt = Attempt(run.episode.id, run.attempt, "Webhook", self.hook, said, self.now)

    def _sized(self, pods: Workload, size: int) -> Workload:
        """A Deployment of as many pods as asked for, unless an autoscaler has more."""
        spec = adapted(self.spec() or WRITTEN[self.written], self.status)
        most = spec.server.replicas.max or 0
        held = size if spec.rollout.surge is Surge.NONE else max(size, min(pods.wanted, most))
        return replace(pods, wanted=held, ready=min(pods.ready, held))

    def load_grows(self, revision: str) -> None:
        """An autoscaler adds a pod, as far as it may."""
        pods = self.pods.get(revision)
        most = adapted(WRITTEN[self.written], self.status).server.replicas.max or 0
        leaving = {entry.revision for entry in self.status.draining}
        if pods and 0 < pods.wanted < most and revision not in leaving:
            self.pods[revision] = replace(pods, wanted=pods.wanted + 1)

    def follow(self, router: Router) -> None:
        """Give a router what was published last; none ever goes back to an older table."""
        if self.published[0] >= router.generation:
            router.generation, router.table = self.published

    def edit(self, version: str | None) -> None:
        self.version = version
        self.generation += 1

    def heal_pods(self) -> None:
        self.pods = {name: Workload(pods.wanted, pods.wanted) for name, pods in self.pods.items()}

    def mend(self) -> None:
        """Everything well from here on."""
        self.refused = self.conflict = self.failure = None
        self.off_weight = None
        self.opinions = {version: Opinion() for version in VERSIONS}
        for router in self.routers:
            router.ready = router.asked = True
        self.paused = self.suspended = False
        self.answered = 1000
        self.hook = True
        stable = self.status.stable
        self.led_by = self.led_by or bool(stable and stable.revision == INCUMBENT)
        self.incumbent = Workload(1, 1) if self.led_by else None
        if self.version is None:
            self.edit("v1")

    def settle(self, looks: int = 80) -> ModelDeploymentStatus:
        """Look as an operator would: when something changed, when a look is due, and at every interval."""
        for _ in range(looks):
            self.heal_pods()
            before = self.snapshot()
            decision = decide(before)
            self.act(decision)
            self.approve_if_asked()
            for router in self.routers:
                self.follow(router)
            if self.snapshot() == before:
                if decision.requeue_at is None and not self.status.candidate:
                    break
                self._wait(decision.requeue_at)
        return self.status

    def approve_if_asked(self) -> None:
        candidate = self.status.candidate
        if candidate and any(one.reason == "AwaitingApproval" for one in self.status.conditions):
            self.intents["approve"] = Intent(revision=candidate.revision, nonce=str(self.now))

    def _wait(self, until: datetime | None) -> None:
        tick = self.now + timedelta(seconds=10)
        self.now = min(until, tick) if until and self.status.candidate else until or tick

    def _observed(self) -> Observed:
        ready = [router for router in self.routers if router.ready]
        known = bool(ready) and all(router.asked for router in ready)
        return Observed(
            revisions={
                name: revision(name.removeprefix("rev"), number)
                for number, name in enumerate(self.records, 1)
            },
            workloads=self.pods | ({INCUMBENT: self.incumbent} if self.incumbent else {}),
            routers=Routers(
                ready=len(ready),
                serving=min(router.generation for router in ready) if known else None,
                problem=None if ready else "no pod of Deployment router is ready",
            ),
            conflict=self.conflict,
            rejection=self.refused,
            failure=self.failure,
            incumbent=None if self.incumbent or not self.led_by else "there is no Service before; create it",
            attempt=self.attempt,
            recorded_stable=self.recorded,
            recorded_port=10001 if self.recorded else None,
        )
