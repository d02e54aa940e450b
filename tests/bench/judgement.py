"""How often the judgement errs, and how soon it finds a fault: simulated, with fixed seeds.

Nothing but Python is needed, and for a part of the first figure the Prometheus of test clusters.
"""

import asyncio
import math
import multiprocessing
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from bench.figure import Figure
from cluster.progress import say, step
from cluster.shell import UnavailableError
from modeldeploy.adapters.history import Ticket, moments
from modeldeploy.adapters.prometheus import Prometheus
from modeldeploy.core.judgement import QueryFailed
from modeldeploy.core.judgement.plan import threshold
from unit.adapters.prometheus_server import PrometheusServer, program
from unit.core.backtest.past import NAMESPACE, openmetrics, samples
from unit.core.judgement.drawn import HISTORY, INTERVAL, SECONDS, Array, Drawn, draw
from unit.core.judgement.followed import SPEC, Followed, Look, answered, follow, queries
from unit.core.judgement.rollouts import (
    CLUMPED,
    TWICE,
    WORSE,
    blamed_share,
    median_detection,
    passed_share,
)
from unit.core.judgement.screen import peaks
from unit.core.judgement.simulation import when

ROLLOUTS, CHUNK = 10_000, 250
AT_ONCE = 2
"""Processes."""
NEAR = 0.2
"""Part of the evidence for a breach from which a screened rollout goes through the product."""
SAMPLED = 2
"""Others of each chunk that go through the product as well."""
STORED, BATCH = 200, 20
"""Rollouts that go through a Prometheus, and how many of them one file holds."""
AA_BAR, PROMOTED_BAR = 0.012, 0.05
DETECTED, CANDIDATES = 200, 400
"""Simulated rollouts per case."""


T = TypeVar("T")
R = TypeVar("R")


