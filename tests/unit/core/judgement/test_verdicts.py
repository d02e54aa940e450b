"""From counters to verdicts: whole looks, through the counters that a Prometheus would show."""

import dataclasses
import json
from datetime import timedelta

import pytest

from modeldeploy.api.v1alpha1.monitoring import Preset
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core import judgement
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.cause import Who
from modeldeploy.core.judgement import (
    Answer,
    Counters,
    Evidence,
    NoData,
    Number,
    Query,
    QueryFailed,
    Roles,
    Row,
)
from modeldeploy.core.judgement.presets import PRESETS
from unit.core.judgement.simulation import (
    CANDIDATE,
    SEVEN,
    STABLE,
    START,
    Rates,
    World,
    blamed,
    make_spec,
    when,
)

pytestmark = pytest.mark.unit

ERRORS, P95, _P99, NULLS, MISSING, SIZE, _BRIGHTNESS = SEVEN
TRIAL = Roles(STABLE, CANDIDATE, START, START)
WATCH = Roles(STABLE)


def last(world: World, seconds: float) -> dict[str, Assessment]:
    *_, (_, assessments) = world.run(seconds)
    return {assessment.name: assessment for assessment in assessments}


def few(at: float) -> tuple[float, float]:
    del at
    return 27.0, 3.0


def test_nulls_far_beyond_the_bound_are_blamed_on_the_candidate_within_four_looks() -> None:
    spec = make_spec(*SEVEN)
    found = []
    for seed in range(20):
        world = World(spec, seed, candidate_rates=lambda _: Rates(nulls=0.25), load=few, history=120)
        found += [next((at for at, seen in world.run(60) if blamed(seen, "nulls")), 99.0)]
    assert sorted(found)[len(found) // 2] <= 20.0
    assert max(found) <= 45.0


def test_a_breach_says_number_bound_and_count() -> None:
    world = World(make_spec(*SEVEN), 3, candidate_rates=lambda _: Rates(nulls=0.25), load=few)
    nulls = last(world, 60)["nulls"]
    assert nulls.verdict is Verdict.BREACH
    said, least = nulls.message.split(", surely at least ")
    assert said == f"nulls {nulls.candidate} of {nulls.samples} answers (max 5%)"
    assert 5 <= float(least.removesuffix("%")) < 25
    assert 15 < float((nulls.candidate or "").removesuffix("%")) < 35
    assert (nulls.stable or "").startswith(("1.", "2."))


def test_a_slow_candidate_is_blamed_and_its_quantile_shown() -> None:
    world = World(make_spec(P95), 4, candidate_rates=lambda _: Rates(slow=0.4), load=few)
    p95 = last(world, 60)["p95"]
    assert (p95.verdict, p95.who) == (Verdict.BREACH, Who.CANDIDATE)
    assert p95.message.startswith("p95 ")
    said, least = p95.message.split(", surely at least ")
    assert said.endswith(" requests (max 300ms)")
    assert 5 <= float(least.removesuffix("% above it")) < 40
    assert 300 < float((p95.candidate or "").removesuffix(" ms")) <= 1000


def test_the_first_seconds_latencies_are_ignored_but_their_errors_are_not() -> None:
    spec = make_spec(P95, ERRORS)
    rates = [Rates(slow=1.0), Rates(slow=0.0)]
    world = World(spec, 5, candidate_rates=lambda at: rates[at > 10], load=few)
    assert not [at for at, seen in world.run(120) if blamed(seen)]
    rates = [Rates(errors=0.5), Rates(errors=0.0)]
    world = World(spec, 5, candidate_rates=lambda at: rates[at > 10], load=few)
    assert [at for at, seen in world.run(15) if blamed(seen, "errors")]


def test_a_good_candidate_passes_everything() -> None:
    world = World(make_spec(*SEVEN), 6)
    assert {name: seen.verdict for name, seen in last(world, 600).items()} == dict.fromkeys(
        (str(metric["name"]) for metric in SEVEN), Verdict.PASS
    )


def test_too_little_to_tell_is_no_pass_and_says_how_much_is_needed() -> None:
    world = World(
        make_spec({**ERRORS, "compare": None}),
        7,
        candidate_rates=lambda _: Rates(errors=0.0),
        load=few,
        history=20,
    )
    errors = last(world, 20)["errors"]
    assert errors.verdict is Verdict.INCONCLUSIVE
    assert errors.holds
    assert errors.message.endswith(f"; {errors.samples} of 183 requests needed")


def test_a_comparison_says_how_many_requests_it_needs() -> None:
    compared = {**ERRORS, "max": None, "compare": {"maxRatio": "1.2"}}
    spec = make_spec({**compared, "evidence": "NonInferior"}, {**compared, "name": "usual"})
    world = World(
        spec,
        31,
        stable_rates=lambda _: Rates(errors=0.03),
        candidate_rates=lambda _: Rates(errors=0.03),
        load=few,
    )
    seen = last(world, 30)
    wanted = {}
    for name in ("errors", "usual"):
        assert seen[name].verdict is Verdict.INCONCLUSIVE
        counted, _, needed, noun, _ = seen[name].message.rsplit("; ", 1)[1].split()
        assert (counted, noun) == (f"{seen[name].samples}", "requests")
        wanted[name] = int(needed)
    assert wanted["errors"] > 3 * wanted["usual"]


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ({}, True),
        ({"detect": "1.1"}, False),
        ({"detect": 4}, True),
        ({"evidence": "NonInferior"}, False),
    ],
)
def test_what_a_pass_excludes_is_the_metrics_choice(fields: dict[str, object], passes: bool) -> None:  # noqa: FBT001
    """4.5% nulls with a bound of 5%: not twice of it, surely, but 5.5% may be."""
    world = World(make_spec({**NULLS, **fields}), 32, candidate_rates=lambda _: Rates(nulls=0.045))
    nulls = last(world, 60)["nulls"]
    assert (nulls.verdict is Verdict.PASS) == passes
    if not passes:
        assert nulls.verdict is Verdict.INCONCLUSIVE
        assert nulls.message.endswith(" answers needed")


