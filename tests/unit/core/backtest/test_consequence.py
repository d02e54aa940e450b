"""What would have been done: the core's own answer, for everything that a breach can be."""

from typing import Any

import pytest

from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core.assessment import Assessment, Blame
from modeldeploy.core.backtest.consequence import Action, Consequence, consequence
from unit.core import build

pytestmark = pytest.mark.unit

METRICS = {Category.SOFTWARE: build.ERRORS, Category.OUTPUT: build.NULLS, Category.INPUT: build.MISSING}


def breach(category: Category, blame: Blame) -> Assessment:
    return Assessment(str(METRICS[category]["name"]), category, Verdict.BREACH, blame)


def led_to(category: Category, blame: Blame, *, on_trial: bool = True, **written: Any) -> Consequence:
    spec = build.spec("v1", metrics=tuple(METRICS.values()), **written)
    return consequence(spec, breach(category, blame), build.NOW, on_trial=on_trial)


@pytest.mark.parametrize("strategy", ["Canary", "Shadow", "BlueGreen"])
@pytest.mark.parametrize(
    ("category", "blame", "during", "action"),
    [
        (Category.OUTPUT, Blame.CANDIDATE, "Rollback", Action.ROLLBACK),
        (Category.SOFTWARE, Blame.CANDIDATE, "Rollback", Action.ROLLBACK),
        (Category.OUTPUT, Blame.WORLD, "Rollback", Action.PAUSE),
        (Category.OUTPUT, Blame.UNCERTAIN, "Rollback", Action.PAUSE),
        (Category.INPUT, Blame.WORLD, "Rollback", Action.FLAG),
        (Category.OUTPUT, Blame.CANDIDATE, "Pause", Action.PAUSE),
        (Category.OUTPUT, Blame.CANDIDATE, "Notify", Action.TELL),
    ],
)
def test_in_a_trial(category: Category, blame: Blame, during: str, action: Action, strategy: str) -> None:
    found = led_to(category, blame, during=during, strategy=strategy)
    assert found == Consequence(action, ("DriftDetected",) if action is Action.FLAG else ())


def test_without_a_step_nothing_is_tried_and_nothing_taken_back() -> None:
    found = led_to(Category.OUTPUT, Blame.CANDIDATE, strategy="Immediate")
    assert found == Consequence(Action.TELL)


@pytest.mark.parametrize(
    ("category", "after", "expected"),
    [
        (Category.OUTPUT, "FlagRetraining", Consequence(Action.FLAG, ("RetrainingRecommended",))),
        (
            Category.INPUT,
            "FlagRetraining",
            Consequence(Action.FLAG, ("DriftDetected", "RetrainingRecommended")),
        ),
        (Category.INPUT, "Notify", Consequence(Action.FLAG, ("DriftDetected",))),
        (Category.OUTPUT, "Notify", Consequence(Action.TELL)),
        (Category.SOFTWARE, "FlagRetraining", Consequence(Action.TELL)),
    ],
)
def test_after_the_rollout(category: Category, after: str, expected: Consequence) -> None:
    assert led_to(category, Blame.WORLD, on_trial=False, after=after) == expected


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
    assert led_to(Category.OUTPUT, Blame.CANDIDATE, **written).action is Action.ROLLBACK
    assert led_to(Category.OUTPUT, Blame.WORLD, **written).action is Action.PAUSE
    assert led_to(Category.INPUT, Blame.WORLD, **written).action is Action.FLAG
