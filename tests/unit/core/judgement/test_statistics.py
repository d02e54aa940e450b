"""Each statistic against an independent implementation or a simulation."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from modeldeploy.core.judgement.confidence import Stretch
from modeldeploy.core.judgement.dispersion import Dispersion
from modeldeploy.core.judgement.eprocess import (
    BETTER,
    EARLY,
    FROM_START,
    LATER,
    LIKELY,
    WORSE,
    Detector,
    Mixture,
    Product,
    waiting,
)
from modeldeploy.core.judgement.likelihood import (
    gains_of_rate,
    gains_of_ratio,
    least_rate,
    of_rate,
    of_ratio,
    samples_needed,
)

pytestmark = pytest.mark.unit


def odds(rate: float, effect: float) -> float:
    return effect * rate / (1 - rate + effect * rate)


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05, 0.5, 0.95])
@pytest.mark.parametrize(("events", "requests"), [(0, 10), (3, 10), (10, 10), (0, 0)])
def test_likelihood_of_a_rate_is_the_binomials(rate: float, events: int, requests: int) -> None:
    expected = [
        stats.binom.logpmf(events, requests, odds(rate, effect)) - stats.binom.logpmf(events, requests, rate)
        for effect in WORSE
    ]
    assert of_rate(events, requests, rate, WORSE) == pytest.approx(expected)


@pytest.mark.parametrize(("mine", "theirs"), [((3, 20), (5, 180)), ((0, 20), (7, 180)), ((2, 90), (0, 10))])
@pytest.mark.parametrize("ratio", [1.0, 1.2, 2.0])
def test_likelihood_of_a_ratio_is_the_binomial_given_both(
    mine: tuple[int, int], theirs: tuple[int, int], ratio: float
) -> None:
    events = mine[0] + theirs[0]

    def share(theta: float) -> float:
        return theta * ratio * mine[1] / (theirs[1] + theta * ratio * mine[1])

    expected = [
        stats.binom.logpmf(mine[0], events, share(effect)) - stats.binom.logpmf(mine[0], events, share(1.0))
        for effect in WORSE
    ]
    assert of_ratio(mine, theirs, ratio, WORSE) == pytest.approx(expected)


@pytest.mark.parametrize("rate", [0.002, 0.01, 0.05, 0.4])
@pytest.mark.parametrize("share_of_bound", [0.3, 1.0])
def test_each_step_is_a_supermartingale_up_to_the_bound(rate: float, share_of_bound: float) -> None:
    requests = 40
    events = np.arange(requests + 1)
    chance = stats.binom.pmf(events, requests, rate * share_of_bound)
    steps = np.exp([of_rate(float(k), requests, rate, WORSE) for k in events])
    assert (chance @ steps <= 1 + 1e-9).all()
    better = np.exp([of_rate(float(k), requests, rate * share_of_bound, BETTER) for k in events])
    assert (stats.binom.pmf(events, requests, rate) @ better <= 1 + 1e-9).all()


def test_an_event_settles_a_bound_of_nothing() -> None:
    assert math.exp(min(of_rate(1, 100, 0.0, WORSE))) > 1e9
    assert of_rate(0, 100, 0.0, WORSE) == [0.0] * len(WORSE)
    assert of_rate(100, 100, 1.0, WORSE) == [0.0] * len(WORSE)


@pytest.mark.parametrize("seconds", [5.0, 300.0])
def test_mixture_is_the_sum_over_starts_and_effects(seconds: float) -> None:
    source = np.random.default_rng(5)
    looks = [(int(source.binomial(100, 0.015)), 100) for _ in range(40)]
    mixture = Mixture()
    for events, requests in looks:
        mixture = mixture.after(of_rate(events, requests, 0.01, WORSE), 1.0, seconds)
    steps = np.exp([of_rate(events, requests, 0.01, WORSE) for events, requests in looks])
    weights = [waiting(s * seconds) - waiting((s + 1) * seconds) for s in range(40)]
    late = sum(weight * float(steps[s:].prod(axis=0) @ LATER) for s, weight in enumerate(weights))
    left = waiting(40 * seconds)
    assert sum(weights) + left == pytest.approx(1.0)
    expected = EARLY * float(steps.prod(axis=0) @ FROM_START) + (1 - EARLY) * (late + left)
    assert mixture.value == pytest.approx(expected)


def test_the_weights_of_a_mixture_are_shares() -> None:
    for shares in (FROM_START, LATER, LIKELY):
        assert sum(shares) == pytest.approx(1.0)
    times = np.linspace(0, 50_000, 1000)
    left = np.array([waiting(float(at)) for at in times])
    assert left[0] == 1.0
    assert (np.diff(left) < 0).all()
    assert (left > 0).all()


def test_a_mixtures_expectation_stays_one_at_the_bound() -> None:
    """Exactly, over all outcomes of three looks of three requests."""
    rate, requests = 0.2, 3
    outcomes = [of_rate(events, requests, rate, WORSE) for events in range(requests + 1)]
    chances = stats.binom.pmf(np.arange(requests + 1), requests, rate)

    def expected(mixture: Mixture, depth: int) -> float:
        if depth == 0:
            return mixture.value
        return sum(
            float(chance) * expected(mixture.after(steps, 1.0, 600.0), depth - 1)
            for chance, steps in zip(chances, outcomes, strict=True)
        )

    assert expected(Mixture(), 3) == pytest.approx(1.0)


def test_huge_evidence_stays_finite_and_can_fall() -> None:
    mixture, product = Mixture(), Product()
    for _ in range(500):
        mixture = mixture.after(of_rate(100, 100, 0.01, WORSE), 1.0, 5.0)
        product = product.after(of_rate(0, 1000, 0.5, BETTER), 1.0)
    assert math.isfinite(mixture.value)
    assert math.isfinite(product.value)
    for _ in range(200):
        mixture = mixture.after(of_rate(0, 1000, 0.01, WORSE), 1.0, 5.0)
    assert mixture.value < 1.0


def test_the_detector_alarms_no_oftener_than_promised() -> None:
    """Average run length at the bound, against a threshold of 200 looks."""
    source, lengths = np.random.default_rng(11), []
    for _ in range(60):
        detector, looks = Detector(), 0
        while not detector.standing and looks < 3000:
            events = int(source.binomial(100, 0.02))
            detector = detector.after(of_rate(events, 100, 0.02, WORSE), 1.0, 200.0)
            looks += 1
        lengths.append(looks)
    assert np.mean(lengths) >= 200


def test_the_detector_finds_a_change_and_recovers() -> None:
    source, detector = np.random.default_rng(12), Detector()
    threshold = 90 * 86400 / 5
    alarms = []
    for look in range(900):
        rate = 0.06 if 300 <= look < 400 else 0.005
        detector = detector.after(of_rate(int(source.binomial(100, rate)), 100, 0.02, WORSE), 1.0, threshold)
        alarms.append(detector.standing)
    assert not any(alarms[:300])
    assert 300 <= alarms.index(True) < 312
    assert all(alarms[320:400])
    assert not any(alarms[480:])


@pytest.mark.parametrize("clump", [1, 2, 3, 5])
def test_dispersion_is_the_size_of_clumps(clump: int) -> None:
    source, spread = np.random.default_rng(13), Dispersion()
    for look in range(700):
        requests = int(
            source.poisson(900 if look % 2 else 100)
        )  # requests per look differ, which is no dispersion
        spread = spread.after(float(source.binomial(requests, 0.01 / clump)) * clump, requests, 5.0 * look)
    assert spread.known == pytest.approx(clump, rel=0.2)


def test_dispersion_is_scipys_index_of_dispersion_for_equal_looks() -> None:
    source, spread = np.random.default_rng(14), Dispersion()
    events = source.negative_binomial(3, 0.3, 60)
    for look, count in enumerate(events):
        spread = spread.after(float(count), 1000.0, 0.001 * look)  # too short for anything to fade
    expected = stats.chisquare(events).statistic / (len(events) - 1)
    assert spread.known == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("looks", "events"), [(7, 100.0), (100, 0.05)])
def test_dispersion_is_unknown_before_enough_was_seen(looks: int, events: float) -> None:
    spread = Dispersion()
    for look in range(looks):
        spread = spread.after(events, 1000.0, float(look))
    assert spread.known is None


@pytest.mark.parametrize("rate", [0.0, 0.002, 0.005, 0.01])
def test_a_pass_comes_about_when_it_was_said_to(rate: float) -> None:
    bound = 0.0198
    needed = samples_needed(gains_of_rate(rate, bound, BETTER), LIKELY, 0.05)
    assert needed is not None
    source, counts = np.random.default_rng(15), []
    for _ in range(60):
        product, count = Product(), 0
        while product.value < 20.0:
            product = product.after(of_rate(float(source.binomial(20, rate)), 20, bound, BETTER), 1.0)
            count += 20
        counts.append(count)
    assert 0.6 * needed <= np.mean(counts) <= 1.15 * needed + 20


def test_a_comparison_passes_when_it_was_said_to() -> None:
    """Against twice stable's rate, 9 of 10 requests on stable, both at 3%."""
    needed = samples_needed(gains_of_ratio((3, 100), (27, 900), 2.0, BETTER), LIKELY, 0.05)
    assert needed is not None
    source, counts = np.random.default_rng(19), []
    for _ in range(60):
        product, count = Product(), 0
        while product.value < 20.0:
            mine, theirs = float(source.binomial(50, 0.03)), float(source.binomial(450, 0.03))
            product = product.after(of_ratio((mine, 50.0), (theirs, 450.0), 2.0, BETTER), 1.0)
            count += 50
        counts.append(count)
    assert 0.6 * needed <= np.mean(counts) <= 1.3 * needed + 50