def test_a_candidate_far_from_its_bound_is_shown_to_keep_it() -> None:
    world = World(make_spec({**NULLS, "evidence": "NonInferior"}), 33)
    assert last(world, 120)["nulls"].verdict is Verdict.PASS


def test_when_stable_is_as_bad_the_candidate_is_not_blamed() -> None:
    bad = Rates(nulls=0.25)
    world = World(
        make_spec(NULLS), 8, stable_rates=lambda at: bad if at > 0 else Rates(), candidate_rates=lambda _: bad
    )
    nulls = last(world, 60)["nulls"]
    assert (nulls.verdict, nulls.who) == (Verdict.BREACH, Who.BOTH)
    assert nulls.message.endswith("; so is stable")


@pytest.mark.parametrize("compare", [None, {"maxRatio": "1.2"}])
def test_a_candidate_that_is_worse_is_blamed_even_in_a_bad_world(compare: dict[str, str] | None) -> None:
    world = World(
        make_spec({**NULLS, "compare": compare}),
        9,
        stable_rates=lambda at: Rates(nulls=0.08) if at > 0 else Rates(),
        candidate_rates=lambda _: Rates(nulls=0.4),
    )
    nulls = last(world, 60)["nulls"]
    assert (nulls.verdict, nulls.who) == (Verdict.BREACH, Who.WORSE)
    if compare:
        assert f", stable {nulls.stable} (max 5%, at most 1.2 times stable)" in nulls.message


def test_what_slows_stable_while_pods_start_excuses_no_candidate() -> None:
    world = World(
        make_spec(P95),
        30,
        stable_rates=lambda at: Rates(slow=0.6 if -30 < at <= 20 else 0.01),
        candidate_rates=lambda _: Rates(slow=0.9),
        load=lambda at: (30.0, 0.0) if at <= 20 else (27.0, 3.0),
    )
    seen = [(at, found[0].who) for at, found in world.run(90) if found[0].verdict is Verdict.BREACH]
    assert seen[0][0] <= 55
    assert {blame for _, blame in seen} == {Who.CANDIDATE}


