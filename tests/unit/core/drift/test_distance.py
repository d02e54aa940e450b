"""Distances of histograms against scipy and the published formulas, and what chance gives."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import distance as scipy_distance
from scipy.special import rel_entr

from modeldeploy.api.v1alpha1.drift import Statistic
from modeldeploy.core.drift.buckets import Histogram, spell
from modeldeploy.core.drift.distance import CONTINUITY, as_psi, effect, raw

pytestmark = pytest.mark.unit

EDGES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, math.inf)


def histogram(counts: object, total: float | None = None) -> Histogram:
    return Histogram(EDGES, tuple(map(float, np.asarray(counts))), total)


def pairs(count: int = 40) -> list[tuple[Histogram, Histogram]]:
    source = np.random.default_rng(21)
    found = []
    for _ in range(count):
        p, q = source.dirichlet(np.ones(len(EDGES)), 2)
        n, m = source.integers(20, 3000, 2)
        found.append((histogram(source.multinomial(n, p)), histogram(source.multinomial(m, q))))
    return found


def test_buckets_are_differences_of_cumulated_counts() -> None:
    found = Histogram.of_cumulative({math.inf: 12.0, 1.0: 3.0, 5.0: 9.0, 2.0: 10.0}, 31.0)
    assert found == Histogram((1.0, 2.0, 5.0, math.inf), (3.0, 7.0, 0.0, 3.0), 31.0)  # 9 - 10 is clipped
    assert found.n == 13.0
    assert Histogram().plus(found) == found.plus(Histogram()) == found
    assert found.plus(found).counts == (6.0, 14.0, 0.0, 6.0)
    assert found.plus(histogram([1] * 8)).edges == EDGES


def test_many_edges_are_shown_by_the_first_ones() -> None:
    assert spell(EDGES) == "1, 2, 5, 10, … (8 with +Inf)"


@pytest.mark.parametrize(("mine", "theirs"), pairs())
def test_psi_is_both_relative_entropies(mine: Histogram, theirs: Histogram) -> None:
    kept = [(p, q) for p, q in zip(mine.counts, theirs.counts, strict=True) if p + q]
    p, q = np.array(kept).T + CONTINUITY
    p, q = p / p.sum(), q / q.sum()
    expected = rel_entr(p, q).sum() + rel_entr(q, p).sum()
    assert raw(Statistic.PSI, mine, theirs) == pytest.approx(expected)


@pytest.mark.parametrize(("mine", "theirs"), pairs())
def test_jensen_shannon_is_scipys_distance_to_base_2(mine: Histogram, theirs: Histogram) -> None:
    expected = scipy_distance.jensenshannon(mine.counts, theirs.counts, base=2)
    assert raw(Statistic.JENSEN_SHANNON, mine, theirs) == pytest.approx(expected)


@pytest.mark.parametrize(("mine", "theirs"), pairs(15))
def test_kolmogorov_smirnov_is_scipys_on_values_at_the_edges(mine: Histogram, theirs: Histogram) -> None:
    values = np.arange(len(EDGES))
    expected = stats.ks_2samp(
        np.repeat(values, np.array(mine.counts, int)),
        np.repeat(values, np.array(theirs.counts, int)),
        method="asymp",
    ).statistic
    assert raw(Statistic.KOLMOGOROV_SMIRNOV, mine, theirs) == pytest.approx(expected)


def test_a_shift_of_the_mean_is_counted_in_deviations_of_the_reference() -> None:
    source = np.random.default_rng(22)
    edges = np.arange(0.0, 20.5, 0.5)
    before, after = source.normal(10.0, 2.0, 20_000), source.normal(10.8, 2.0, 20_000)

    def seen(values: np.ndarray, *, with_sum: bool) -> Histogram:
        counts = np.histogram(values, np.append(np.append(-np.inf, edges), np.inf))[0]
        total = float(values.sum()) if with_sum else None
        return Histogram((*edges, math.inf), tuple(map(float, counts)), total)

    expected = (after.mean() - before.mean()) / before.std()
    for with_sum in (True, False):
        found = raw(Statistic.MEAN_SHIFT, seen(after, with_sum=with_sum), seen(before, with_sum=with_sum))
        assert found == pytest.approx(expected, rel=0.01)


def test_a_sum_that_only_one_of_both_has_is_not_used() -> None:
    one, other = histogram([10, 20, 30, 40, 30, 20, 10, 5], 1e6), histogram([10, 20, 30, 40, 30, 20, 10, 5])
    assert raw(Statistic.MEAN_SHIFT, one, other) == raw(Statistic.MEAN_SHIFT, other, one) == 0.0


@pytest.mark.parametrize("statistic", list(Statistic))
def test_the_same_is_at_no_distance(statistic: Statistic) -> None:
    one = histogram([10, 20, 30, 40, 30, 20, 10, 5])
    assert raw(statistic, one, one) == 0.0
    assert effect(statistic, one, one) == 0.0


@pytest.mark.parametrize(("n", "m"), [(100, 100), (200, 5000), (500, 500), (2000, 10**6)])
def test_the_published_mean_of_chance_is_taken_off(n: int, m: int) -> None:
    """Mean PSI of two samples of one distribution: (B - 1)(1/n + 1/m) (Yurdakul, Naranjo 2020)."""
    source, size = np.random.default_rng(23), len(EDGES)
    equal = np.ones(size) / size
    samples = [
        (histogram(source.multinomial(n, equal)), histogram(source.multinomial(m, equal))) for _ in range(600)
    ]
    mean = np.mean([raw(Statistic.PSI, *pair) for pair in samples])
    chance = (size - 1) * (1 / n + 1 / m)
    assert mean == pytest.approx(chance, rel=0.08)
    assert np.mean([raw(Statistic.JENSEN_SHANNON, *pair) ** 2 for pair in samples]) == pytest.approx(
        chance / (8 * math.log(2)), rel=0.08
    )
    largest = np.mean([raw(Statistic.KOLMOGOROV_SMIRNOV, *pair) ** 2 for pair in samples])
    assert largest <= math.pi**2 / 12 * (1 / n + 1 / m)
    assert np.mean([raw(Statistic.MEAN_SHIFT, *pair) ** 2 for pair in samples]) == pytest.approx(
        1 / n + 1 / m, rel=0.15
    )
    assert np.median([effect(Statistic.PSI, *pair) for pair in samples]) < 0.5 * chance


def test_a_change_stays_when_chance_is_taken_off() -> None:
    source = np.random.default_rng(24)
    q = source.dirichlet(np.ones(len(EDGES)) * 5)
    p = q * np.exp(source.normal(0, 0.5, len(EDGES)))
    p /= p.sum()
    true = float(rel_entr(p, q).sum() + rel_entr(q, p).sum())
    for n in (500, 2000):
        found = [
            effect(
                Statistic.PSI,
                histogram(source.multinomial(n, p)),
                histogram(source.multinomial(10_000, q)),
            )
            for _ in range(300)
        ]
        assert np.mean(found) == pytest.approx(true, rel=0.1)


@pytest.mark.parametrize("statistic", list(Statistic))
def test_a_distance_speaks_of_at_least_so_much_psi(statistic: Statistic) -> None:
    """Small shifts of normal values, on fine buckets; Kolmogorov-Smirnov sees less of it than PSI."""
    edges = np.linspace(-4, 4, 81)
    q = np.diff(stats.norm.cdf(np.append(np.append(-np.inf, edges), np.inf)))
    p = np.diff(stats.norm.cdf(np.append(np.append(-np.inf, edges), np.inf), 0.1))
    mine, theirs = (Histogram((*edges, math.inf), tuple(shares * 1e9)) for shares in (p, q))
    psi = raw(Statistic.PSI, mine, theirs)
    found = as_psi(statistic, abs(raw(statistic, mine, theirs)))
    assert 0.5 * psi <= found <= 1.02 * psi
