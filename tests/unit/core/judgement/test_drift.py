"""Drift from counters to verdicts."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from modeldeploy.api.v1alpha1.drift import ReferenceSource
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core import judgement
from modeldeploy.core.cause import Who
from modeldeploy.core.drift.buckets import Histogram
from modeldeploy.core.drift.reference import Reference, Trouble
from modeldeploy.core.drift.window import WEEK
from modeldeploy.core.judgement import QueryFailed, Roles, problems
from modeldeploy.core.judgement.plan import plan, threshold
from modeldeploy.core.judgement.queries import BUCKET_FAMILY, by_name, family_query, together
from modeldeploy.core.judgement.sources import SOURCES, Family
from modeldeploy.core.request import read_spec
from unit.core.judgement.drifts import EDGES, NAME, Factor, Inputs, drift_spec, training
from unit.core.judgement.simulation import START, make_spec, when

pytestmark = pytest.mark.unit

STABLE = Roles("aaaa")
TRIAL = Roles("aaaa", "bbbb", START, START)
TRAINED = {"length": training()}


def longer(since: float, factor: float = 1.7, of: str = "") -> Factor:
    return lambda revision, at: factor if at >= since and (not of or revision == of) else 1.0


def test_inputs_that_stay_pass_with_the_value_in_words() -> None:
    said = Inputs(drift_spec(), references=TRAINED).last(STABLE, 1800)
    assert said.verdict is Verdict.PASS
    assert said.message.startswith("length PSI 0.0")
    assert f" of {said.samples} inputs against training (warn 0.1, fail 0.25)" in said.message
    assert said.candidate is not None
    assert said.stable is None
    assert not said.holds
    assert said.reason == ""


def test_longer_inputs_are_told_first_then_are_a_breach_and_blame_nobody() -> None:
    inputs = Inputs(drift_spec(), longer(1800), references=TRAINED)
    course = [said for _, said in inputs.run(STABLE, 5400)]
    verdicts = [said.verdict for said in course]
    first = verdicts.index(Verdict.BREACH)
    assert first * 10 > 1800
    assert any(said.reason == judgement.BEYOND_WARN for said in course[180:first])
    assert course[first].who is Who.STABLE
    assert set(verdicts[first:]) == {Verdict.BREACH}
    assert "length PSI 0.2" in course[first].message
    assert "against training (warn 0.1, fail 0.25)" in course[first].message
    assert not course[first].holds


def test_a_rollout_of_a_good_model_goes_on_whatever_its_inputs_do() -> None:
    inputs = Inputs(drift_spec(), longer(600), load={"aaaa": 27.0, "bbbb": 3.0}, references=TRAINED)
    said = inputs.last(TRIAL, 3600)
    assert said.verdict is Verdict.BREACH
    assert said.who is Who.BOTH
    assert not said.holds
    assert said.samples is not None
    assert said.samples > 27 * 300  # stable's, which has most of them


def test_outputs_off_their_training_hold_a_trial_at_most() -> None:
    spec = drift_spec(category="Output")
    inputs = Inputs(spec, longer(0.0, of="bbbb"), load={"aaaa": 30.0, "bbbb": 30.0}, references=TRAINED)
    said = inputs.last(TRIAL, 1800)
    assert (said.verdict, said.who, said.holds) == (Verdict.BREACH, Who.UNSURE, False)
    # Once it is stable the very same counts speak of stable.
    after = inputs.look(1810.0, Roles("bbbb"))[0]
    assert (after.verdict, after.who) == (Verdict.BREACH, Who.STABLE)


def test_a_candidates_outputs_off_stables_are_blamed_on_it() -> None:
    spec = drift_spec("Stable", category="Output")
    assert plan(spec.monitoring.metrics[0]).tests == 1
    assert threshold(spec) == pytest.approx(100.0)
    inputs = Inputs(spec, longer(0.0, of="bbbb"), load={"aaaa": 60.0, "bbbb": 20.0})
    course = [said for _, said in inputs.run(TRIAL, 1800)]
    assert course[0].holds
    first = next(said for said in course if said.verdict is Verdict.BREACH)
    assert first.who is Who.CANDIDATE
    assert "against stable" in first.message
    before = inputs.look(1810.0, STABLE)[0]
    assert before.verdict is Verdict.NOT_APPLICABLE
    assert before.message == "length: compared with stable while a rollout runs"
    assert not before.holds


def test_a_candidate_like_stable_passes_and_does_not_hold() -> None:
    inputs = Inputs(drift_spec("Stable", category="Output"), load={"aaaa": 60.0, "bbbb": 20.0})
    course = [said for _, said in inputs.run(TRIAL, 1800)]
    assert course[3].verdict is Verdict.INCONCLUSIVE
    assert "clump" in course[3].message
    assert any("inputs needed" in said.message for said in course)
    assert course[-1].verdict is Verdict.PASS
    assert all(said.verdict is not Verdict.BREACH for said in course)


def test_inputs_off_stables_are_not_the_candidates_fault() -> None:
    spec = drift_spec("Stable")
    assert plan(spec.monitoring.metrics[0]).tests == 0
    said = Inputs(spec, longer(0.0, of="bbbb"), load={"aaaa": 60.0, "bbbb": 20.0}).last(TRIAL, 1800)
    assert (said.verdict, said.who, said.holds) == (Verdict.BREACH, Who.CANDIDATE, False)


def test_a_new_trial_begins_with_nothing() -> None:
    inputs = Inputs(
        drift_spec("Stable", category="Output"), longer(0.0, of="bbbb"), load={"aaaa": 60.0, "bbbb": 20.0}
    )
    assert inputs.last(TRIAL, 1800).verdict is Verdict.BREACH
    again = replace(TRIAL, started_at=START + 1805, step_started_at=START + 1805)
    assert judgement.assess(inputs.evidence, inputs.spec, again, when(1806))[0].verdict is not Verdict.BREACH
    assert inputs.look(1810.0, again)[0].verdict is Verdict.INCONCLUSIVE


def test_last_week_is_asked_for_beside_now() -> None:
    spec = drift_spec("LastWeek")
    asked = [query for query in judgement.queries(spec, "ns", "digits", STABLE) if query.ago]
    assert [(query.family, query.ago) for query in asked] == [(Family.SIZE_BUCKETS, WEEK)]
    assert asked[0].expression.endswith('modeldeploy_revision!=""} offset 604800s)')
    assert judgement.narrowed(asked[0], "ns", "digits").ago == WEEK
    inputs = Inputs(spec, longer(1800))
    course = [said for _, said in inputs.run(STABLE, 5400)]
    assert course[170].verdict is Verdict.PASS
    assert course[-1].verdict is Verdict.BREACH
    assert "against last week" in course[-1].message


def test_a_first_week_has_nothing_to_compare_with() -> None:
    inputs = Inputs(drift_spec("LastWeek"))
    inputs.week_ago.clear()
    inputs._serve = lambda counts, *rest: (  # type: ignore[method-assign]
        None if counts is inputs.week_ago else Inputs._serve(inputs, counts, *rest)
    )
    said = inputs.last(STABLE, 600)
    assert said.verdict is Verdict.INCONCLUSIVE
    assert said.message.endswith("inputs, and nothing of last week to compare with yet")


@pytest.mark.parametrize(
    ("reference", "verdict", "reason", "said"),
    [
        (
            Trouble("ReferenceMissing", "there is no ConfigMap"),
            Verdict.ERROR,
            "ReferenceMissing",
            "there is no",
        ),
        (Trouble("", "no version was replaced yet"), Verdict.NOT_APPLICABLE, "", "no version was replaced"),
        (
            Reference({"model_output_confidence": training().histograms[NAME]}),
            Verdict.ERROR,
            "ReferenceMissing",
            "the reference holds model_output_confidence, but not model_input_size; export it, too",
        ),
        (
            Reference({NAME: (Histogram((1.0, math.inf), (5.0, 5.0)), 1.0)}),
            Verdict.ERROR,
            "ReferenceMismatch",
            "the reference has buckets 1, +Inf, what is served has 10, 20, 30, 40, … (9 with +Inf)",
        ),
    ],
)
def test_what_is_wrong_with_a_reference_is_said(
    reference: Reference | Trouble, verdict: Verdict, reason: str, said: str
) -> None:
    found = Inputs(drift_spec(), references={"length": reference}).last(STABLE, 60)
    assert (found.verdict, found.reason) == (verdict, reason)
    assert f"length: {said}" in found.message
    assert not found.holds


def test_a_reference_that_is_not_read_yet_waits() -> None:
    said = Inputs(drift_spec()).last(STABLE, 60)
    assert said.verdict is Verdict.INCONCLUSIVE
    assert said.message.endswith("and nothing of training to compare with yet")


def test_a_failed_question_and_silence_are_told() -> None:
    inputs = Inputs(drift_spec(), references=TRAINED)
    inputs.last(STABLE, 600)
    assert inputs.look(610.0, STABLE, silent=True)[0].verdict is Verdict.ERROR
    inputs.counts.clear()
    inputs.load = {}
    verdicts = [said.verdict for _, said in inputs.run(STABLE, 60, 620.0)]
    assert verdicts[-1] is Verdict.NO_DATA


def test_buckets_and_means_of_a_histogram_come_in_one_answer() -> None:
    asked = [family_query(Family.SIZE), family_query(Family.SIZE_BUCKETS)]
    assert together(asked).count("model_input_size_sum") == 1
    askers = by_name(asked)
    assert askers["model_input_size_sum"] == asked
    assert askers["model_input_size_bucket"] == [asked[1]]


def test_every_histogram_has_its_name() -> None:
    for family in BUCKET_FAMILY.values():
        assert any(name.endswith("_bucket") for name in SOURCES[family].names)


def test_history_is_read_where_a_window_reaches_back_to_before_anything_was_seen() -> None:
    inputs = Inputs(drift_spec(change="Slow"), references=TRAINED)
    assert judgement.lacks_history(inputs.evidence, inputs.spec, START)
    inputs.last(STABLE, 100)
    at = START + 100
    assert judgement.lacks_history(inputs.evidence, inputs.spec, at)
    (begin, middle, coarse), (again, end, fine) = judgement.history_steps(inputs.spec, at)
    assert (begin, middle, again, end) == (at - 86400, at - 600, at - 600, at)
    assert (coarse, fine) == (3600.0, 10.0)

    past, asked = Inputs(judgement.history_spec(inputs.spec, coarse), references=TRAINED), []
    past.load = {"aaaa": 30.0 * 360}
    for hour in range(24):
        past.look(100 - 86400 + 3600.0 * hour, STABLE)
        asked.append(hour)
    read = judgement.without_clumps(past.evidence)
    merged = judgement.with_history(inputs.evidence, replace(read, at=at), inputs.spec)
    assert not judgement.lacks_history(merged, inputs.spec, at)
    drifting = merged.metrics["length"].drifting
    assert drifting is not None
    assert drifting.window.whole[0].n == pytest.approx(23 * 30 * 360, rel=0.01)
    assert drifting.mine.known is None


def test_a_trials_window_needs_no_history() -> None:
    inputs = Inputs(drift_spec("Stable"))
    assert not judgement.lacks_history(inputs.evidence, inputs.spec, START)
    assert not judgement.lacks_history(inputs.evidence, make_spec(), START)


def test_another_window_begins_anew() -> None:
    inputs = Inputs(drift_spec(), references=TRAINED)
    inputs.last(STABLE, 600)
    inputs.spec = drift_spec(change="Slow")
    assert inputs.look(610.0, STABLE)[0].verdict is Verdict.INCONCLUSIVE
    assert judgement.lacks_history(inputs.evidence, inputs.spec, START + 610)


def test_other_bounds_are_judged_by_the_same_counts() -> None:
    inputs = Inputs(drift_spec(), longer(0.0), references=TRAINED)
    assert inputs.last(STABLE, 1800).verdict is Verdict.BREACH
    inputs.spec = drift_spec(warn=None, fail=3.0)
    assert inputs.look(1810.0, STABLE)[0].verdict is Verdict.PASS


def test_a_question_that_failed_has_no_answer() -> None:
    inputs = Inputs(drift_spec(), references=TRAINED)
    inputs.answer = lambda query: QueryFailed("HTTP 503")  # type: ignore[method-assign]  # noqa: ARG005
    said = inputs.last(STABLE, 20)
    assert (said.verdict, said.message) == (Verdict.ERROR, "length: HTTP 503")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"warn": None, "fail": 0},
            "spec.monitoring.metrics[length].drift.fail: 0 would make any difference a breach",
        ),
        ({"warn": 0.3}, ".drift.warn: 0.3 is not below fail 0.25; lower warn or raise fail"),
        (
            {"statistic": "JensenShannon", "fail": 2},
            ".drift.fail: JensenShannon is 1 at most and never reaches 2; lower it",
        ),
        ({"reference": {"source": "Training"}}, ".drift.reference.configMap: is missing; name the ConfigMap"),
        (
            {"reference": {"source": "Stable", "configMap": {"name": "x"}}},
            ".drift.reference.configMap: source Stable reads no file; remove it",
        ),
    ],
)
def test_what_cannot_be_judged_is_a_problem(change: dict[str, object], problem: str) -> None:
    [found] = problems(drift_spec(**change))  # type: ignore[arg-type]
    assert problem in found


def test_drift_needs_a_histogram_and_stands_alone() -> None:
    assert problems(drift_spec()) == ()
    metric = drift_spec().monitoring.metrics[0].model_dump(by_alias=True, exclude_none=True)
    [found] = problems(make_spec({**metric, "preset": "nullRatio", "category": "Output"}))
    assert (
        ".drift: needs a histogram; only brightness, confidence, inputSize, inputVolume, latencyP50" in found
    )
    [found] = problems(make_spec({**metric, "max": 5}))
    assert ".drift: is judged by itself" in found


def test_a_crowded_bucket_is_told_and_holds_nothing() -> None:
    crowded = Reference(
        {NAME: (Histogram((*(float(edge) for edge in EDGES),), (0, 0, 0, 0, 0, 0, 0, 9, 991)), 1.0)}
    )
    inputs = Inputs(drift_spec(), lambda _revision, _at: 9.0, references={"length": crowded})
    said = inputs.last(STABLE, 1200)
    assert (said.verdict, said.reason) == (Verdict.INCONCLUSIVE, "DriftInsensitive")
    assert said.message.startswith(
        "length: 99% fall into one bucket (100 to +Inf), where drift can't be seen"
    )
    assert not said.holds


def test_scrapes_may_be_rarer_than_looks() -> None:
    """Every sixth look only sees new counts; how they clump is learned from those."""
    inputs = Inputs(drift_spec(), references=TRAINED)
    course = []
    for number in range(180):
        inputs.load = {"aaaa": 0.0 if number % 6 else 180.0}
        course.append(inputs.look(10.0 * number, STABLE)[0])
    assert course[-1].verdict is Verdict.PASS
    drifting = inputs.evidence.metrics["length"].drifting
    assert drifting is not None
    assert drifting.mine.known == pytest.approx(1.0, abs=0.4)


def test_the_example_can_be_judged() -> None:
    path = Path(__file__).parents[4] / "examples/drift/inputs.yaml"
    found = read_spec(yaml.safe_load(path.read_text())).spec
    assert found is not None
    assert problems(found) == ()
    sources = {metric.drift.reference.source for metric in found.monitoring.metrics if metric.drift}
    assert sources == set(ReferenceSource)
