"""What one tick of many objects costs: questions to a real Prometheus, and CPU of the operator's own work.

Everything that a tick takes is run as in the operator: the Judge with its timers, the sampler, the client
and its threads, over HTTP. Only the clock is the bench's own, so that ticks of stored series can be replayed;
they lie in the past, and Prometheus answers about them as it would about now.
"""

import asyncio
import contextlib
import functools
import math
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from bench.figure import Figure
from cluster.progress import say, step
from modeldeploy.adapters.prometheus import Prometheus, Read
from modeldeploy.adapters.replies import Body
from modeldeploy.adapters.sampler import Sampler
from modeldeploy.adapters.stores import Stores
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Candidate, ModelDeploymentStatus, Stable
from modeldeploy.core.judgement import QueryFailed
from modeldeploy.reconcile.judge import Assessed, Judge
from modeldeploy.render.meta import Owner
from modeldeploy.render.traffic.bootstrap import LATENCY_BUCKETS_MS
from unit.adapters.prometheus_server import PrometheusServer, program

OBJECTS = 1000
NAMESPACES = 50
ROUTERS = 2
"""Router pods of a namespace: the chart's default."""
PODS = 2
"""Of a revision."""
INTERVAL = 10.0
TICKS = 8
"""The first two look for the first time and give levels; the others are measured."""
COLD = 2
QUERIES, CPU = 40.0, 1.0
_PULSE = 0.02

REVISIONS = ("5d4c0a1b", "9f1a77c2")
METRICS = [
    {"name": "errors", "category": "Software", "preset": "errorRatio", "max": "1%"},
    {"name": "p95", "category": "Software", "preset": "latencyP95", "max": "300ms"},
    {"name": "nulls", "category": "Output", "preset": "nullRatio", "max": "5%"},
    {"name": "missing", "category": "Input", "preset": "missingRatio", "max": "2%"},
    {"name": "size", "category": "Input", "preset": "inputSize", "min": 32, "max": 96},
    {"name": "light", "category": "Input", "preset": "brightness", "max": 200},
]


def spec() -> ModelDeploymentSpec:
    """Six preset metrics, one of each family, at 10 s."""
    return ModelDeploymentSpec.model_validate(
        {
            "model": {"version": "2"},
            "server": {"image": "model:2"},
            "monitoring": {"interval": f"{INTERVAL:g}s", "metrics": METRICS},
        }
    )


def write_series(file: TextIO, start: float) -> None:
    """The counters of all objects' revisions at each tick, as routers and models export them."""
    edges = [*(f"{edge:g}" for edge in LATENCY_BUCKETS_MS), "+Inf"]
    for number in range(OBJECTS):
        for revision in REVISIONS:
            place = f'namespace="team-{number % NAMESPACES}",modeldeploy_name="model-{number}"'
            one = f'{place},modeldeploy_revision="{revision}",modeldeploy_model_version="2026-11-20"'
            for router in range(ROUTERS):
                labels = f'{one},pod="modeldeploy-router-6d5f8c7b9d-{number % NAMESPACES:03}{router}"'
                for code, growth in (("2", 99.0), ("4", 1.0), ("5", 0.2)):
                    name = f'envoy_cluster_upstream_rq_xx{{{labels},envoy_response_code_class="{code}"}}'
                    _write(file, name, start, growth)
                for index, edge in enumerate(edges):
                    growth = 100.0 * min(1.0, index / 30)
                    name = f'envoy_cluster_upstream_rq_time_bucket{{{labels},le="{edge}"}}'
                    _write(file, name, start, growth)
            for pod in range(PODS):
                labels = f'{one},pod="model-{number}-{revision}-7c9d8b6f5c-{pod:05}"'
                for name, growth in (
                    ("model_output_values_total", 100.0),
                    ("model_output_null_total", 1.0),
                    ("model_input_values_total", 6400.0),
                    ("model_input_missing_total", 20.0),
                    ("model_input_size_sum", 6400.0),
                    ("model_input_size_count", 100.0),
                    ("model_input_brightness_sum", 12000.0),
                    ("model_input_brightness_count", 100.0),
                ):
                    _write(file, f"{name}{{{labels}}}", start, growth)
    file.write("# EOF\n")


def _write(file: TextIO, series: str, start: float, growth: float) -> None:
    file.writelines(
        f"{series} {math.floor(1000 + growth * (index + 1))} {start + INTERVAL * index - 1:.3f}\n"
        for index in range(TICKS)
    )


class Counting(Prometheus):
    """The real client, counting what goes out."""

    asked = 0

    async def query_shared(
        self, expression: str, at: datetime, read: Callable[[Body], Read]
    ) -> Read | QueryFailed:
        Counting.asked += 1
        answer = await super().query_shared(expression, at, read)
        assert not isinstance(answer, QueryFailed), answer.reason
        return answer


