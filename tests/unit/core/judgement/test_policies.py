"""What each metric says of missing data, failed questions, warm-up and shadows."""

from dataclasses import replace

import pytest

from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core import judgement
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.cause import Who
from modeldeploy.core.judgement import Answer, Counters, Evidence, NoData, QueryFailed, Roles, Row
from unit.core.judgement.simulation import CANDIDATE, SEVEN, STABLE, START, Rates, World, make_spec, when

pytestmark = pytest.mark.unit

TRIAL = Roles(STABLE, CANDIDATE, START, START)
NULLS = {**SEVEN[3], "failAfter": "1m"}
P95 = SEVEN[1]


def after(seconds: float, metric: dict[str, object], answer: Answer, roles: Roles = TRIAL) -> Assessment:
    """The verdict after looks that all yield the same answer."""
    spec, evidence, at = make_spec(metric), Evidence(), 0.0
    while at <= seconds:
        answers = dict.fromkeys(judgement.queries(spec, "ns", "digits", roles), answer)
        evidence = judgement.advance(
            evidence, spec, namespace="ns", name="digits", roles=roles, answers=answers, at=when(at)
        )
        at += 5.0
    (found,) = judgement.assess(evidence, spec, roles, when(at - 5.0))
    return found


AWAY = QueryFailed("Prometheus is away")
OF_STABLE = Counters((Row(STABLE, "p", "model_output_values_total", 10.0),))


@pytest.mark.parametrize(
    ("policy", "answer", "seconds", "verdict", "who", "holds"),
    [
        ({}, NoData(), 600, Verdict.NO_DATA, None, True),
        ({"onNoData": "Ignore"}, NoData(), 600, Verdict.NO_DATA, None, False),
        ({"onNoData": "Ignore"}, AWAY, 600, Verdict.ERROR, None, True),
        ({"onNoData": "Fail"}, OF_STABLE, 55, Verdict.NO_DATA, None, True),
        ({"onNoData": "Fail"}, OF_STABLE, 60, Verdict.BREACH, Who.CANDIDATE, True),
        ({"onNoData": "Fail"}, NoData(), 600, Verdict.BREACH, Who.BOTH, True),
        ({"onNoData": "Fail"}, AWAY, 600, Verdict.ERROR, None, True),
        ({}, AWAY, 600, Verdict.ERROR, None, True),
        ({"onError": "Ignore"}, AWAY, 600, Verdict.ERROR, None, False),
        ({"onError": "Ignore"}, NoData(), 600, Verdict.NO_DATA, None, True),
        ({"onError": "Fail"}, AWAY, 55, Verdict.ERROR, None, True),
        ({"onError": "Fail"}, AWAY, 60, Verdict.BREACH, Who.CANDIDATE, True),
    ],
)
def test_what_missing_data_and_failed_questions_lead_to(
    policy: dict[str, object],
    answer: Answer,
    seconds: float,
    verdict: Verdict,
    who: Who | None,
    *,
    holds: bool,
) -> None:
    found = after(seconds, {**NULLS, **policy}, answer)
    assert (found.verdict, found.holds) == (verdict, holds), found
    if who is not None:
        assert found.who is who
        assert "Fail after 1m)" in found.message


@pytest.mark.parametrize("policy", ["onNoData", "onError"])
def test_once_no_rollout_runs_silence_fails_nothing(policy: str) -> None:
    answer = NoData() if policy == "onNoData" else AWAY
    found = after(600, {**NULLS, policy: "Fail"}, answer, Roles(STABLE))
    assert found.verdict in {Verdict.NO_DATA, Verdict.ERROR}


@pytest.mark.parametrize(
    ("warmup", "blamed"), [({}, True), ({"warmup": "90s"}, False), ({"warmup": "0s"}, True)]
)
def test_a_metrics_own_warm_up_covers_its_first_slow_requests(
    warmup: dict[str, object], *, blamed: bool
) -> None:
    world = World(
        make_spec({**P95, **warmup}), 5, candidate_rates=lambda at: Rates(slow=1.0 if at < 60 else 0.0)
    )
    seen = [found[0].verdict for _, found in world.run(180)]
    assert (Verdict.BREACH in seen) is blamed


REDO: dict[str, object] = {
    "name": "clicks",
    "category": "Output",
    "preset": "feedbackRatio",
    "event": "clicked",
    "min": "30%",
}


def test_a_shadow_that_no_user_sees_is_not_blamed_for_their_silence() -> None:
    spec, evidence = make_spec(REDO), Evidence()
    shadow = replace(TRIAL, shadow=True)
    for look in range(60):
        rows = tuple(
            Row(revision, f"pod-{revision}", part, count * look)
            for revision, clicks in ((STABLE, 50.0), (CANDIDATE, 0.0))
            for part, count in ((" requests", 100.0), ("clicked", clicks))
        )
        at = when(5.0 * look)
        answers: dict[judgement.Query, Answer] = dict.fromkeys(
            judgement.queries(spec, "ns", "digits", shadow), Counters(rows)
        )
        evidence = judgement.advance(
            evidence, spec, namespace="ns", name="digits", roles=shadow, answers=answers, at=at
        )
    (found,) = judgement.assess(evidence, spec, shadow, at)
    assert (found.verdict, found.holds) == (Verdict.NOT_APPLICABLE, False)
    (found,) = judgement.assess(evidence, spec, TRIAL, at)
    assert found.verdict is Verdict.INCONCLUSIVE, "what was copied to it counts for nothing later"
