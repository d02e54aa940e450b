import math

import numpy as np
import pytest

from modeldeploy.api.v1alpha1.drift import ExpectedChange
from modeldeploy.core.drift.buckets import Histogram
from modeldeploy.core.drift.clumps import LARGEST, Clumps
from modeldeploy.core.drift.window import BINS, WINDOWS, Window

pytestmark = pytest.mark.unit

EDGES = (1.0, 2.0, 3.0, math.inf)
NONE = Histogram()
FAST, SLOW = WINDOWS[ExpectedChange.FAST], WINDOWS[ExpectedChange.SLOW]


def counts(*numbers: float) -> Histogram:
    return Histogram(EDGES, tuple(map(float, numbers)))


def test_windows_are_those_of_the_design() -> None:
    assert (SLOW.current, SLOW.reference) == (86400, 7 * 86400)
    assert (FAST.current, FAST.reference) == (3600, 86400)


def test_looks_of_one_bin_are_added_and_old_bins_leave() -> None:
    window = Window()
    for look in range(3 * 360):  # three hours of looks every 10 s
        window = window.after(counts(1, 0, 0, 0), counts(0, 0, 0, 3), 10.0 * look, FAST)
        assert len(window.bins) <= BINS
    mine, theirs = window.whole
    assert 3600 / 10 - 30 < mine.counts[0] <= 360
    assert theirs.counts == (0.0, 0.0, 0.0, 3 * mine.counts[0])
    assert [one.start % FAST.bin for one in window.bins] == [0.0] * len(window.bins)


def test_suffixes_are_what_was_counted_from_each_bin_on() -> None:
    window = Window()
    for number in range(4):
        window = window.after(counts(number, 1, 0, 0), NONE, number * FAST.bin, FAST)
    assert [mine.counts[:2] for mine, _ in window.suffixes()] == [(6, 4), (6, 3), (5, 2), (3, 1)]
    assert window.whole == window.suffixes()[0]


def test_new_buckets_begin_anew() -> None:
    window = Window().after(counts(5, 5, 5, 5), NONE, 0.0, FAST)
    other = Histogram((1.0, math.inf), (2.0, 3.0))
    window = window.after(other, NONE, FAST.bin, FAST)
    assert window.whole[0] == other


def test_silence_takes_no_bin() -> None:
    window = Window().after(NONE, NONE, 0.0, FAST).after(counts(0, 0, 0, 0), NONE, 10.0, FAST)
    assert window.bins == ()
    assert window.whole == (NONE, NONE)


def learned(clump: int, source: np.random.Generator, mean: float = 30.0, looks: int = 300) -> Clumps:
    clumps, shares = Clumps(), source.dirichlet(np.ones(4) * 5)
    for look in range(looks):
        drawn = source.multinomial(source.poisson(mean / clump), shares) * clump
        clumps = clumps.after(counts(*drawn), 10.0 * look, 30.0)
    return clumps


@pytest.mark.parametrize("clump", [1, 2, 5, 10])
def test_the_size_of_clumps_is_found(clump: int) -> None:
    found = [learned(clump, np.random.default_rng(seed), mean=30.0 * clump).known or 0.0 for seed in range(8)]
    assert np.mean(found) == pytest.approx(clump, rel=0.12)


def test_thin_tables_are_no_clumps() -> None:
    found = [learned(1, np.random.default_rng(seed), mean=2.0).known or 0.0 for seed in range(8)]
    assert np.mean(found) == pytest.approx(1.0, abs=0.15)


def test_one_change_is_no_clump() -> None:
    source, clumps = np.random.default_rng(7), Clumps()
    for look in range(200):
        shares = (0.4, 0.3, 0.2, 0.1) if look < 100 else (0.1, 0.2, 0.3, 0.4)
        clumps = clumps.after(counts(*source.multinomial(50, shares)), 10.0 * look, 30.0)
    assert clumps.known is not None
    assert clumps.known < 1.35


def test_too_few_looks_and_looks_far_apart_tell_nothing() -> None:
    clumps = Clumps()
    for look in range(10):
        clumps = clumps.after(counts(5, 5, 5, 5), 10.0 * look, 30.0)
    assert clumps.known is None
    for look in range(100):
        clumps = clumps.after(counts(5, 5, 5, 5), 1000.0 * look, 30.0)
    assert clumps.known is None


def test_beyond_the_largest_it_is_no_clump() -> None:
    clumps = Clumps()
    for look in range(100):
        clumps = clumps.after(counts(*((1000, 0) if look % 2 else (0, 1000)), 0, 0), 10.0 * look, 30.0)
    assert clumps.known == LARGEST
