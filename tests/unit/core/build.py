"""Builders of what decisions are made of: sensible by default, each test names only what it is about.

A version `v1` has the revision `revv1`. The traffic generation is 7 unless said otherwise; routers follow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from modeldeploy.api.v1alpha1.base import dump
from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import (
    Candidate,
    Draining,
    ModelDeploymentStatus,
    Previous,
    Rejected,
    Stable,
    Verdict,
)
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.cause import Who
from modeldeploy.core.decision import Decision
from modeldeploy.core.snapshot import Observed, Revision, Routers, Snapshot, Target, Workload

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TRAFFIC = 7
TWO_STEPS = ({"weight": 10, "hold": "1m"}, {"weight": 50, "hold": "1m"})
NULLS = {"name": "nulls", "category": "Output", "preset": "nullRatio", "max": "5%"}
ERRORS = {"name": "errors", "category": "Software", "preset": "errorRatio", "max": "1%"}
LATENCY = {"name": "p95", "category": "Software", "preset": "latencyP95", "max": "300ms"}
MISSING = {"name": "missing", "category": "Input", "preset": "missingRatio", "max": "2%"}


def rev(version: str) -> str:
    return f"rev{version}"


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def spec(
    version: str = "v1",
    *,
    strategy: str | None = None,
    steps: Sequence[Mapping[str, Any]] | None = TWO_STEPS,
    metrics: Sequence[Mapping[str, Any]] = (NULLS,),
    during: str = "Rollback",
    step_downs: int | None = None,
    after: str = "FlagRetraining",
    startup: str = "20m",
    replicas: Mapping[str, Any] | None = None,
    traffic: Mapping[str, Any] | None = None,
    suspend: bool = False,
    retraining: Mapping[str, Any] | None = None,
    adapt: Mapping[str, Any] | None = None,
    **rollout: Any,
) -> ModelDeploymentSpec:
    if strategy and steps is TWO_STEPS:
        steps = None
    written = {
        "model": {"version": version},
        "server": {
            "image": f"models/digits:{version}",
            "startupTimeout": startup,
            "replicas": {"min": 2, **(replicas or {})},
        },
        "rollout": {"strategy": strategy or "Canary", "steps": steps, **rollout},
        "monitoring": {"metrics": list(metrics)},
        "onBreach": {"duringRollout": during, "afterRollout": after, "stepDowns": step_downs},
        "traffic": traffic or {},
        "suspend": suspend,
        "retraining": retraining,
        "adapt": adapt or {},
    }
    return ModelDeploymentSpec.model_validate(written)


def stable(version: str = "v1", weight: int = 100) -> Stable:
    return Stable(revision=rev(version), model_version=version, weight=weight)


def candidate(
    version: str = "v2",
    weight: int = 10,
    step: int = 1,
    *,
    started: datetime = NOW,
    since: datetime = NOW,
    of: int = 2,
) -> Candidate:
    return Candidate(
        revision=rev(version),
        model_version=version,
        weight=weight,
        step=step,
        progress=f"{step}/{of}",
        started_at=started,
        step_started_at=since,
        size=2,
        demand=2,
    )


def starting(version: str = "v2", started: datetime = NOW) -> Candidate:
    return candidate(version, weight=0, step=0, started=started, since=started)


def previous(version: str = "v0", until: datetime = NOW + timedelta(hours=1)) -> Previous:
    return Previous(revision=rev(version), model_version=version, until=until)


def rejected(version: str = "v2", message: str = "nulls 24% of 412 answers (max 5%)") -> Rejected:
    return Rejected(
        revision=rev(version), model_version=version, reason="MetricBreached", message=message, at=NOW
    )


def draining(version: str, since: datetime = NOW) -> Draining:
    return Draining(revision=rev(version), since=since)


def status(**fields: Any) -> ModelDeploymentStatus:
    """A status; a candidate's weight is taken off stable's."""
    on_trial = fields.get("candidate")
    if "stable" not in fields and fields:
        fields["stable"] = stable(weight=100 - (on_trial.weight if on_trial else 0))
    generation = TRAFFIC if fields.get("stable") else 0
    return ModelDeploymentStatus(
        **{"traffic_generation": generation, "traffic_changed_at": ago(hours=2), **fields}
    )


def ready(count: int = 2) -> Workload:
    return Workload(wanted=count, ready=count)


def unready(ready_pods: int = 0, problem: str | None = None, *, fatal: bool = False) -> Workload:
    return Workload(wanted=2, ready=ready_pods, problem=problem, fatal=fatal)


def passing(name: str = "nulls", category: Category = Category.OUTPUT) -> Assessment:
    return Assessment(
        name, category, Verdict.PASS, candidate="1%", stable="1%", samples=412, message=f"{name} 1%"
    )


def breach(name: str = "nulls", category: Category = Category.OUTPUT, who: Who = Who.CANDIDATE) -> Assessment:
    message = f"{name} 24% of 412 answers (max 5%)"
    return Assessment(name, category, Verdict.BREACH, who, "24%", "1%", 412, message)


def waiting(verdict: Verdict, name: str = "nulls", *, holds: bool = True) -> Assessment:
    return Assessment(name, Category.OUTPUT, verdict, holds=holds)


def revision(version: str, number: int = 1) -> Revision:
    content = {"model": {"version": version}, "server": {}}
    return Revision(name=rev(version), number=number, model_version=version, content=content, template={})


def observed(
    workloads: Mapping[str, Workload] | None = None,
    *,
    revisions: Sequence[str] | None = None,
    routers: Routers | None = None,
    **others: Any,
) -> Observed:
    """Children by version; their ControllerRevisions are numbered in the order given."""
    workloads = {"v1": ready()} if workloads is None else workloads
    known = list(workloads) if revisions is None else revisions
    return Observed(
        revisions={rev(name): revision(name, number) for number, name in enumerate(known, 1)},
        workloads={rev(name): workload for name, workload in workloads.items()},
        routers=routers or Routers(ready=2, serving=TRAFFIC),
        **others,
    )


def snapshot(
    version: str = "v1",
    now_is: ModelDeploymentStatus | None = None,
    seen: Observed | None = None,
    *,
    says: Sequence[Assessment] = (),
    now: datetime = NOW,
    **written: Any,
) -> Snapshot:
    """One look at an object whose spec names `version`; further arguments go to `spec`."""
    return Snapshot(
        generation=3,
        spec=spec(version, **written),
        invalid=None,
        target=Target(rev(version), version),
        status=status(stable=stable()) if now_is is None else now_is,
        observed=observed() if seen is None else seen,
        assessments=tuple(says),
        now=now,
    )


def unreadable(before: Snapshot, why: str = "spec.rollout.drain: '5 minutes' is not a duration") -> Snapshot:
    """The same after an edit that can't be understood."""
    return replace(before, spec=None, invalid=why, target=None)


def later(before: Snapshot, decision: Decision, **changes: Any) -> Snapshot:
    """The next look, by an operator that knows nothing but what the API server kept."""
    kept = ModelDeploymentStatus.model_validate(dump(decision.status))
    return replace(before, status=kept, **changes)