def false_rollbacks() -> Iterator[Figure]:
    """Candidates that are no worse: how many are rolled back."""
    with step(f"{ROLLOUTS} rollouts of candidates that are no worse"):
        chunks = list(_shared(_screened, range(ROLLOUTS // CHUNK)))
    wrong, judged = sum(blamed for blamed, _ in chunks), sum(count for _, count in chunks)
    say(f"  {judged} of them went through the product, too, with the same evidence")
    yield Figure(
        "aa_false_rollback_ratio",
        wrong / ROLLOUTS,
        f"of {ROLLOUTS} rollouts",
        AA_BAR,
        keys={"through": "screen and product"},
    )
    with step(f"{STORED} of them through a Prometheus"):
        found = _stored()
    wrong = sum(one.blamed is not None for one in found)
    keys = {"through": "Prometheus"}
    yield Figure("aa_false_rollback_ratio", wrong / STORED, f"of {STORED} rollouts", AA_BAR, keys=keys)

    with step(f"{CANDIDATES} whose errors alone come in clumps"):
        share = sum(_shared(_clumped, range(AT_ONCE))) / AT_ONCE
    keys = {"through": "product", "case": "only the candidate's errors come in clumps of 3, one metric"}
    yield Figure("aa_false_rollback_ratio", share, f"of {CANDIDATES} rollouts", keys=keys)


def _clumped(seed: int) -> float:
    return blamed_share(CLUMPED, CANDIDATES // AT_ONCE, seed)


def _screened(seed: int) -> tuple[int, int]:
    """Of a chunk of rollouts: how many the product blames, and how many it was asked about."""
    drawn = draw(CHUNK, seed)
    screened = peaks(drawn)
    top = np.max(list(screened.values()), axis=0)
    near = np.flatnonzero(top >= NEAR * threshold(SPEC))
    others = [rollout for rollout in range(SAMPLED) if rollout not in near]
    blamed = 0
    for rollout in [*near.tolist(), *others]:
        found = follow(answered(drawn, rollout))
        agree(found, screened, rollout)
        blamed += found.blamed is not None
    return blamed, len(near) + len(others)


def agree(found: Followed, screened: Mapping[tuple[str, str], Array], rollout: int) -> None:
    """Fail unless the product has gathered the evidence that the second implementation has."""
    for test, values in screened.items():
        assert math.isclose(found.peaks[test], values[rollout], rel_tol=1e-6), (rollout, test)


def _stored() -> list[Followed]:
    server = program()
    if server is None:
        raise UnavailableError("no Prometheus (Debian package prometheus)")
    drawn = draw(CHUNK, 0)
    screened = peaks(drawn)
    with tempfile.TemporaryDirectory() as folder:
        for first in range(0, STORED, BATCH):
            _fill(Path(folder), Path(server).with_name("promtool"), drawn, range(first, first + BATCH))
        with PrometheusServer(Path(folder), "127.0.0.1:1") as running:
            found = []
            for rollout in range(STORED):
                found.append(follow(asyncio.run(_asked(running.url, rollout))))
                agree(found[-1], screened, rollout)
    return found


def _fill(folder: Path, promtool: Path, drawn: Drawn, rollouts: Sequence[int]) -> None:
    """Put rollouts into the store, each as an object of its own."""
    text = openmetrics(
        sample
        for rollout in rollouts
        for at, answers in answered(drawn, rollout)
        for sample in samples(at, answers, f"digits-{rollout}")
    )
    written = folder / "past.om"
    written.write_text(text)
    made = [str(promtool), "tsdb", "create-blocks-from", "openmetrics", str(written), str(folder / "data")]
    subprocess.run(made, check=True, capture_output=True)
    written.unlink()


async def _asked(url: str, rollout: int) -> list[Look]:
    """A rollout's looks, as the product's own history adapter has them from the store."""
    who = Ticket(NAMESPACE, f"digits-{rollout}")
    looks: list[Look] = []
    span = when(-HISTORY), when(SECONDS)
    async for moment in moments(Prometheus(url), who, queries(), *span, f"{INTERVAL:g}s"):
        if isinstance(moment, QueryFailed):
            raise UnavailableError(f"the store gave no answer: {moment.reason}")
        looks.append(((moment.at - when(0.0)) / timedelta(seconds=1), moment.answers))
    return looks


def promotions() -> Iterator[Figure]:
    """Candidates at twice their bound: how many could be promoted."""
    with step(f"{CANDIDATES} candidates at twice their bound in each of {len(TWICE)} cases"):
        yield from _cases("bad_promoted_ratio", _promoted, dict.fromkeys(TWICE, PROMOTED_BAR))


def _promoted(case: str) -> float:
    return passed_share(TWICE[case], CANDIDATES, 2)


def detections() -> Iterator[Figure]:
    """Candidates with a fault: the time until half of them are rolled back."""
    with step(f"{DETECTED} faulty candidates in each of {len(WORSE)} cases"):
        bars = {case: bar for case, (_, bar) in WORSE.items()}
        yield from _cases("detection_median_s", _detected, bars)


def _detected(case: str) -> float:
    return median_detection(WORSE[case][0], DETECTED, 3)


def _cases(name: str, measure: Callable[[str], float], bars: Mapping[str, float | None]) -> Iterator[Figure]:
    unit = "s" if name.endswith("_s") else f"of {CANDIDATES} candidates"
    for (case, bar), value in zip(bars.items(), _shared(measure, bars), strict=True):
        yield Figure(name, value, unit, bar, keys={"case": case})


def _shared(work: Callable[[T], R], on: Sequence[T] | Mapping[T, object]) -> Iterator[R]:
    """The work's results in their order, by processes that begin with nothing of this one's."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(AT_ONCE, mp_context=context) as pool:
        for done, result in enumerate(pool.map(partial(work), on), 1):
            say(f"  {done} of {len(on)}")
            yield result


FIGURES = {
    "aa_false_rollback_ratio": false_rollbacks,
    "bad_promoted_ratio": promotions,
    "detection_median_s": detections,
}
