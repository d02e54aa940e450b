"""What moved, and whose: the terms in which `modeldeploy.core.causes` speaks of causes."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from modeldeploy.api.v1alpha1.cause import Cause
from modeldeploy.api.v1alpha1.monitoring import Category, Metric, Preset


class What(StrEnum):
    """What a metric is about."""

    INPUTS = "inputs"
    OUTPUTS = "outputs"
    ERRORS = "errors"
    LATENCY = "latency"
    LOAD = "load"
    QUALITY = "quality"
    FEEDBACK = "feedback"


class Who(StrEnum):
    """Whose metric moved."""

    CANDIDATE = "Candidate"
    """The candidate's; stable's did not."""
    WORSE = "Worse"
    """Both, and the candidate's is worse than stable's."""
    BOTH = "Both"
    """Both, and the candidate's isn't shown to be worse."""
    STABLE = "Stable"
    """Stable's, while no candidate is on trial."""
    UNSURE = "Unsure"
    """Too little is known to tell: no count stands behind the number, or nothing of clumps or of stable."""


class Action(StrEnum):
    """What a cause leads to, the gravest first. `spec.onBreach` may ask for less."""

    ROLL_BACK = "RollBack"
    """All traffic returns to stable, and the candidate is not tried again by itself."""
    RETURN_TRAFFIC = "ReturnTraffic"
    """The candidate's traffic returns to stable for as long as it takes to see whether stable recovers."""
    HOLD = "Hold"
    """The step waits."""
    ADAPT = "Adapt"
    """More pods, or larger ones."""
    FLAG = "Flag"
    """Retraining is recommended."""
    TELL = "Tell"
    """It is said, and nothing else."""


@dataclass(frozen=True, slots=True)
class Moved:
    """One metric that moved."""

    metric: str
    what: What
    who: Who


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a cause is found by.

    Attributes:
        moved: The metrics that are beyond a bound or have shifted.
        on_trial: A candidate is on trial.
        off_weight: The candidate's share of requests isn't its weight, beyond chance.
        lately: The candidate has got more requests, or copies of them, within `LATELY` seconds.
    """

    moved: tuple[Moved, ...] = ()
    on_trial: bool = False
    off_weight: bool = False
    lately: bool = False


LATELY = 600.0
"""Seconds after an increase of the candidate's traffic in which what moves both may be its doing."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A kind of movement: any of these things, of any of these."""

    what: frozenset[What]
    who: frozenset[Who]

    def among(self, moved: Iterable[Moved]) -> tuple[Moved, ...]:
        """The movements of this kind."""
        return tuple(one for one in moved if one.what in self.what and one.who in self.who)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    Attributes:
        cause: What it was.
        action: What is done.
        on_trial: Whether a candidate must be on trial.
        seen: What is seen, in words.
        leads: What it leads to, in words.
        mend: What people can do about it.
        needs: There must be a movement of each of these kinds.
        lacks: There must be none of any of these kinds.
        off_weight: The candidate's share of requests must be off its weight.
        lately: Its traffic must have grown lately.
        drifts: `DriftDetected` names the cause.
    """

    cause: Cause
    action: Action
    on_trial: bool
    seen: str
    leads: str
    mend: str = ""
    needs: tuple[Sight, ...] = ()
    lacks: tuple[Sight, ...] = ()
    off_weight: bool = False
    lately: bool = False
    drifts: bool = False

    def fits(self, scene: Scene) -> bool:
        """Whether what is seen is this row's."""
        return (
            self.on_trial == scene.on_trial
            and (scene.off_weight or not self.off_weight)
            and (scene.lately or not self.lately)
            and all(sight.among(scene.moved) for sight in self.needs)
            and not any(sight.among(scene.moved) for sight in self.lacks)
        )


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The cause of what moved, what is done about it, and the metrics that led to it."""

    cause: Cause = Cause.NONE
    action: Action = Action.TELL
    metrics: tuple[str, ...] = ()
    off_weight: bool = False
    drifts: bool = False
    mend: str = ""


def what(metric: Metric) -> What:
    """What a metric is about: software and labels by their preset, anything else by its category."""
    about = _PRESETS.get(metric.preset) if metric.preset else None
    return about or _CATEGORIES[metric.category]


_CATEGORIES = {
    Category.SOFTWARE: What.LOAD,
    Category.INPUT: What.INPUTS,
    Category.OUTPUT: What.OUTPUTS,
    Category.QUALITY: What.QUALITY,
}
_PRESETS = {
    Preset.ERROR_RATIO: What.ERRORS,
    Preset.RESTARTS: What.ERRORS,
    Preset.LATENCY_P50: What.LATENCY,
    Preset.LATENCY_P95: What.LATENCY,
    Preset.LATENCY_P99: What.LATENCY,
    Preset.LATENCY_MEAN: What.LATENCY,
    Preset.FEEDBACK_RATIO: What.FEEDBACK,
    Preset.ACCURACY: What.QUALITY,
}
