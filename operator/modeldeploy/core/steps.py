"""Strategies: each is only a default list of steps."""

from dataclasses import dataclass, replace

from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.rollout import Approval, Preview, Rollout, Shadow, Step, Strategy, Switch
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import PreviewRoute

PREVIEW_HEADER = "x-modeldeploy-preview"
PREVIEW_VALUE = "candidate"
HOLD = "5m"

CANARY = (Step(weight=5), Step(weight=20), Step(weight=50))
SHADOW = (Step(shadow=Shadow()), Step(approval=Approval.REQUIRED))
PREVIEW = (Step(preview=Preview()),)
GRADUAL = (*PREVIEW, *(Step(weight=weight, hold="1m") for weight in (25, 50, 75)))


@dataclass(frozen=True, slots=True)
class Stage:
    """A step with all that holds while it is under way, whether it or one before it brought that in.

    Attributes:
        weight: Share of requests that the candidate answers, in percent.
        mirror: Share of requests that are copied to it, in percent.
        preview: The way to it for those who know it.
        approval: A human must let the step end.
        hold: Seconds that it lasts at least.
        min_requests: Requests that the candidate must have answered in it at least.
    """

    weight: int = 0
    mirror: int = 0
    preview: PreviewRoute | None = None
    approval: bool = False
    hold: float = 0.0
    min_requests: int | None = None

    @property
    def has_traffic(self) -> bool:
        """Whether requests come by themselves, so that metrics can be expected to have data."""
        return self.weight > 0 or self.mirror > 0


def steps(spec: ModelDeploymentSpec) -> tuple[Stage, ...]:
    """What a candidate goes through before it is promoted; nothing for Immediate."""
    found: list[Stage] = []
    for step in _written(spec.rollout):
        found.append(_after(found[-1] if found else Stage(), step))
    return tuple(found)


def position(spec: ModelDeploymentSpec, step: int) -> int:
    """Where a step lies in a plan that may have become shorter since it began: at most the last one."""
    return min(step, len(_written(spec.rollout)))


def stage_at(spec: ModelDeploymentSpec, step: int) -> Stage | None:
    """The step of that number (from 1), or the last of a plan that became shorter; None before the first."""
    plan = steps(spec)
    return plan[min(step, len(plan)) - 1] if plan and step else None


def _written(rollout: Rollout) -> tuple[Step, ...]:
    if rollout.strategy is Strategy.IMMEDIATE:
        return ()
    if rollout.steps:
        return tuple(rollout.steps)
    if rollout.strategy is Strategy.SHADOW:
        return SHADOW
    if rollout.strategy is Strategy.BLUE_GREEN:
        return GRADUAL if rollout.switch is Switch.GRADUAL else PREVIEW
    return CANARY


def _after(before: Stage, step: Step) -> Stage:
    stage = replace(
        before,
        approval=step.approval is not None,
        hold=seconds(step.hold or (HOLD if _does_more_than_wait(step) else "0s")),
        min_requests=step.min_requests,
    )
    if step.weight is not None:
        stage = replace(stage, weight=step.weight, mirror=0)
    if step.shadow:
        stage = replace(stage, mirror=step.shadow.percent)
    if step.preview:
        stage = replace(stage, preview=_route(step.preview))
    return stage


def _does_more_than_wait(step: Step) -> bool:
    return step.weight is not None or step.shadow is not None or step.preview is not None


def _route(preview: Preview) -> PreviewRoute:
    if preview.header:
        return PreviewRoute(header=preview.header.name, value=preview.header.value, hostname=preview.hostname)
    if preview.hostname:
        return PreviewRoute(hostname=preview.hostname)
    return PreviewRoute(header=PREVIEW_HEADER, value=PREVIEW_VALUE)
