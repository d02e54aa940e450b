"""A breach that costs the candidate a step instead of its rollout (`onBreach.duringRollout: StepDown`).

What was measured before a step down counts no more: with it the breach would stand for ever. That costs none
of `falseRollback`: a rollback still takes a first breach at the full threshold, and whatever follows can only
make it rarer.
"""

from modeldeploy.api.v1alpha1.monitoring import RolloutAction
from modeldeploy.api.v1alpha1.rollout import Surge
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Candidate, Outcome, SteppedDown
from modeldeploy.core.decision import Severity
from modeldeploy.core.draft import BRIEF, Draft, clip
from modeldeploy.core.sizes import needed
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.steps import Stage, steps

ENDING = frozenset({RolloutAction.ROLLBACK, RolloutAction.STEP_DOWN})
"""What lets a breach cost the candidate something."""
STEP_DOWNS = 1
"""How often a rollout goes back unless spec says otherwise."""


def allowed(spec: ModelDeploymentSpec) -> int:
    """How often a rollout may go back before a breach rolls it back."""
    if spec.on_breach.during_rollout is not RolloutAction.STEP_DOWN:
        return 0
    return spec.on_breach.step_downs or STEP_DOWNS


def left(spec: ModelDeploymentSpec, candidate: Candidate) -> int:
    """How often it still may."""
    return max(0, allowed(spec) - (candidate.stepped_down.times if candidate.stepped_down else 0))


def lower(spec: ModelDeploymentSpec, candidate: Candidate) -> int | None:
    """The last step before the present one in which the candidate gets less; None if there is none.

    A step that merely waits for an approval is passed over: going back to it would protect nobody. Of a
    candidate whose traffic has returned, and stable recovered, nothing less is left.
    """
    plan = steps(spec)
    now = (candidate.weight, candidate.mirror)
    earlier = range(min(candidate.step, len(plan)) - 1, 0, -1)
    return next((number for number in earlier if _gets(plan[number - 1]) < now), None)


def note(
    draft: Draft, snapshot: Snapshot, candidate: Candidate, number: int, reason: str, message: str
) -> tuple[Draft, Candidate]:
    """The step down in history and as an Event, and the candidate that is to enter step `number`."""
    spec = snapshot.spec
    assert spec is not None, "asked only of a spec that says so"  # noqa: S101
    times = candidate.stepped_down.times + 1 if candidate.stepped_down else 1
    stage = steps(spec)[number - 1]
    fallen = candidate.model_copy(
        update={
            "stepped_down": SteppedDown(
                times=times, at=snapshot.now, step=candidate.step, message=clip(message, BRIEF)
            ),
            "approved": 0,  # who approved had not seen the breach
            "promoting": False,
            "size": _size(spec, candidate, stage),
        }
    )
    why = f"stepped down from step {candidate.step} to step {number}: {message}"
    draft = draft.with_history(candidate, Outcome.STEPPED_DOWN, reason, why, now=snapshot.now)
    draft = draft.with_event(
        Severity.WARNING, str(Outcome.STEPPED_DOWN), f"version {candidate.model_version} {why}"
    )
    return draft.with_status(metrics=[], verdict=None, cause=None), fallen


def told(spec: ModelDeploymentSpec, candidate: Candidate) -> str:
    """What is said of a candidate that has gone back; empty of one that hasn't."""
    fall = candidate.stepped_down
    if fall is None:
        return ""
    again = left(spec, candidate)
    then = f"{again} more may cost it a step" if again else "another breach rolls it back"
    return f", stepped down from step {fall.step} ({fall.message}; {then})"


def _gets(stage: Stage) -> tuple[int, int]:
    return stage.weight, stage.mirror


def _size(spec: ModelDeploymentSpec, candidate: Candidate, stage: Stage) -> int:
    """Pods; where there is no room for both, stable gets back what it gave up for the step that is left."""
    if spec.rollout.surge is not Surge.NONE:
        return candidate.size
    return needed(spec, max(_gets(stage)), candidate.demand)
