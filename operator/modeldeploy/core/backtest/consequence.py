"""What the operator would have done about a verdict: the core itself is asked, nothing is decided here."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from modeldeploy.api.v1alpha1.monitoring import RolloutAction
from modeldeploy.api.v1alpha1.rollout import Control
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import (
    Candidate,
    ConditionStatus,
    ModelDeploymentStatus,
    Phase,
    Stable,
)
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Observed, Routers, Snapshot, Target, Workload
from modeldeploy.core.standing_trial import NAMED
from modeldeploy.core.steps import Stage, steps

FLAGS = ("DriftDetected", "RetrainingRecommended")
"""Conditions that a breach may raise."""

_STOPPED = {"MetricBreached", *map(str, NAMED)}
_STABLE, _CANDIDATE = "stable", "candidate"
_PODS = 1000
_GENERATION = 1


class Action(StrEnum):
    """What is done, the gravest first."""

    ROLLBACK = "Rollback"
    STEP_DOWN = "StepDown"
    RETURN = "Return"
    """Traffic returns to stable to see whether that recovers."""
    PAUSE = "Pause"
    FLAG = "Flag"
    TELL = "Tell"
    """Said in status and as an Event, and nothing else."""


class Consequence(NamedTuple):
    """What a breach leads to.

    Attributes:
        action: The gravest thing that is done.
        flags: Conditions that are raised besides.
    """

    action: Action
    flags: tuple[str, ...] = ()


def consequence(
    spec: ModelDeploymentSpec, assessment: Assessment, at: datetime, *, on_trial: bool, lately: bool = False
) -> Consequence:
    """What `rollout.decide` makes of one verdict, all else being well: pods ready, routers up to date.

    What humans ask for in spec (`control`, `suspend`) belongs to another time and is left out.

    Args:
        spec: The metrics, and what a breach leads to.
        assessment: The verdict.
        at: When it was reached.
        on_trial: It is about a candidate; otherwise about stable, after the rollout.
        lately: The candidate has got more traffic within the last minutes.
    """
    rollout = spec.rollout.model_copy(update={"control": Control()})
    spec = spec.model_copy(update={"rollout": rollout, "suspend": False})
    status = decide(_snapshot(spec, assessment, at, on_trial=on_trial, lately=lately)).status
    raised = {entry.type: entry for entry in status.conditions if entry.status is ConditionStatus.TRUE}
    flags = tuple(name for name in FLAGS if name in raised)
    if status.rejected is not None:
        return Consequence(Action.ROLLBACK, flags)
    if status.candidate and status.candidate.stepped_down:
        return Consequence(Action.STEP_DOWN, flags)
    if status.candidate and status.candidate.returned_at:
        return Consequence(Action.RETURN, flags)
    if status.phase is Phase.PAUSED and raised["Paused"].reason in _STOPPED:
        return Consequence(Action.PAUSE, flags)
    return Consequence(Action.FLAG if flags else Action.TELL, flags)


def _snapshot(
    spec: ModelDeploymentSpec, assessment: Assessment, at: datetime, *, on_trial: bool, lately: bool
) -> Snapshot:
    subject = _CANDIDATE if on_trial else _STABLE
    workload = Workload(wanted=_PODS, ready=_PODS)
    return Snapshot(
        generation=_GENERATION,
        spec=spec,
        invalid=None,
        target=Target(subject, subject),
        status=_on_trial(spec, at, lately=lately) if on_trial else _settled(),
        observed=Observed(
            workloads={_STABLE: workload, _CANDIDATE: workload},
            routers=Routers(ready=1, serving=_GENERATION),
        ),
        assessments=(assessment,),
        now=at,
    )


def _settled() -> ModelDeploymentStatus:
    return _status(Stable(**_named(_STABLE), weight=100))


def _on_trial(spec: ModelDeploymentSpec, at: datetime, *, lately: bool) -> ModelDeploymentStatus:
    plan = steps(spec)
    # In the first step there is nothing to step down to.
    step = 2 if spec.on_breach.during_rollout is RolloutAction.STEP_DOWN and len(plan) > 1 else 1
    stage = plan[step - 1] if plan else Stage()
    candidate = Candidate(
        **_named(_CANDIDATE),
        weight=stage.weight,
        mirror=stage.mirror,
        preview=stage.preview,
        step=step if plan else 0,  # without steps nothing is tried, and so nothing can fail
        progress="",
        started_at=at,
        step_started_at=at,
        cleared=not lately,
    )
    return _status(Stable(**_named(_STABLE), weight=100 - stage.weight), candidate)


def _status(stable: Stable, candidate: Candidate | None = None) -> ModelDeploymentStatus:
    return ModelDeploymentStatus(
        observed_generation=_GENERATION, traffic_generation=_GENERATION, stable=stable, candidate=candidate
    )


def _named(revision: str) -> dict[str, str]:
    return {"revision": revision, "model_version": revision}
