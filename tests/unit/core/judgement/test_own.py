"""Users' own counters and numbers, and bounds relative to stable, through whole looks."""

from collections.abc import Callable, Mapping

import pytest

from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core import judgement
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.cause import Who
from modeldeploy.core.judgement import Answer, Counters, Evidence, NoData, Query, QueryFailed, Roles, Row, own
from unit.core.judgement.simulation import CANDIDATE, STABLE, START, make_spec, when

pytestmark = pytest.mark.unit

RATIO = {
    "numerator": 'wrong_total{modeldeploy_revision="$revision"}',
    "denominator": 'answers_total{modeldeploy_revision="$revision"}',
}
OWN: dict[str, object] = {"name": "wrong", "category": "Quality", "ratio": RATIO, "max": "5%"}
NUMERATOR, DENOMINATOR = Query("n", part="numerator"), Query("d", part="denominator")
Told = Callable[[str, Query, int], Answer]
"""What is answered about a revision, a question and the number of the look."""


def looked(metric: Mapping[str, object], told: Told, looks: int = 30) -> Assessment:
    """The verdict after so many looks at a trial."""
    spec, evidence = make_spec(metric), Evidence()
    assert judgement.problems(spec) == ()
    for look in range(-20, looks):
        roles = Roles(STABLE, CANDIDATE, START, START) if look >= 0 else Roles(STABLE)
        asked = judgement.queries(spec, "ns", "digits", roles)
        answers = {
            query: told(CANDIDATE if CANDIDATE in query.expression else STABLE, query, look + 20)
            for query in asked
            if query.family is None
        }
        at = when(5.0 * look)
        evidence = judgement.advance(
            evidence, spec, namespace="ns", name="digits", roles=roles, answers=answers, at=at
        )
    (found,) = judgement.assess(evidence, spec, Roles(STABLE, CANDIDATE, START, START), at)
    return found


def counters(wrong: Mapping[str, float], of: float = 100.0, pod: str = "p") -> Told:
    """So many wrong of so many answers at each look, by revision."""

    def told(revision: str, query: Query, look: int) -> Answer:
        count = wrong[revision] if query.part == "numerator" else of
        return Counters((Row("", f"{pod}-{revision}" if pod else "", "", count * look),))

    return told


@pytest.mark.parametrize("pod", ["p", ""])
def test_counters_of_ones_own_are_judged_by_their_counts_and_can_roll_back(pod: str) -> None:
    found = looked(OWN, counters({STABLE: 2, CANDIDATE: 30}, pod=pod))
    assert (found.verdict, found.who, found.candidate) == (Verdict.BREACH, Who.CANDIDATE, "30.0%")
    assert looked(OWN, counters({STABLE: 2, CANDIDATE: 2}, pod=pod)).verdict is Verdict.PASS


def test_a_counter_that_falls_was_reset() -> None:
    def told(revision: str, query: Query, look: int) -> Answer:
        count = 2.0 if query.part == "numerator" else 100.0
        return Counters((Row("", f"p-{revision}", "", count * (look % 7)),))

    assert looked(OWN, told).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("answer", "verdict", "message"),
    [
        (NoData(), Verdict.NO_DATA, "wrong: no data, the query yields nothing"),
        (QueryFailed("Prometheus is away"), Verdict.ERROR, "wrong: Prometheus is away"),
    ],
)
def test_half_a_ratio_is_none(answer: Answer, verdict: Verdict, message: str) -> None:
    def told(revision: str, query: Query, look: int) -> Answer:
        if revision == CANDIDATE and query.part == "denominator":
            return answer
        return counters({STABLE: 2, CANDIDATE: 2})(revision, query, look)

    found = looked(OWN, told)
    assert (found.verdict, found.message, found.holds) == (verdict, message, True)


def _item(value: str, **labels: str) -> dict[str, object]:
    return {"metric": labels, "value": [1.0, value]}


@pytest.mark.parametrize(
    ("result", "answer"),
    [
        ([], NoData()),
        ([_item("NaN", pod="p")], NoData("the query yields no finite number")),
        ([_item("+Inf", pod="p")], NoData("the query yields no finite number")),
        ([_item("3", pod="p", code="5"), _item("NaN", pod="q")], Counters((Row("", "p", "code=5", 3.0),))),
        (
            [_item("1", pod="p"), _item("2", pod="q")],
            Counters((Row("", "p", "", 1.0), Row("", "q", "", 2.0))),
        ),
    ],
)
def test_any_number_of_series_may_be_counted(result: list[object], answer: Answer) -> None:
    assert own(NUMERATOR, result) == answer


@pytest.mark.parametrize("result", [[1.0, "7"], [{"metric": {}, "histogram": [1.0, {}]}]])
def test_what_are_no_counters_is_said(result: list[object]) -> None:
    found = own(DENOMINATOR, result)
    assert isinstance(found, QueryFailed)
    assert found.reason.startswith("the query yields no counters")


@pytest.mark.parametrize(
    ("candidate", "verdict"), [(30.0, Verdict.BREACH), (39.0, Verdict.PASS), (40.0, Verdict.PASS)]
)
def test_what_must_not_fall_is_compared_with_stable(candidate: float, verdict: Verdict) -> None:
    metric = {**OWN, "max": None, "compare": {"minRatio": "0.9"}}
    found = looked(metric, counters({STABLE: 40, CANDIDATE: candidate}), 120)
    assert found.verdict is verdict
    if verdict is Verdict.BREACH:
        assert found.who is Who.CANDIDATE
        assert "(at least 0.9 times stable)" in found.message


@pytest.mark.parametrize(
    ("compare", "candidate", "verdict"),
    [
        ({"maxRatio": "1.2"}, 13.0, Verdict.BREACH),
        ({"maxRatio": "1.2"}, 11.0, Verdict.PASS),
        ({"minRatio": "0.9"}, 8.0, Verdict.BREACH),
        ({"minRatio": "0.9"}, 9.5, Verdict.PASS),
    ],
)
def test_numbers_are_compared_too_but_pause_at_most(
    compare: dict[str, str], candidate: float, verdict: Verdict
) -> None:
    metric = {"name": "speed", "category": "Software", "query": 'x{r="$revision"}', "compare": compare}
    numbers = {STABLE: 10.0, CANDIDATE: candidate}
    found = looked(metric, lambda revision, _query, _look: judgement.Number(numbers[revision]))
    assert found.verdict is verdict
    if verdict is Verdict.BREACH:
        assert found.who is Who.UNSURE
        assert "; Heuristic, a number without a count behind it" in found.message