def test_beyond_the_detectable_rate_no_count_is_enough() -> None:
    assert samples_needed(gains_of_rate(0.02, 0.0198, BETTER), LIKELY, 0.05) is None


@pytest.mark.parametrize(("events", "requests"), [(12, 200), (3, 1000), (40, 40)])
def test_the_least_rate_is_where_scipys_likelihoods_cross_the_threshold(events: int, requests: int) -> None:
    def evidence(rate: float) -> float:
        against = [stats.binom.logpmf(events, requests, odds(rate, effect)) for effect in WORSE]
        ratios = np.exp(np.array(against) - stats.binom.logpmf(events, requests, rate))
        return float(np.log(EARLY * (ratios @ np.array(FROM_START))) - np.log(700))

    found = least_rate(events, requests, [EARLY * share for share in FROM_START], WORSE, 700.0)
    highest = min(events / requests, 1 - 1e-9)
    if evidence(1e-6) < 0:
        assert found == pytest.approx(0.0, abs=1e-6)
    else:
        assert found == pytest.approx(optimize.brentq(evidence, 1e-6, highest), rel=1e-4)
    # An interval that holds at all times is wider than Clopper's and Pearson's, which holds at one.
    exact = stats.binomtest(events, requests).proportion_ci(1 - 2 / 700).low
    assert found <= exact


