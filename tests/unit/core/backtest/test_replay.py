"""A replay comes to the verdicts of live looks, at the same ticks."""

from datetime import UTC, datetime

import pytest

from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core import judgement
from modeldeploy.core.backtest import Action, Activity, Phase, Replay, Said, hint, phases
from modeldeploy.core.backtest.replay import closeness
from modeldeploy.core.judgement import Roles
from modeldeploy.core.judgement.plan import plan
from unit.core.backtest.past import NAME, NAMESPACE, Past
from unit.core.judgement.rollouts import metric as planned
from unit.core.judgement.simulation import CANDIDATE, SEVEN, STABLE, START, Rates, make_spec, when

pytestmark = pytest.mark.unit

FAULT = 300.0


def sudden_nulls(at: float) -> Rates:
    return Rates(nulls=0.15) if at >= FAULT else Rates()


def replayed(past: Past, since: float = 0.0) -> Replay:
    """The past, judged with roles that are learned from it."""
    activity = Activity()
    for at, answers in past.kept:
        activity.look(when(at).timestamp(), answers)
    monitoring = past.spec.monitoring
    found = phases(
        activity.counted,
        window=seconds(monitoring.window),
        interval=seconds(monitoring.interval),
        said=Said(),
    )
    replay = Replay(past.spec, NAMESPACE, NAME, found, when(since))
    for at, answers in past.kept:
        replay.look(when(at), answers)
    return replay


@pytest.fixture(scope="module")
def past() -> Past:
    made = Past(make_spec(*SEVEN), seed=5, candidate_rates=sudden_nulls)
    made.live(600.0)
    return made


def test_every_verdict_is_that_of_the_live_look() -> None:
    past = Past(make_spec(*SEVEN), seed=5, candidate_rates=sudden_nulls)
    live = past.live(600.0)
    activity = Activity()
    for at, answers in past.kept:
        activity.look(when(at).timestamp(), answers)
    found = phases(activity.counted, window=120.0, interval=5.0, said=Said())
    assert [one.roles for one in found] == [Roles(STABLE), Roles(STABLE, CANDIDATE, START + 5, START + 5)]
    replay = Replay(past.spec, NAMESPACE, NAME, found, when(0.0))
    looks = {at: replay.look(when(at), answers) for at, answers in past.kept}
    assert [(at, looks[at]) for at, _ in live] == live


def test_a_fault_at_a_known_minute_fires_at_the_tick_at_which_it_did_live() -> None:
    past = Past(make_spec(*SEVEN), seed=5, candidate_rates=sudden_nulls)
    live = past.live(600.0)
    first = next(
        at for at, says in live if any(one.name == "nulls" and one.verdict is Verdict.BREACH for one in says)
    )
    assert FAULT < first <= FAULT + 30
    by_name = {course.planned.metric.name: course for course in replayed(past).courses}
    firing = by_name["nulls"].firings[0]
    assert firing.begin == when(first)
    assert firing.message.startswith(f"nulls {firing.shown} of ")
    assert firing.value == pytest.approx(float((firing.shown or "").removesuffix("%")) / 100, abs=5e-4)
    assert [(at, led_to.action) for at, led_to in firing.done] == [(when(first), Action.ROLLBACK)]
    assert not by_name["p95"].firings
    assert by_name["p95"].closest == pytest.approx(0.03, abs=0.01)


def test_looks_before_the_span_gather_evidence_and_are_not_told(past: Past) -> None:
    replay = replayed(past, since=290.0)
    (nulls,) = [course for course in replay.courses if course.planned.metric.name == "nulls"]
    assert datetime.fromtimestamp(nulls.times[0], UTC) == when(290.0)
    assert nulls.verdicts.total() == len(nulls.times) == 63
    assert nulls.stretches[0] == (when(290.0), Verdict.PASS)
    assert len(nulls.subject) == len(nulls.stable) == 63


def test_the_gravest_thing_is_told_with_its_time() -> None:
    # Soon after the trial began both get worse: traffic returns. Then the candidate alone gets much worse.
    def stable(at: float) -> Rates:
        return Rates(nulls=0.3) if at > 100 else Rates()

    def candidate(at: float) -> Rates:
        return Rates(nulls=0.9) if at > 300 else stable(at)

    past = Past(make_spec(*SEVEN), seed=1, stable_rates=stable, candidate_rates=candidate)
    past.live(500.0)
    firing = next(c for c in replayed(past).courses if c.planned.metric.name == "nulls").firings[0]
    assert firing.done[0][1].action is Action.RETURN
    assert firing.gravest[1].action is Action.ROLLBACK
    assert firing.gravest[0] > when(300.0) > firing.begin


def test_one_revision_alone_is_watched_and_flags() -> None:
    past = Past(make_spec(*SEVEN), seed=2, stable_rates=lambda at: Rates(nulls=0.2 if at > 300 else 0.02))
    past.load = lambda _: (50.0, 0.0)
    past.live(900.0)
    replay = replayed(past)
    firing = next(c for c in replay.courses if c.planned.metric.name == "nulls").firings[0]
    assert firing.roles == Roles(STABLE)
    assert firing.gravest[1] == (Action.FLAG, ("DriftDetected", "RetrainingRecommended"))