def test_a_comparison_without_knowledge_of_clumps_blames_nobody() -> None:
    metric = {"name": "errors", "category": "Software", "preset": "errorRatio", "compare": {"maxRatio": 1}}
    world = World(
        make_spec(metric),
        10,
        stable_rates=lambda _: Rates(errors=0.0),
        candidate_rates=lambda _: Rates(errors=0.2),
        load=lambda _: (27.0, 1.0),
        history=20,
    )
    broken = [(at, seen[0]) for at, seen in world.run(120) if seen[0].verdict is Verdict.BREACH]
    blames, first = [(at, seen.who) for at, seen in broken], broken[0][1]
    assert first.who is Who.UNSURE
    assert "; DispersionUnknown: too little was seen of how events clump" in first.message
    assert min(at for at, blame in blames if blame is Who.CANDIDATE) > 40  # eight looks tell how errors clump


def test_inputs_are_never_blamed_on_the_candidate() -> None:
    world = World(make_spec(MISSING), 11, candidate_rates=lambda _: Rates(missing=0.2))
    missing = last(world, 60)["missing"]
    assert (missing.verdict, missing.who) == (Verdict.BREACH, Who.CANDIDATE)
    assert "never blame" in missing.message


def test_one_burst_is_an_accident() -> None:
    world = World(
        make_spec(NULLS), 12, candidate_rates=lambda at: Rates(nulls=0.9 if at <= 5 else 0.0), load=few
    )
    assert not [at for at, seen in world.run(60) if blamed(seen)]


def test_a_first_deployment_is_judged_without_stable() -> None:
    spec = make_spec(NULLS, ERRORS, {**ERRORS, "name": "relative", "max": None})
    roles = Roles(None, CANDIDATE, START, START)
    world = World(spec, 13)
    world.candidate.serve(0, Rates())
    for at in range(0, 305, 5):
        world.candidate.serve(100, Rates())
        world.look(float(at), roles)
    verdicts = {seen.name: seen for seen in judgement.assess(world.evidence, spec, roles, when(305))}
    assert verdicts["nulls"].verdict is Verdict.PASS
    assert verdicts["errors"].verdict is Verdict.PASS
    assert verdicts["relative"].verdict is Verdict.NOT_APPLICABLE
    assert not verdicts["relative"].holds


def test_after_a_rollout_stable_is_watched_and_recovers() -> None:
    spec, world = make_spec(NULLS), World(make_spec(NULLS), 14)
    verdicts = []
    world.stable.serve(0, Rates())
    for at in range(0, 3000, 5):
        world.stable.serve(200, Rates(nulls=0.2 if 1000 <= at < 1200 else 0.02))
        world.look(float(at), WATCH)
        verdicts.append(judgement.assess(world.evidence, spec, WATCH, when(at))[0])
    kinds = [seen.verdict for seen in verdicts]
    assert set(kinds[1:200]) == {Verdict.PASS}
    assert Verdict.BREACH in kinds[200:206]
    assert verdicts[230].who is Who.STABLE
    assert kinds[-1] is Verdict.PASS


NOTHING: dict[Query, Answer] = {}


def _look(evidence: Evidence, answer: Answer, at: float, roles: Roles = TRIAL) -> Evidence:
    spec = make_spec(NULLS)
    answers = dict.fromkeys(judgement.queries(spec, "ns", "digits", roles), answer)
    return judgement.advance(
        evidence, spec, namespace="ns", name="digits", roles=roles, answers=answers, at=when(at)
    )


@pytest.mark.parametrize(
    ("answer", "verdict", "message"),
    [
        (NoData(), Verdict.NO_DATA, "nulls: no data, the query yields nothing"),
        (QueryFailed("Prometheus at http://p: connection refused"), Verdict.ERROR, "connection refused"),
        (
            Counters((Row(STABLE, "pod", "model_output_values_total", 9.0),)),
            Verdict.NO_DATA,
            "nulls: no data, no series of this revision",
        ),
    ],
)
@pytest.mark.parametrize("policy", ["Hold", "Ignore"])
def test_without_an_answer_nothing_passes_and_nothing_is_blamed(
    answer: Answer, verdict: Verdict, message: str, policy: str
) -> None:
    spec = make_spec({**NULLS, "onNoData": policy, "onError": policy})
    evidence = _look(Evidence(), answer, 0.0)
    [seen] = judgement.assess(evidence, spec, TRIAL, when(1))
    assert seen.verdict is verdict
    assert message in seen.message
    assert seen.holds is (policy == "Hold")


def test_before_the_first_look_nothing_is_said() -> None:
    assert judgement.assess(Evidence(), make_spec(NULLS), TRIAL, when(0)) == ()