def test_the_lower_bound_is_above_the_rate_no_oftener_than_promised() -> None:
    """At an error of 10%; against a bound of half the rate, as at a breach."""
    source, wrong = np.random.default_rng(16), 0
    for _ in range(60):
        stretch, above = Stretch(), False
        for _ in range(40):
            events = float(source.binomial(200, 0.04))
            stretch = stretch.after((events, 200.0), of_rate(events, 200.0, 0.02, WORSE), 1.0, 40.0)
            above = above or stretch.least(10.0) > 0.04
        wrong += above
    assert wrong <= 6


def test_the_lower_bound_follows_a_fault_that_begins_late() -> None:
    source, stretch, mixture = np.random.default_rng(17), Stretch(), Mixture()
    for look in range(400):
        events = float(source.binomial(100, 0.01 if look < 360 else 0.2))
        ratios = of_rate(events, 100.0, 0.02, WORSE)
        stretch, mixture = stretch.after((events, 100.0), ratios, 1.0, 10.0), mixture.after(ratios, 1.0, 10.0)
    assert 0.1 < stretch.least(700.0) < 0.2
    assert mixture.value >= 700.0  # duality: what disproves a higher rate disproves the bound


def test_few_looks_show_less_dispersion_than_they_have() -> None:
    source, spread = np.random.default_rng(18), Dispersion()
    for look in range(400):
        spread = spread.after(float(source.binomial(300, 0.02) * 3), 900.0, 10.0 * look)
        if spread.known is not None:
            assert 1.0 <= (spread.shown or 0.0) <= spread.known
        if look == 20:
            assert (spread.shown or 0.0) < 0.75 * (spread.known or 0.0)
    assert spread.shown == pytest.approx(3.0, rel=0.25)
