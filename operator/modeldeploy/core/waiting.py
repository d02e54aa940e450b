"""What a candidate waits for: its pods, time, evidence, requests, humans; and until when."""

from datetime import datetime

from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Candidate, Verdict
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.draft import after
from modeldeploy.core.snapshot import Snapshot, Workload
from modeldeploy.core.steps import position, stage_at, steps
from modeldeploy.core.traffic import INCUMBENT


def progress(snapshot: Snapshot, step: int) -> str:
    """Where a rollout stands, as `2/3`; nothing where there are no steps."""
    spec = snapshot.spec
    return f"{position(spec, step)}/{len(steps(spec))}" if spec and steps(spec) else ""


def start_deadline(spec: ModelDeploymentSpec, candidate: Candidate) -> datetime:
    """When a candidate whose pods never got ready is given up."""
    span = seconds(spec.server.startup_timeout) + seconds(spec.rollout.progress_deadline)
    return after(candidate.started_at, span)


def step_end(spec: ModelDeploymentSpec, candidate: Candidate) -> datetime:
    """When the step under way has held long enough."""
    stage = stage_at(spec, candidate.step)
    return after(candidate.step_started_at, stage.hold if stage else 0)


def step_deadline(spec: ModelDeploymentSpec, candidate: Candidate) -> datetime:
    """When a step that its pods, routers or metrics still hold up waits for a human instead."""
    return after(step_end(spec, candidate), seconds(spec.rollout.progress_deadline))


def holding(snapshot: Snapshot) -> tuple[Assessment, ...]:
    """The metrics that a step still waits for; where no requests come by themselves, it waits for none."""
    candidate, spec = snapshot.status.candidate, snapshot.spec
    stage = stage_at(spec, candidate.step) if candidate and spec else None
    if stage is not None and not stage.has_traffic:
        return ()
    free = (Verdict.PASS, Verdict.NOT_APPLICABLE, Verdict.BREACH)
    return tuple(entry for entry in snapshot.assessments if entry.holds and entry.verdict not in free)


def lacks_requests(snapshot: Snapshot, candidate: Candidate) -> int | None:
    """The step's `minRequests` while the candidate hasn't answered so many, else None."""
    stage = stage_at(snapshot.spec, candidate.step) if snapshot.spec else None
    floor = stage.min_requests if stage else None
    return floor if floor and snapshot.answered < floor else None


def awaits_approval(spec: ModelDeploymentSpec, candidate: Candidate) -> bool:
    """Whether the step under way ends only when a human says so, and none has."""
    stage = stage_at(spec, candidate.step)
    return stage is not None and stage.approval and candidate.approved != position(spec, candidate.step)


def carries(workload: Workload | None, candidate: Candidate) -> bool:
    """Whether the candidate has the ready pods that were asked for."""
    if workload is None or not workload.settled:
        return False
    if candidate.revision == INCUMBENT:  # how many it needs is its owner's business
        return workload.ready > 0
    return workload.ready >= candidate.size > 0
