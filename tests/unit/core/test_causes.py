"""The table of causes: row by row, in its order, and as the documentation has it."""

from itertools import product
from pathlib import Path

import pytest

from modeldeploy.api.v1alpha1.cause import Cause
from modeldeploy.api.v1alpha1.monitoring import Category, Metric, Preset
from modeldeploy.core.cause import Action, Moved, Scene, What, Who, what
from modeldeploy.core.causes import DRIFTS, TABLE, diagnose

pytestmark = pytest.mark.unit

DOCS = Path(__file__).parents[3] / "docs" / "judgement.md"
ANSWERS = (What.OUTPUTS, What.ERRORS, What.LATENCY, What.LOAD, What.QUALITY, What.FEEDBACK)


def trial(*moved: tuple[What, Who], off_weight: bool = False, lately: bool = False) -> Scene:
    return Scene(named(moved), on_trial=True, off_weight=off_weight, lately=lately)


def after(*what: What) -> Scene:
    return Scene(named([(one, Who.STABLE) for one in what]))


def named(moved: object) -> tuple[Moved, ...]:
    return tuple(Moved(f"{thing}-{who}", thing, who) for thing, who in moved)  # type: ignore[attr-defined]


C, W, B, U = Who.CANDIDATE, Who.WORSE, Who.BOTH, Who.UNSURE
INPUTS, OUTPUTS, ERRORS, LATENCY = What.INPUTS, What.OUTPUTS, What.ERRORS, What.LATENCY
LOAD, QUALITY, FEEDBACK = What.LOAD, What.QUALITY, What.FEEDBACK

SCENES: dict[str, tuple[Scene, Cause, Action]] = {
    "nothing moved": (trial(), Cause.NONE, Action.TELL),
    "nothing moved, after the rollout": (after(), Cause.NONE, Action.TELL),
    "outputs of the candidate": (trial((OUTPUTS, C)), Cause.CANDIDATE, Action.ROLL_BACK),
    "errors of the candidate": (trial((ERRORS, C)), Cause.CANDIDATE, Action.ROLL_BACK),
    "latency of the candidate": (trial((LATENCY, C)), Cause.CANDIDATE, Action.ROLL_BACK),
    "quality of the candidate": (trial((QUALITY, C)), Cause.CANDIDATE, Action.ROLL_BACK),
    "outputs of the candidate, which is asked other things": (
        trial((OUTPUTS, C), (INPUTS, C)),
        Cause.CANDIDATE,
        Action.ROLL_BACK,
    ),
    "errors of the candidate, whose share is off": (
        trial((ERRORS, C), off_weight=True),
        Cause.CANDIDATE,
        Action.ROLL_BACK,
    ),
    "errors of the candidate, latency of both": (
        trial((ERRORS, C), (LATENCY, B), lately=True),
        Cause.CANDIDATE,
        Action.ROLL_BACK,
    ),
    "outputs of both, the candidate's worse": (
        trial((OUTPUTS, W)),
        Cause.CANDIDATE_AND_WORLD,
        Action.ROLL_BACK,
    ),
    "the same with inputs, soon after a step": (
        trial((OUTPUTS, W), (INPUTS, B), lately=True),
        Cause.CANDIDATE_AND_WORLD,
        Action.ROLL_BACK,
    ),
    "inputs of the candidate only": (trial((INPUTS, C)), Cause.ASSIGNMENT_BIASED, Action.HOLD),
    "the share off its weight": (trial(off_weight=True), Cause.ASSIGNMENT_BIASED, Action.HOLD),
    "the share off its weight, inputs of both": (
        trial((INPUTS, B), off_weight=True),
        Cause.ASSIGNMENT_BIASED,
        Action.HOLD,
    ),
    "latency of both soon after a step": (
        trial((LATENCY, B), lately=True),
        Cause.INTERFERENCE,
        Action.RETURN_TRAFFIC,
    ),
    "all of both soon after a step": (
        trial((INPUTS, B), (OUTPUTS, B), lately=True),
        Cause.INTERFERENCE,
        Action.RETURN_TRAFFIC,
    ),
    "inputs of both soon after a step": (trial((INPUTS, B), lately=True), Cause.DATA_DRIFT, Action.TELL),
    "inputs and outputs of both": (trial((INPUTS, B), (OUTPUTS, B)), Cause.DATA_DRIFT, Action.HOLD),
    "inputs and quality of both": (trial((INPUTS, B), (QUALITY, B)), Cause.DATA_DRIFT, Action.HOLD),
    "inputs of both": (trial((INPUTS, B)), Cause.DATA_DRIFT, Action.TELL),
    "inputs, nobody knows whose": (trial((INPUTS, U)), Cause.DATA_DRIFT, Action.TELL),
    "feedback of both": (trial((FEEDBACK, B)), Cause.CONCEPT_DRIFT, Action.HOLD),
    "quality and outputs of both": (trial((QUALITY, B), (OUTPUTS, B)), Cause.CONCEPT_DRIFT, Action.HOLD),
    "outputs of both": (trial((OUTPUTS, B)), Cause.SUSPECTED, Action.HOLD),
    "latency of both": (trial((LATENCY, B)), Cause.CAPACITY, Action.HOLD),
    "errors of both": (trial((ERRORS, B)), Cause.UNCERTAIN, Action.HOLD),
    "a number without a count": (trial((OUTPUTS, U)), Cause.UNCERTAIN, Action.HOLD),
    "inputs of stable": (after(INPUTS), Cause.DATA_DRIFT, Action.TELL),
    "inputs, outputs and quality of stable": (after(INPUTS, OUTPUTS, QUALITY), Cause.DATA_DRIFT, Action.TELL),
    "quality of stable": (after(QUALITY), Cause.CONCEPT_DRIFT, Action.FLAG),
    "feedback and outputs of stable": (after(FEEDBACK, OUTPUTS), Cause.CONCEPT_DRIFT, Action.FLAG),
    "outputs of stable": (after(OUTPUTS), Cause.SUSPECTED, Action.TELL),
    "outputs and latency of stable": (after(OUTPUTS, LATENCY), Cause.SUSPECTED, Action.TELL),
    "latency of stable": (after(LATENCY), Cause.CAPACITY, Action.ADAPT),
    "load of stable": (after(LOAD), Cause.CAPACITY, Action.ADAPT),
    "errors of stable": (after(ERRORS), Cause.UNCERTAIN, Action.TELL),
    "what was known of a candidate that has gone": (Scene(named([(OUTPUTS, C)])), Cause.NONE, Action.TELL),
}


