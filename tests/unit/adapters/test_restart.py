"""An operator that is killed again and again comes, tick for tick, to the verdicts of one that never was."""

import asyncio
import random
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modeldeploy.adapters.sampler import Sampler
from modeldeploy.adapters.stores import Stores
from modeldeploy.api.v1alpha1.status import Candidate, ModelDeploymentStatus, Stable
from modeldeploy.reconcile.judge import Assessed, Judge
from modeldeploy.render.meta import Owner
from unit.adapters.prometheus_server import PrometheusServer, program
from unit.core.backtest.past import NAME, NAMESPACE, Past
from unit.core.judgement.simulation import CANDIDATE, SEVEN, STABLE, START, Rates, make_spec, when

PROMETHEUS = program()
pytestmark = [
    pytest.mark.api,
    pytest.mark.skipif(PROMETHEUS is None, reason="Prometheus isn't installed (Debian package prometheus)"),
]

INTERVAL, TICKS, KILLS = 5.0, 60, 3
SPEC = make_spec(*SEVEN)
OF = Owner(NAMESPACE, NAME, "uid")
STATUS = ModelDeploymentStatus(
    stable=Stable(revision=STABLE, model_version="1", weight=90),
    candidate=Candidate(
        revision=CANDIDATE,
        model_version="2",
        weight=10,
        step=1,
        progress="1/1",
        started_at=when(0.0),
        step_started_at=when(0.0),
    ),
)


class Timer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Standing:
    """A clock that stands still until a test sets it; then all timers fire."""

    def __init__(self, at: float) -> None:
        self.at = at
        self.timers: list[Timer] = []

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def monotonic(self) -> float:
        return self.at

    def call_at(self, _when: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(callback))
        return self.timers[-1]

    def set(self, at: float) -> None:
        self.at, timers = at, self.timers
        self.timers = []
        for timer in timers:
            if timer.callback:
                timer.callback()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A rollout of five minutes, and as much before it; the candidate begins to answer nulls after three."""
    folder = tmp_path_factory.mktemp("prometheus")
    past = Past(
        SPEC,
        seed=7,
        candidate_rates=lambda at: Rates(nulls=0.12) if at >= 180 else Rates(),
        history=300.0,
    )
    for _ in past.live(INTERVAL * TICKS):
        pass
    series = folder / "past.om"
    series.write_text(past.openmetrics())
    promtool = Path(str(PROMETHEUS)).with_name("promtool")
    filled = [str(promtool), "tsdb", "create-blocks-from", "openmetrics", str(series), str(folder / "data")]
    subprocess.run(filled, check=True, capture_output=True)
    with PrometheusServer(folder, "127.0.0.1:1") as server:
        yield server.url


class Operator:
    """What an operator process keeps in memory of one object."""

    def __init__(self, url: str, clock: Standing) -> None:
        self._clock = clock
        self._woken = asyncio.Event()
        self._judge = Judge(Sampler(Stores(url, timeout=30.0)), clock, lambda _: self._woken.set())
        self._look()

    async def tick(self, at: float) -> Assessed:
        self._woken.clear()
        self._clock.set(at)
        await self._woken.wait()
        return self._look()

    async def stop(self) -> None:
        await self._judge.stop()

    def _look(self) -> Assessed:
        return self._judge.look(OF, SPEC, STATUS, {}, self._clock.now())


async def watched(url: str, killed_before: set[int]) -> list[Assessed]:
    clock = Standing(START + 1.0)
    operator, found = Operator(url, clock), []
    for number in range(1, TICKS + 1):
        if number in killed_before:
            await operator.stop()
            clock.timers.clear()
            operator = Operator(url, clock)
        found.append(await operator.tick(START + INTERVAL * number))
    await operator.stop()
    return found


@pytest.fixture(scope="module")
async def undisturbed(url: str) -> list[Assessed]:
    return await watched(url, set())


def test_the_fault_is_found_so_there_is_something_to_lose(undisturbed: list[Assessed]) -> None:
    verdicts = [{seen.name: seen.verdict.value for seen in one.assessments}["nulls"] for one in undisturbed]
    assert verdicts[0] == "Inconclusive"
    assert verdicts[34] == "Pass"
    assert verdicts[-1] == "Breach"


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_killed_at_any_ticks_it_comes_to_the_same(
    url: str, undisturbed: list[Assessed], seed: int
) -> None:
    killed_before = set(random.Random(seed).sample(range(2, TICKS + 1), KILLS))  # noqa: S311
    assert await watched(url, killed_before) == undisturbed