def test_an_outage_takes_nothing_back_and_data_goes_on_afterwards() -> None:
    world = World(make_spec(NULLS), 15)
    assert last(world, 240)["nulls"].verdict is Verdict.PASS
    spec, evidence = world.spec, world.evidence
    for at in (245.0, 250.0, 255.0):
        evidence = _look(evidence, QueryFailed("Prometheus is away"), at)
    assert judgement.assess(evidence, spec, TRIAL, when(255))[0].verdict is Verdict.ERROR
    world.evidence = evidence
    world.look(260.0, TRIAL)
    assert judgement.assess(world.evidence, spec, TRIAL, when(260))[0].verdict is Verdict.PASS


def test_a_target_that_vanished_is_no_data_after_three_intervals() -> None:
    world = World(make_spec(NULLS), 16)
    assert last(world, 240)["nulls"].verdict is Verdict.PASS
    evidence = world.evidence
    for at in (245.0, 250.0, 255.0):
        evidence = _look(evidence, NoData(), at)
    assert judgement.assess(evidence, world.spec, TRIAL, when(255))[0].verdict is Verdict.PASS
    evidence = _look(evidence, NoData(), 260.0)
    [seen] = judgement.assess(evidence, world.spec, TRIAL, when(260))
    assert (seen.verdict, seen.message) == (
        Verdict.NO_DATA,
        "nulls: no data for 20s, the query yields nothing",
    )


def test_a_breach_outlives_an_outage() -> None:
    world = World(make_spec(NULLS), 17, candidate_rates=lambda _: Rates(nulls=0.3))
    assert last(world, 60)["nulls"].verdict is Verdict.BREACH
    evidence = _look(world.evidence, QueryFailed("Prometheus is away"), 65.0)
    assert judgement.assess(evidence, world.spec, TRIAL, when(65))[0].verdict is Verdict.BREACH


def test_a_bound_inside_a_bucket_is_told_when_it_matters() -> None:
    spec = make_spec({**P95, "max": "400ms"})
    world = World(
        spec, 18, candidate_rates=lambda _: Rates(slow=0.3), load=few
    )  # 6% beyond 500 ms, 30% beyond 300 ms
    world.candidate_rates = lambda _: Rates(slow=0.2)  # 4% beyond 500 ms, 20% beyond 300 ms
    p95 = last(world, 120)["p95"]
    assert p95.verdict is Verdict.INCONCLUSIVE
    assert "BucketsTooCoarse" in p95.message


def test_means_are_heuristic() -> None:
    spec = make_spec({"name": "size", "category": "Output", "preset": "inputSize", "max": 32})
    size = last(World(spec, 19), 60)["size"]
    assert (size.verdict, size.who) == (Verdict.BREACH, Who.UNSURE)
    assert last(World(make_spec(SIZE), 19), 60)["size"].message.startswith("size 64 over ")


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.05, Verdict.PASS), (0.2, Verdict.BREACH), (None, Verdict.NO_DATA)]
)
def test_a_users_number_pauses_at_most(value: float | None, verdict: Verdict) -> None:
    spec = make_spec({"name": "wer", "category": "Output", "query": "wer", "max": "12%"})
    answers: dict[Query, Answer] = {
        query: NoData() if value is None or query.family else Number(value)
        for query in judgement.queries(spec, "ns", "digits", TRIAL)
    }
    evidence = judgement.advance(
        Evidence(), spec, namespace="ns", name="digits", roles=TRIAL, answers=answers, at=when(0)
    )
    [seen] = judgement.assess(evidence, spec, TRIAL, when(0))
    assert seen.verdict is verdict
    assert verdict is not Verdict.BREACH or seen.who is Who.UNSURE


def test_a_lower_bound_counts_what_is_missing() -> None:
    spec = make_spec({"name": "nulls", "category": "Output", "preset": "nullRatio", "min": "10%"})
    few_nulls = World(
        spec, 20, stable_rates=lambda _: Rates(nulls=0.3), candidate_rates=lambda _: Rates(nulls=0.01)
    )
    assert blamed(tuple(last(few_nulls, 240).values())) == ["nulls"]
    many = World(
        spec, 20, stable_rates=lambda _: Rates(nulls=0.3), candidate_rates=lambda _: Rates(nulls=0.3)
    )
    assert last(many, 240)["nulls"].verdict is Verdict.PASS


