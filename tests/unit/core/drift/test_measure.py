"""One metric's drift over many looks."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from prometheus_client import Histogram as PrometheusHistogram

from modeldeploy.api.v1alpha1.drift import Drift, ExpectedChange
from modeldeploy.core.drift.buckets import Histogram
from modeldeploy.core.drift.measure import (
    INSENSITIVE,
    MISMATCH,
    RUN_LENGTH,
    TOO_SMALL,
    Drifting,
)
from modeldeploy.core.drift.reference import Known, Trouble
from modeldeploy.core.drift.window import WINDOWS

pytestmark = pytest.mark.unit

FAST = WINDOWS[ExpectedChange.FAST]
THRESHOLD = RUN_LENGTH / FAST.bin
EDGES = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, math.inf)
FITTING, LATENCY = EDGES, (5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, math.inf)


def drift(source: str = "Training", **changes: object) -> Drift:
    reference: dict[str, object] = {"source": source}
    if source == "Training":
        reference["configMap"] = {"name": "training"}
    return Drift.model_validate({"warn": 0.1, "fail": 0.25, "reference": reference, **changes})


def seen(values: np.ndarray, edges: tuple[float, ...] = EDGES) -> Histogram:
    counts = np.histogram(values, (-math.inf, *edges))[0]
    return Histogram(edges, tuple(map(float, counts)), float(values.sum()))


def lengths(source: np.random.Generator, count: int, factor: float = 1.0, clump: int = 1) -> np.ndarray:
    return np.repeat(factor * source.gamma(6.0, 6.0, max(1, count // clump)), clump)


def looked(
    asked: Drift,
    factor: Callable[[int], float],
    *,
    looks: int,
    reference: Known | Trouble | None = None,
    per_look: int = 20,
    clump: int = 1,
    seed: int = 1,
    beside: int = 0,
) -> list[Drifting]:
    source, state, found = np.random.default_rng(seed), Drifting(), []
    for look in range(looks):
        mine = seen(lengths(source, source.poisson(per_look), factor(look), clump))
        theirs = seen(lengths(source, source.poisson(beside))) if beside else Histogram()
        state = state.after(mine, theirs, 10.0 * look, FAST, 30.0).judged(asked, reference, THRESHOLD, 0)
        found.append(state)
    return found


def training(count: int = 20_000, edges: tuple[float, ...] = EDGES) -> Known:
    return seen(lengths(np.random.default_rng(99), count), edges), 1.0


def test_the_same_inputs_are_never_drift() -> None:
    states = looked(drift(), lambda _: 1.0, looks=1500, reference=training())
    assert not any(state.failed or state.warned for state in states)
    last = states[-1].measured
    assert last.size is not None
    assert last.size < 0.02
    assert last.trouble is None
    assert last.needed is not None
    assert last.n > last.needed


def test_longer_inputs_are_found_and_forgotten_once_they_are_gone() -> None:
    states = looked(
        drift(),
        lambda look: 1.7 if 400 <= look < 800 else 1.0,
        looks=1500,
        reference=training(),
    )
    first = next(look for look, state in enumerate(states) if state.failed)
    assert 400 < first < 800
    warned = next(look for look, state in enumerate(states) if state.warned)
    assert 400 < warned < first
    assert not states[-1].failed
    changes = sum(one.failed != other.failed for one, other in itertools.pairwise(states))
    assert changes == 2


@pytest.mark.parametrize("statistic", ["JensenShannon", "KolmogorovSmirnov", "MeanShift"])
def test_each_statistic_finds_it(statistic: str) -> None:
    asked = drift(statistic=statistic, warn=None, fail=0.2)
    states = looked(asked, lambda look: 1.6 if look >= 200 else 1.0, looks=520, reference=training())
    assert not any(state.failed for state in states[:200])
    assert states[-1].failed


@pytest.mark.parametrize("source", ["Stable", "LastWeek"])
def test_a_reference_that_is_counted_along_finds_it(source: str) -> None:
    states = looked(drift(source), lambda look: 1.6 if look >= 200 else 1.0, looks=560, beside=60)
    assert not any(state.failed for state in states[:200])
    assert states[-1].failed


def test_inputs_in_clumps_need_as_many_clumps() -> None:
    """A caller that sends everything ten times: at 10 looks, PSI by chance alone is beyond fail."""
    states = looked(drift(), lambda _: 1.0, looks=700, reference=training(), clump=10, per_look=30)
    assert states[-1].mine.known == pytest.approx(10, rel=0.25)
    assert not any(state.failed or state.warned for state in states)


def test_nothing_is_concluded_before_clumps_are_known() -> None:
    states = looked(drift(), lambda _: 3.0, looks=3, reference=training(), per_look=5000)
    assert states[0].measured.is_learning
    assert not states[0].failed
    assert states[0].measured.size is not None


def test_a_shift_shows_on_fitting_buckets_and_not_on_those_of_latencies() -> None:
    """Lengths of 100 tokens, log-normal, that grow by half: PSI 0.17 on their deciles, 0.007 on the client
    library's default buckets, which are for seconds of latency."""
    before = np.exp(np.random.default_rng(5).normal(np.log(100.0), 0.95, 200_000))
    deciles = (*np.round(np.quantile(before, np.arange(0.1, 1.0, 0.1))), math.inf)
    found = {}
    for name, edges in (("fitting", deciles), ("latency", PrometheusHistogram.DEFAULT_BUCKETS)):
        one, other = seen(1.5 * before, edges), seen(before, edges)
        state = Drifting().after(one, Histogram(), 0.0, FAST, 30.0)
        found[name] = state.judged(drift(), (other, 1.0), THRESHOLD, 0).measured
    assert found["fitting"].size == pytest.approx(0.17, abs=0.01)
    assert found["fitting"].trouble is None
    assert found["latency"].size == pytest.approx(0.007, abs=0.001)
    assert found["latency"].trouble is not None
    assert found["latency"].trouble.reason == INSENSITIVE


def test_buckets_that_differ_are_named() -> None:
    [state] = looked(drift(), lambda _: 1.0, looks=1, reference=training(edges=LATENCY))
    trouble = state.measured.trouble
    assert trouble is not None
    assert trouble.reason == MISMATCH
    assert "5, 10, 25, 50, … (9 with +Inf)" in trouble.message
    assert "10, 20, 30, 40, … (9 with +Inf)" in trouble.message


def test_too_small_a_reference_is_named() -> None:
    states = looked(drift(), lambda _: 1.0, looks=100, reference=training(60))
    trouble = states[-1].measured.trouble
    assert trouble is not None
    assert trouble.reason == TOO_SMALL
    assert "the reference has 60 observations" in trouble.message


def test_trouble_with_a_reference_is_passed_on() -> None:
    trouble = Trouble("ReferenceMissing", "there is no ConfigMap")
    [state] = looked(drift(), lambda _: 1.0, looks=1, reference=trouble)
    assert state.measured.trouble == trouble
    assert state.measured.size is None


def test_of_somebody_else_nothing_is_remembered() -> None:
    state = looked(drift(), lambda _: 1.0, looks=5, reference=training())[-1].of("", 0.0)
    assert state.window.bins
    assert state.of("bbbb", 77.0) == Drifting("bbbb", 77.0)


def test_without_a_reference_there_is_a_count_and_no_verdict() -> None:
    states = looked(drift("Previous"), lambda _: 3.0, looks=50)
    assert states[-1].measured.size is None
    assert states[-1].measured.n > 0
    assert not states[-1].failed