def test_a_promotion_ends_a_firing() -> None:
    past = Past(make_spec({"name": "own", "category": "Output", "query": "x", "max": 1}), seed=2)
    spec = past.spec
    found = (Phase(float("-inf"), Roles("a", "b", 1.0, 1.0)), Phase(when(10.0).timestamp(), Roles("b")))
    replay = Replay(spec, NAMESPACE, NAME, found, when(0.0))
    for at in (0.0, 5.0, 10.0, 15.0):
        answers = {
            query: judgement.Number(2.0)
            for query in judgement.queries(spec, NAMESPACE, NAME, found[0].roles)
            if query.family is None
        }
        replay.look(when(at), answers)
    firings = replay.courses[0].firings
    assert [(one.begin, one.end) for one in firings] == [(when(0.0), when(5.0)), (when(10.0), when(15.0))]
    assert [one.gravest[1].action for one in firings] == [Action.PAUSE, Action.FLAG]


@pytest.mark.parametrize(
    ("fields", "value", "stable", "near"),
    [
        ({"max": "5%"}, 0.01, None, 0.2),
        ({"min": "95%"}, 0.97, None, 0.6),
        ({"max": "5%", "compare": {"maxRatio": 2}}, 0.01, 0.004, 1.25),
        ({"compare": {"maxRatio": 2}}, 0.01, 0.0, None),
        ({"max": "0%"}, 0.01, None, None),
        ({"preset": "latencyP95", "max": "300ms"}, 150.0, None, 0.5),
        ({"preset": "inputSize", "min": 32, "max": 96}, 40.0, None, 0.75),
        ({"preset": "inputSize", "min": 32}, 0.0, None, 2.0),
        ({"max": "5%"}, None, None, None),
    ],
)
def test_how_near_a_bound_is(
    fields: dict[str, object], value: float | None, stable: float | None, near: float | None
) -> None:
    assert closeness(planned(**fields), value, stable) == (near if near is None else pytest.approx(near))


class TestHints:
    """What a metric was good for."""

    def hints(self, past: Past, seconds: float) -> dict[str, str]:
        past.live(seconds)
        courses = replayed(past).courses
        return {course.planned.metric.name: hint(courses, index) for index, course in enumerate(courses)}

    def test_of_two_for_one_fault_the_later_is_told_to_be_so(self) -> None:
        def rates(at: float) -> Rates:
            return Rates(errors=0.05, nulls=0.03) if at < 100 else Rates(errors=0.05, nulls=0.12)

        said = self.hints(Past(make_spec(*SEVEN), seed=4, candidate_rates=rates), 400.0)
        assert said["nulls"].startswith("fired only together with errors, ")
        assert said["nulls"].endswith(" later than it")
        assert said["errors"] == "fired first, or alone"
        assert said["p95"].startswith("never fired; never even near its bound (at most ")

    def test_of_two_that_fire_at_the_same_look_the_first_stays(self) -> None:
        spec = make_spec(*({**SEVEN[3], "name": name} for name in ("nulls", "again")))
        said = self.hints(Past(spec, seed=4, candidate_rates=lambda _: Rates(nulls=0.3)), 200.0)
        assert said["nulls"] == "fired first, or alone"
        assert said["again"] == "fired only together with nulls, at the same look"

    def test_alone(self) -> None:
        said = self.hints(Past(make_spec(*SEVEN), seed=4, candidate_rates=lambda _: Rates(nulls=0.3)), 200.0)
        assert said["nulls"] == "fired when nothing else did"

    def test_without_data(self) -> None:
        own = {"name": "own", "category": "Output", "query": "x", "max": 1}
        spec = make_spec(
            own, {"name": "ratio", "category": "Output", "preset": "nullRatio", "compare": {"maxRatio": 2}}
        )
        past = Past(spec, seed=4, load=lambda _: (50.0, 0.0))
        said = self.hints(past, 200.0)
        assert said["own"] == (
            "never had data (the query was not asked); see that the model exports it, or leave it out"
        )
        assert said["ratio"] == "never applied: it compares a candidate with stable, and none was on trial"

    @pytest.mark.parametrize(
        ("rate", "said"),
        [
            (0.03, "never fired; came as near as "),
            (0.052, "never fired, though its value reached "),
        ],
    )
    def test_near_the_bound(self, rate: float, said: str) -> None:
        spec = make_spec(SEVEN[3])
        past = Past(spec, seed=7, candidate_rates=lambda _: Rates(nulls=rate))
        assert self.hints(past, 300.0)["nulls"].startswith(said)

    def test_too_few_requests(self) -> None:
        past = Past(make_spec(SEVEN[3]), seed=7, load=lambda at: (50.0, 0.0) if at else (0.0, 0.0))
        past.live(10.0)
        found = (Phase(float("-inf"), Roles(STABLE, CANDIDATE, START, START)),)
        replay = Replay(past.spec, NAMESPACE, NAME, found, when(0.0))
        for at, answers in past.kept:
            replay.look(when(at), answers)
        assert hint(replay.courses, 0) == "never fired; too few requests to tell"
        assert plan(past.spec.monitoring.metrics[0]) is replay.courses[0].planned
