"""Strategies: each is only a default list of steps."""

from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec, Step, Strategy

CANARY = (Step(weight=5), Step(weight=20), Step(weight=50))


def steps(spec: ModelDeploymentSpec) -> tuple[Step, ...]:
    """The steps that a candidate goes through before it is promoted; none for Immediate."""
    if spec.rollout.strategy is Strategy.IMMEDIATE:
        return ()
    return tuple(spec.rollout.steps) if spec.rollout.steps else CANARY


def position(spec: ModelDeploymentSpec, step: int) -> int:
    """Where a step lies in a plan that may have become shorter since it began: at most the last one."""
    return min(step, len(steps(spec)))