@pytest.mark.parametrize(("scene", "cause", "action"), SCENES.values(), ids=SCENES)
def test_scene(scene: Scene, cause: Cause, action: Action) -> None:
    found = diagnose(scene)
    assert (found.cause, found.action) == (cause, action)


def test_every_row_is_the_cause_of_some_scene() -> None:
    seen = {
        next(row for row in TABLE if row.fits(scene))
        for scene, cause, _ in SCENES.values()
        if cause is not Cause.NONE
    }
    assert seen == set(TABLE)


def test_names_the_metrics_that_led_to_it_and_no_others() -> None:
    found = diagnose(trial((OUTPUTS, B), (LATENCY, U), (INPUTS, B)))
    assert found.metrics == ("inputs-Both", "outputs-Both", "latency-Unsure")
    assert diagnose(trial((ERRORS, C), (LATENCY, B))).metrics == ("errors-Candidate",)


EVERY = [
    trial(*moved, off_weight=off_weight, lately=lately)
    for moved in [
        combination
        for count in range(3)
        for combination in product(product(What, [C, W, B, U]), repeat=count)
    ]
    for off_weight in (False, True)
    for lately in (False, True)
]


def test_whatever_moves_has_a_cause() -> None:
    for scene in EVERY:
        assert (diagnose(scene).cause is Cause.NONE) == (not scene.moved and not scene.off_weight)


def test_only_what_a_candidate_answers_worse_than_stable_rolls_it_back() -> None:
    for scene in EVERY:
        against = [one for one in scene.moved if one.what in ANSWERS and one.who in (C, W)]
        assert (diagnose(scene).action is Action.ROLL_BACK) == bool(against)


def test_traffic_returns_only_soon_after_it_grew() -> None:
    for scene in EVERY:
        assert diagnose(scene).action is not Action.RETURN_TRAFFIC or scene.lately


def test_what_drifts() -> None:
    assert {Cause.DATA_DRIFT, Cause.CONCEPT_DRIFT, Cause.SUSPECTED, Cause.CANDIDATE_AND_WORLD} == DRIFTS


@pytest.mark.parametrize("preset", Preset)
def test_every_preset_is_about_something(preset: Preset) -> None:
    for category in Category:
        metric = Metric.model_construct(name="m", category=category, preset=preset)
        assert what(metric) in What


@pytest.mark.parametrize(
    ("category", "preset", "expected"),
    [
        (Category.SOFTWARE, Preset.LATENCY_P95, What.LATENCY),
        (Category.SOFTWARE, Preset.ERROR_RATIO, What.ERRORS),
        (Category.SOFTWARE, None, What.LOAD),
        (Category.INPUT, Preset.MISSING_RATIO, What.INPUTS),
        (Category.OUTPUT, Preset.NULL_RATIO, What.OUTPUTS),
        (Category.OUTPUT, None, What.OUTPUTS),
        (Category.OUTPUT, Preset.FEEDBACK_RATIO, What.FEEDBACK),
        (Category.QUALITY, None, What.QUALITY),
        (Category.SOFTWARE, Preset.CPU, What.LOAD),
        (Category.SOFTWARE, Preset.RESTARTS, What.ERRORS),
    ],
)
def test_what_a_metric_is_about(category: Category, preset: Preset | None, expected: What) -> None:
    assert what(Metric.model_construct(name="m", category=category, preset=preset)) is expected


def test_the_documentation_shows_this_table() -> None:
    written = [line for line in DOCS.read_text().splitlines() if line.startswith("| ")]
    rows = [f"| {row.seen} | `{row.cause}` | {row.leads} |" for row in TABLE]
    start = written.index(rows[0])
    assert written[start : start + len(rows)] == rows
