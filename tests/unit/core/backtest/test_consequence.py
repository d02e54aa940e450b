"""What would have been done: the core's own answer, for everything that a breach can be."""

from typing import Any

import pytest

from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.backtest.consequence import Action, Consequence, consequence
from modeldeploy.core.cause import Who
from unit.core import build

pytestmark = pytest.mark.unit

METRICS = {Category.SOFTWARE: build.ERRORS, Category.OUTPUT: build.NULLS, Category.INPUT: build.MISSING}


def breach(category: Category, who: Who) -> Assessment:
    return Assessment(str(METRICS[category]["name"]), category, Verdict.BREACH, who)


def led_to(
    category: Category, who: Who, *, on_trial: bool = True, lately: bool = False, **written: Any
) -> Consequence:
    spec = build.spec("v1", metrics=tuple(METRICS.values()), **written)
    return consequence(spec, breach(category, who), build.NOW, on_trial=on_trial, lately=lately)


@pytest.mark.parametrize("strategy", ["Canary", "Shadow", "BlueGreen"])
@pytest.mark.parametrize(
    ("category", "who", "during", "action"),
    [
        (Category.OUTPUT, Who.CANDIDATE, "Rollback", Action.ROLLBACK),
        (Category.SOFTWARE, Who.CANDIDATE, "Rollback", Action.ROLLBACK),
        (Category.OUTPUT, Who.BOTH, "Rollback", Action.PAUSE),
        (Category.OUTPUT, Who.UNSURE, "Rollback", Action.PAUSE),
        (Category.INPUT, Who.BOTH, "Rollback", Action.FLAG),
        (Category.INPUT, Who.CANDIDATE, "Rollback", Action.PAUSE),
        (Category.OUTPUT, Who.WORSE, "Pause", Action.PAUSE),
        (Category.OUTPUT, Who.CANDIDATE, "Pause", Action.PAUSE),
        (Category.OUTPUT, Who.CANDIDATE, "Notify", Action.TELL),
    ],
)
def test_in_a_trial(category: Category, who: Who, during: str, action: Action, strategy: str) -> None:
    found = led_to(category, who, during=during, strategy=strategy)
    assert found == Consequence(action, ("DriftDetected",) if who in (Who.BOTH, Who.WORSE) else ())


@pytest.mark.parametrize(
    ("steps", "action"),
    [([{"weight": 10}, {"weight": 50}], Action.STEP_DOWN), ([{"weight": 10}], Action.ROLLBACK)],
)
def test_a_step_is_taken_back_where_there_is_one(steps: list[dict[str, int]], action: Action) -> None:
    assert led_to(Category.OUTPUT, Who.CANDIDATE, during="StepDown", steps=steps).action is action


def test_soon_after_a_step_what_moves_both_returns_traffic() -> None:
    assert led_to(Category.OUTPUT, Who.BOTH, lately=True).action is Action.RETURN
    assert led_to(Category.OUTPUT, Who.BOTH, lately=True, during="Pause").action is Action.PAUSE


def test_without_a_step_nothing_is_tried_and_nothing_taken_back() -> None:
    found = led_to(Category.OUTPUT, Who.CANDIDATE, strategy="Immediate")
    assert found == Consequence(Action.TELL)


@pytest.mark.parametrize(
    ("category", "after", "expected"),
    [
        (
            Category.OUTPUT,
            "FlagRetraining",
            Consequence(Action.FLAG, ("DriftDetected", "RetrainingRecommended")),
        ),
        (
            Category.INPUT,
            "FlagRetraining",
            Consequence(Action.FLAG, ("DriftDetected", "RetrainingRecommended")),
        ),
        (Category.INPUT, "Notify", Consequence(Action.FLAG, ("DriftDetected",))),
        (Category.OUTPUT, "Notify", Consequence(Action.FLAG, ("DriftDetected",))),
        (Category.SOFTWARE, "FlagRetraining", Consequence(Action.TELL)),
    ],
)
def test_after_the_rollout(category: Category, after: str, expected: Consequence) -> None:
    assert led_to(category, Who.STABLE, on_trial=False, after=after) == expected


@pytest.mark.parametrize(
    "written",
    [
        {"suspend": True},
        {"control": {"abort": {"revision": "new00000"}}},
        {"control": {"paused": True}},
        {"surge": "None"},
        {"traffic": {"incumbent": {"service": "old-system"}}},
        {"steps": ({"approval": "Required"}, {"weight": 5})},
    ],
    ids=["suspended", "aborted", "paused", "no room", "incumbent", "no traffic"],
)
def test_what_humans_ask_for_now_changes_nothing_about_the_past(written: dict[str, Any]) -> None:
    assert led_to(Category.OUTPUT, Who.CANDIDATE, **written).action is Action.ROLLBACK
    assert led_to(Category.OUTPUT, Who.BOTH, **written).action is Action.PAUSE
    assert led_to(Category.INPUT, Who.BOTH, **written).action is Action.FLAG
