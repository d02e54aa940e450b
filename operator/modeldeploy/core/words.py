"""Whether a status says something new, or the same in other words."""

from typing import Any

from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus, Verdict

WORDS: dict[str, Any] = {"message": "", "verdict": None, "metrics": [], "images": {}}


def only_words(before: ModelDeploymentStatus, after: ModelDeploymentStatus) -> bool:
    """Whether nothing has changed but messages, reasons, and verdicts that are no breach.

    Such news may wait a moment for more of its kind: of pods that start there is something to say several
    times a second.
    """
    if _breaches(before) != _breaches(after):
        return False
    return _without(before) == _without(after)


def _without(status: ModelDeploymentStatus) -> ModelDeploymentStatus:
    plain = [condition.model_copy(update={"message": "", "reason": ""}) for condition in status.conditions]
    return status.model_copy(update={**WORDS, "conditions": plain})


def _breaches(status: ModelDeploymentStatus) -> set[str]:
    return {entry.name for entry in status.metrics if entry.verdict is Verdict.BREACH}
