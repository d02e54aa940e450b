"""Windows of drift read from a real Prometheus that holds nine days."""

import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from modeldeploy.adapters.history import Ticket
from modeldeploy.adapters.sampler import Sampler
from modeldeploy.adapters.stores import Stores
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core import judgement
from modeldeploy.core.drift.reference import Reference
from modeldeploy.core.judgement import Evidence, Roles
from unit.adapters.prometheus_server import PrometheusServer, program
from unit.core.judgement.drifts import EDGES, NAME, drift_spec, lengths, training

pytestmark = [
    pytest.mark.api,
    pytest.mark.skipif(program() is None, reason="Prometheus isn't installed (Debian package prometheus)"),
]

WHO = Ticket("ns", "digits")
STABLE = Roles("aaaa")
PER_MINUTE = 60
COARSE, FINE = 60, 10
"""Seconds between scrapes, long ago and in the last half hour."""


@pytest.fixture(scope="module")
def now() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)


def scrapes(now: datetime) -> Iterator[tuple[float, int]]:
    """Times, and what was asked since the one before."""
    at, end = (now - timedelta(days=9)).timestamp(), now.timestamp()
    while at <= end:
        step = FINE if at >= end - 1800 else COARSE
        yield at, PER_MINUTE * step // 60
        at += step


@pytest.fixture(scope="module")
def sampler(now: datetime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sampler]:
    """One revision whose inputs have become longer six hours ago."""
    folder, source = Path(tmp_path_factory.mktemp("prometheus")), np.random.default_rng(6)
    counts, total = np.zeros(len(EDGES)), 0.0
    series: list[list[str]] = [[] for _ in range(len(EDGES) + 1)]
    labels = 'namespace="ns",pod="pod-a",modeldeploy_name="digits",modeldeploy_revision="aaaa"'
    for at, asked in scrapes(now):
        longer = at >= (now - timedelta(hours=6)).timestamp()
        values = lengths(source, asked, 2.0 if longer else 1.0)
        counts += [(values <= float(edge)).sum() for edge in EDGES]
        total += float(values.sum())
        for index, edge in enumerate(EDGES):
            series[index].append(f'{NAME}_bucket{{{labels},le="{edge}"}} {counts[index]:.0f} {at:.0f}')
        series[-1].append(f"{NAME}_sum{{{labels}}} {total:.1f} {at:.0f}")
    written = folder / "past.om"
    written.write_text("\n".join([*(line for one in series for line in one), "# EOF", ""]))
    promtool = Path(program() or "").parent / "promtool"
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", written, folder / "data"],
        check=True,
        capture_output=True,
    )
    with PrometheusServer(folder, "127.0.0.1:9") as running, closing(Sampler(Stores(running.url))) as made:
        yield made


async def windows(
    sampler: Sampler, source: str, change: str, at: datetime, references: judgement.References
) -> tuple[Evidence, judgement.Evidence]:
    spec = drift_spec(source, change=change)
    read = await sampler.windows(WHO, spec, STABLE, at, references)
    assert isinstance(read, Evidence), read
    live = judgement.advance(
        Evidence(),
        spec,
        namespace="ns",
        name="digits",
        roles=STABLE,
        answers={},
        at=at,
        references=references,
    )
    merged = judgement.with_history(live, read, spec)
    assert not judgement.lacks_history(merged, spec, at.timestamp())
    return read, merged


@pytest.mark.parametrize(
    ("source", "change"), [("Training", "Slow"), ("LastWeek", "Slow"), ("Training", "Fast")]
)
async def test_a_change_of_six_hours_is_seen_at_the_first_look(
    sampler: Sampler, now: datetime, source: str, change: str
) -> None:
    references = {"length": training()} if source == "Training" else {}
    read, merged = await windows(sampler, source, change, now, references)
    drifting = read.metrics["length"].drifting
    assert drifting is not None
    expected = 24 * 60 * PER_MINUTE if change == "Slow" else 60 * PER_MINUTE
    assert drifting.measured.n == pytest.approx(expected, rel=0.12)
    assert drifting.failed
    [said] = judgement.assess(merged, drift_spec(source, change=change), STABLE, now)
    assert said.verdict is Verdict.BREACH


async def test_a_day_before_the_change_there_is_none(sampler: Sampler, now: datetime) -> None:
    before = now - timedelta(hours=7)
    for source in ("Training", "LastWeek"):
        read, _ = await windows(sampler, source, "Slow", before, {"length": training()})
        drifting = read.metrics["length"].drifting
        assert drifting is not None
        assert drifting.measured.size is not None
        assert drifting.measured.size < 0.05
        assert not drifting.failed


async def test_a_snapshot_has_the_week_before_a_version_was_replaced(sampler: Sampler, now: datetime) -> None:
    queries = judgement.snapshot_queries(drift_spec("Previous"))
    assert list(queries) == [NAME]
    before = now - timedelta(hours=7)
    found = await sampler.snapshot(WHO, queries, "aaaa", before, 7 * 86400.0)
    assert isinstance(found, Reference)
    histogram, clumps = found.histograms[NAME]
    assert histogram.n == pytest.approx(7 * 1440 * PER_MINUTE, rel=0.03)
    assert histogram.mean == pytest.approx(36.0, rel=0.02)
    assert clumps == pytest.approx(1.0, abs=0.6)
    nobody = await sampler.snapshot(WHO, queries, "bbbb", before, 7 * 86400.0)
    assert nobody == Reference({})
