"""The evidence of a change keeps its error, exactly on small samples and by simulation, and finds changes."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from modeldeploy.core.drift.evidence import detector, log_e, mixture, needed, process

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("hits", "misses"), [(0, 0), (3, 0), (2, 5), (40, 60)])
def test_the_mixture_is_the_integral_over_jeffreys_prior(hits: int, misses: int) -> None:
    def density(p: float) -> float:
        return float(p**hits * (1 - p) ** misses * stats.beta.pdf(p, 0.5, 0.5))

    expected = quad(density, 0.0, 0.5)[0] + quad(density, 0.5, 1.0)[0]
    assert math.exp(mixture([hits, misses])) == pytest.approx(expected, rel=1e-5)


def compositions(n: int, parts: int) -> list[tuple[int, ...]]:
    return [found for found in itertools.product(range(n + 1), repeat=parts) if sum(found) == n]


@pytest.mark.parametrize(
    "shares", [(0.2, 0.3, 0.5), (0.01, 0.01, 0.98), (1 / 3, 1 / 3, 1 / 3), (0.5, 0.5, 0.0)]
)
@pytest.mark.parametrize(("n", "m"), [(1, 1), (4, 2), (6, 6)])
def test_its_expectation_is_at_most_one_whatever_the_distribution(
    shares: tuple[float, ...], n: int, m: int
) -> None:
    """Exactly, over all outcomes of both samples."""
    expected = sum(
        stats.multinomial.pmf(x, n, shares) * stats.multinomial.pmf(c, m, shares) * math.exp(log_e(x, c))
        for x in compositions(n, 3)
        for c in compositions(m, 3)
    )
    assert expected <= 1.0 + 1e-9


def test_each_step_of_its_bound_is_a_martingale() -> None:
    """D(x)/p(x), which E is at most, stays at its value in expectation with each further observation."""
    shares = (0.2, 0.3, 0.5)
    for x in compositions(5, 3):
        after = sum(
            shares[place] * math.exp(mixture([*x[:place], x[place] + 1, *x[place + 1 :]])) / shares[place]
            for place in range(3)
        )
        assert after == pytest.approx(math.exp(mixture(x)))


def test_identical_samples_and_one_bucket_say_nothing() -> None:
    assert log_e([100.0, 200.0], [100.0, 200.0]) < 0.0
    assert log_e([100.0, 0.0], [50.0, 0.0]) == 0.0
    assert log_e([], []) == 0.0


BUCKETS = 6
WIDTH = 12
"""Bins in a window."""


def runs(change: float, *, seed: int, growing: bool, looks: int, per_look: int = 40) -> np.ndarray:
    """One run, looked at after every bin: the window's counts and the reference's from each bin on."""
    source = np.random.default_rng(seed)
    q = source.dirichlet(np.ones(BUCKETS) * 4)
    p = q * np.exp(change * np.linspace(-1, 1, BUCKETS))
    p /= p.sum()
    fixed = source.multinomial(2000, q)
    found: list[list[float]] = []
    bins: list[np.ndarray] = []
    theirs: list[np.ndarray] = []
    for _ in range(looks):
        bins = [*bins, source.multinomial(per_look, p)][-WIDTH:]
        theirs = [*theirs, source.multinomial(4 * per_look, q)][-WIDTH:]
        mine = np.cumsum(bins[::-1], axis=0)[::-1]
        other = np.cumsum(theirs[::-1], axis=0)[::-1] if growing else [fixed] * len(bins)
        found.append(
            [log_e(list(map(float, x)), list(map(float, c))) for x, c in zip(mine, other, strict=True)]
        )
    return np.array(found, dtype=object)


@pytest.mark.parametrize("growing", [False, True])
def test_without_a_change_alarms_are_no_oftener_than_promised(growing: bool) -> None:  # noqa: FBT001
    """Run length at least 100 bins on average, looked at after each; nearly all last longer than watched."""
    lengths = []
    for seed in range(12):
        values = [detector(row) for row in runs(0.0, seed=seed, growing=growing, looks=120)]
        lengths.append(next((at for at, value in enumerate(values, 1) if value >= 100.0), 120))
    assert np.mean(lengths) >= 100


@pytest.mark.parametrize("growing", [False, True])
def test_in_a_trial_without_a_change_the_error_is_kept(growing: bool) -> None:  # noqa: FBT001
    broken = 0
    for seed in range(40):
        rows = runs(0.0, seed=100 + seed, growing=growing, looks=WIDTH, per_look=15)
        broken += max(process(row, 1) for row in rows) >= 5.0
    assert broken / 40 <= 1 / 5.0


@pytest.mark.parametrize("growing", [False, True])
def test_a_change_is_found(growing: bool) -> None:  # noqa: FBT001
    rows = runs(0.6, seed=31, growing=growing, looks=60, per_look=150)
    assert 1 < next(at for at, row in enumerate(rows, 1) if detector(row) >= 1080.0) < 40
    assert (
        1 < next(at for at, row in enumerate(rows, 1) if process(row, max(1, at - WIDTH + 1)) >= 700.0) < 40
    )


def test_old_bins_of_a_trial_weigh_more() -> None:
    assert process([0.0] * 3, 1) == pytest.approx(1 / 2 + 1 / 6 + 1 / 12)
    assert process([0.0], 4) == pytest.approx(1 / 20)
    assert process([1e6], 1) < math.inf


@pytest.mark.parametrize("reference", [5_000.0, 1e6, math.inf])
def test_a_change_is_found_with_about_as_many_observations_as_was_said(reference: float) -> None:
    source = np.random.default_rng(41)
    q = source.dirichlet(np.ones(10) * 5)
    p = q * np.exp(source.normal(0, 0.5, 10))
    p /= p.sum()
    psi = float(((p - q) * np.log(p / q)).sum())
    expected = needed(psi, 10, reference, 1080.0)
    assert expected is not None
    counts = []
    for _ in range(15):
        growing = math.isinf(reference)
        x, c = np.zeros(10), np.zeros(10) if growing else source.multinomial(int(reference), q).astype(float)
        while log_e(list(x), list(c)) < math.log(1080.0):
            x += source.multinomial(25, p)
            c += source.multinomial(25, q) if growing else 0
        counts.append(x.sum())
    assert 0.6 * expected <= np.median(counts) <= 1.3 * expected


def test_too_small_a_reference_never_shows_a_small_change() -> None:
    assert needed(0.1, 10, 200.0, 1080.0) is None
    assert needed(0.1, 10, 100_000.0, 1080.0) is not None
