"""What may wait a moment before it is written."""

from typing import Any

import pytest

from modeldeploy.api.v1alpha1.status import (
    Condition,
    ConditionStatus,
    MetricStatus,
    ModelDeploymentStatus,
    Verdict,
)
from modeldeploy.core.words import only_words
from unit.core.build import NOW, candidate, stable, status

pytestmark = pytest.mark.unit


def ready(holds: ConditionStatus, reason: str) -> list[Condition]:
    return [
        Condition(
            type="Ready",
            status=holds,
            reason=reason,
            message=reason,
            last_transition_time=NOW,
            observed_generation=1,
        )
    ]


def judged(verdict: Verdict) -> list[MetricStatus]:
    return [MetricStatus(name="nulls", verdict=verdict, at=NOW)]


def before(**fields: Any) -> ModelDeploymentStatus:
    plain = {"message": "0 of 2 pods", "conditions": ready(ConditionStatus.FALSE, "Progressing")}
    return status(stable=stable(), metrics=judged(Verdict.NO_DATA)).model_copy(update=plain | fields)


@pytest.mark.parametrize(
    "change",
    [
        {"message": "1 of 2 pods"},
        {"conditions": ready(ConditionStatus.FALSE, "PodsNotReady")},
        {"metrics": judged(Verdict.PASS), "verdict": "Pass"},
    ],
)
def test_words(change: dict[str, Any]) -> None:
    assert only_words(before(), before(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"conditions": ready(ConditionStatus.TRUE, "Promoted")},
        {"metrics": judged(Verdict.BREACH)},
        {"candidate": candidate()},
        {"traffic_generation": 99},
        {"observed_generation": 99},
    ],
)
def test_deeds(change: dict[str, Any]) -> None:
    assert not only_words(before(), before(**change))
