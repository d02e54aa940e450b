"""How many runs of an operator that is killed again and again end as if nobody had killed it."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

from api.kill.runs import Ended, Plan, all_of, plans, references
from api.kill.world import world
from bench.figure import Figure
from cluster import Cluster
from cluster.paths import REPOSITORY
from cluster.progress import say

RUNS = 200
AT_ONCE = 6


def measure(cluster: Cluster, runs: int = RUNS) -> list[Figure]:
    """Runs on a control plane, each in a namespace of its own."""
    define(cluster)
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(_runs(cluster, Path(folder), runs))
    good = [one for one in found if isinstance(one, Ended)]
    phases: Counter[str] = Counter()
    for one in good:
        phases.update(one.phases)
    say(f"  {sum(one.kills for one in good)} kills; in phases {dict(phases)}")
    unit = f"share of {runs} runs that end as an undisturbed one"
    return [Figure("kill_runs_ok", len(good) / len(found), unit, 1.0, at_least=True)]


def define(cluster: Cluster) -> None:
    """Let the API server know ModelDeployments."""
    crds = str(REPOSITORY / "crds")
    cluster.run_kubectl("apply", "--server-side", "--force-conflicts", "--filename", crds)
    cluster.await_kinds("--filename", crds)


async def _runs(cluster: Cluster, folder: Path, runs: int) -> list[Ended | AssertionError]:
    async with world(cluster.kubeconfig) as watched:
        ends = await references(watched, cluster.kubeconfig, folder)
        writes = {name: end.writes for name, end in ends.items()}
        say(f"  writes of an undisturbed operator: {writes}")
        done = 0

        def tell(plan: Plan, end: Ended | AssertionError) -> None:
            nonlocal done
            done += 1
            if isinstance(end, AssertionError):
                say(f"  run {plan.seed} failed: {end}")
            elif done % 10 == 0:
                say(f"  {done} of {runs} runs")

        return await all_of(
            watched, cluster.kubeconfig, folder, plans(runs, writes), ends, at_once=AT_ONCE, tell=tell
        )
