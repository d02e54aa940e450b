"""How soon another operator acts after the acting one was killed."""

import asyncio
import tempfile
from pathlib import Path

from api.kill.pair import failover, lease_of_the_chart
from api.kill.world import world
from bench.figure import Figure
from bench.kill import define
from cluster import Cluster
from cluster.progress import say

KILLS = 5
BAR = 10.0


def measure(cluster: Cluster) -> list[Figure]:
    """The worst of several kills, at different moments between two renewals of the lease."""
    define(cluster)
    with tempfile.TemporaryDirectory() as folder:
        taken = asyncio.run(_kills(cluster, Path(folder)))
    unit = f"s from SIGKILL to the other's first write, worst of {KILLS}"
    return [Figure("failover_s", max(taken), unit, BAR)]


async def _kills(cluster: Cluster, folder: Path) -> list[float]:
    pause = lease_of_the_chart() / 3 / KILLS
    taken = []
    async with world(cluster.kubeconfig) as watched:
        for number in range(KILLS):
            found = await failover(watched, cluster.kubeconfig, folder, rest=number * pause)
            taken.append(found)
            say(f"  kill {number + 1} of {KILLS}: the other acts after {found:.1f} s")
    return taken