def test_at_full_weight_there_is_nothing_to_compare_with() -> None:
    compared = {**NULLS, "max": None, "compare": {"maxRatio": 1}}
    spec = make_spec(compared, {**NULLS, "name": "both", "compare": {"maxRatio": 1}})
    world = World(spec, 28, load=lambda _: (0.0, 200.0))
    assert last(world, 60)["nulls"].verdict is Verdict.INCONCLUSIVE
    seen = last(World(spec, 28, load=lambda _: (0.0, 200.0)), 240)
    assert (seen["nulls"].verdict, seen["nulls"].holds) == (Verdict.NOT_APPLICABLE, False)
    assert seen["both"].verdict is Verdict.PASS


def test_a_revision_that_nobody_asks_passes_nothing() -> None:
    spec = make_spec(NULLS, SIZE)
    world = World(spec, 29)
    world.stable.serve(0, Rates())
    verdicts = []
    for at in range(0, 600, 5):
        world.stable.serve(20 if at < 300 else 0, Rates())
        world.look(float(at), WATCH)
        verdicts.append([seen.verdict for seen in judgement.assess(world.evidence, spec, WATCH, when(at))])
    assert verdicts[59] == [Verdict.PASS, Verdict.PASS]
    assert verdicts[-1] == [Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE]
    assert judgement.assess(world.evidence, spec, WATCH, when(600))[0].message == "nulls: no answers for 2m"


def test_a_new_candidate_inherits_no_verdict() -> None:
    world = World(make_spec(NULLS), 21, candidate_rates=lambda _: Rates(nulls=0.3))
    assert last(world, 60)["nulls"].verdict is Verdict.BREACH
    later = START + 65
    for roles in (Roles(STABLE, "cccc3333", later, later), Roles(STABLE, CANDIDATE, later, later)):
        [seen] = judgement.assess(world.evidence, world.spec, roles, when(66))
        assert seen.verdict is Verdict.INCONCLUSIVE
        assert judgement.requests(world.evidence, roles) == 0


def test_a_changed_bound_starts_its_evidence_anew() -> None:
    world = World(make_spec(NULLS), 22, candidate_rates=lambda _: Rates(nulls=0.3))
    assert last(world, 60)["nulls"].verdict is Verdict.BREACH
    eased = make_spec({**NULLS, "max": "50%"})
    assert judgement.assess(world.evidence, eased, TRIAL, when(61))[0].verdict is Verdict.INCONCLUSIVE


def test_requests_of_the_step_under_way_are_counted_from_its_start() -> None:
    world = World(make_spec(), 23, load=lambda _: (180.0, 20.0))
    for _ in world.run(60):
        pass
    before = judgement.requests(world.evidence, TRIAL)
    assert before == world.candidate.counts["all"]
    second = dataclasses.replace(TRIAL, step_started_at=START + 60)
    assert judgement.requests(world.evidence, second) == 0
    world.candidate.serve(40, Rates())
    world.look(65.0, second)
    assert judgement.requests(world.evidence, second) == 40


def test_the_same_look_twice_changes_nothing() -> None:
    world = World(make_spec(*SEVEN), 24)
    last(world, 60)
    before = world.evidence
    world.look(60.0, TRIAL)
    assert world.evidence is before


def test_evidence_is_small_and_plain() -> None:
    world = World(make_spec(*SEVEN), 25)
    last(world, 600)
    assert len(json.dumps(dataclasses.asdict(world.evidence))) < 28_000


def test_looks_at_other_times_than_the_last_are_judged_as_they_are() -> None:
    """A late reconcile reads the same verdict off the evidence."""
    world = World(make_spec(NULLS), 26)
    assert last(world, 240)["nulls"].verdict is Verdict.PASS
    [seen] = judgement.assess(world.evidence, world.spec, TRIAL, when(240) + timedelta(hours=1))
    assert seen.verdict is Verdict.PASS


def test_all_families_have_rows_in_the_simulation() -> None:
    world = World(make_spec(*SEVEN), 27)
    world.stable.serve(10, Rates())
    known = [PRESETS[Preset(str(metric["preset"]))].family for metric in SEVEN]
    assert all(list(world.stable.rows(STABLE, family)) for family in known)