@dataclass
class _Timer:
    when: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Ticking:
    """A clock that stands still between ticks, and fires what is due when it is set to one."""

    at: float
    timers: list[_Timer] = field(default_factory=list)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def monotonic(self) -> float:
        return self.at

    def call_at(self, when: float, callback: Callable[[], None]) -> _Timer:
        self.timers.append(_Timer(when, callback))
        return self.timers[-1]

    def fire(self, at: float) -> None:
        self.at = at
        due = [timer for timer in self.timers if timer.when <= at + 1e-6]
        self.timers = [timer for timer in self.timers if timer.when > at + 1e-6]
        for timer in due:
            if not timer.cancelled:
                timer.callback()


class Decided:
    """What the reconciles that the Judge wakes get to see: the verdicts on all objects, once each."""

    def __init__(self) -> None:
        self.all = asyncio.Event()
        self.last = Assessed()
        self._count = 0

    def add(self, found: Assessed) -> None:
        self.last = found
        self._count += 1
        if self._count % OBJECTS == 0:
            self.all.set()


@dataclass(frozen=True)
class Tick:
    """What one tick took: questions, seconds of CPU and until all had decided, the loop's longest block."""

    queries: int
    cpu: float
    wall: float
    block: float


async def _measure(url: str, start: float) -> list[Tick]:
    clock, owners = Ticking(start - 1.0), [_owner(number) for number in range(OBJECTS)]
    one, status, ticks, decided = spec(), _status(start), [], Decided()
    sampler = Sampler(Stores(url, timeout=60.0, connect=Counting))
    judge = Judge(sampler, clock, lambda of: decided.add(judge.look(of, one, status, {}, clock.now())))
    for of in owners:
        judge.look(of, one, status, {}, clock.now())
        # Replays after a restart are another figure: these objects have been looked at all along.
        judge._watches[of.uid].since = start - 7200.0
    try:
        for index in range(TICKS):
            decided.all.clear()
            asked, cpu, wall = Counting.asked, time.process_time(), time.perf_counter()
            async with _blocks() as block:
                clock.fire(start + INTERVAL * index)
                await decided.all.wait()
            ticks.append(
                Tick(
                    Counting.asked - asked,
                    time.process_time() - cpu,
                    time.perf_counter() - wall,
                    max(block),
                )
            )
        found = judge.look(owners[7], one, status, {}, clock.now())
        assert {seen.name: seen.verdict.value for seen in found.assessments}["nulls"] in {
            "Pass",
            "Inconclusive",
        }
        assert found.answered > 0
    finally:
        await judge.stop()
    return ticks


@contextlib.asynccontextmanager
async def _blocks() -> AsyncIterator[list[float]]:
    """Seconds that the event loop came too late to a callback, one in every `_PULSE` seconds."""
    seen = [0.0]

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_PULSE)
            seen.append(time.perf_counter() - before - _PULSE)

    task = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        task.cancel()


def _owner(number: int) -> Owner:
    return Owner(f"team-{number % NAMESPACES}", f"model-{number}", f"uid-{number}")


def _status(start: float) -> ModelDeploymentStatus:
    begun = datetime.fromtimestamp(start - 1.0, UTC)
    stable = Stable(revision=REVISIONS[0], model_version="1", weight=50)
    candidate = Candidate(
        revision=REVISIONS[1],
        model_version="2",
        weight=50,
        step=1,
        progress="1/1",
        started_at=begun,
        step_started_at=begun,
    )
    return ModelDeploymentStatus(stable=stable, candidate=candidate)


@contextlib.contextmanager
def filled() -> Iterator[tuple[str, float]]:
    """A Prometheus that holds the series, and the time of the first tick."""
    binary = program()
    if binary is None:
        raise FileNotFoundError("prometheus")
    start = math.floor(time.time() / 7200.0) * 7200.0 - 7200.0 + 600.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with step(f"series of {OBJECTS} objects"):
            with (folder / "series").open("w") as file:
                write_series(file, start)
            promtool = Path(binary).with_name("promtool")
            subprocess.run(
                [promtool, "tsdb", "create-blocks-from", "openmetrics", folder / "series", folder / "data"],
                check=True,
                capture_output=True,
            )
            (folder / "series").unlink()
        with PrometheusServer(folder, "127.0.0.1:1", interval=60) as server:
            yield server.url, start


@functools.cache
def _ticks() -> tuple[Tick, ...]:
    with filled() as (url, start):
        found = asyncio.run(_measure(url, start))
    for index, tick in enumerate(found):
        say(
            f"  tick {index}: {tick.queries} questions, {tick.cpu:.2f} s of CPU, decided after "
            f"{tick.wall:.2f} s, longest block {tick.block * 1000:.0f} ms"
        )
    return tuple(found[COLD:])


def measure_queries() -> Iterator[Figure]:
    """Questions to Prometheus in a tick, the most of several."""
    yield Figure("queries_per_tick_1000", max(tick.queries for tick in _ticks()), "questions", QUERIES)


def measure_cpu() -> Iterator[Figure]:
    """CPU of a tick, all threads together: the median of several."""
    yield Figure("tick_cpu_s_1000", statistics.median(tick.cpu for tick in _ticks()), "s", CPU)


FIGURES: Mapping[str, Callable[[], Iterator[Figure]]] = {
    "queries_per_tick_1000": measure_queries,
    "tick_cpu_s_1000": measure_cpu,
}
