"""Two operators that look after the same things, each with a way of its own to the API server."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import yaml

from api.kill.operators import Operator
from api.kill.relay import Relay
from api.kill.scenarios import LONG, SHORT, manifest, on_trial, serves
from api.kill.stage import Stage, counted, stage
from api.kill.world import World, until
from cluster.network import free_port
from cluster.paths import REPOSITORY

LEASE = 3.0
"""Seconds; short, so that tests are."""


class Pair:
    """Two operators, each with a relay of its own, and what they look after."""

    def __init__(self, on: Stage, operators: Sequence[Operator], relays: Sequence[Relay]) -> None:
        self.on = on
        self.a, self.b = operators
        self.relay_a, self.relay_b = relays

    async def leads(self, operator: Operator) -> bool:
        return (await counted(operator))["modeldeploy_leader"] == 1

    async def until_leads(self, operator: Operator, seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not await self.leads(operator):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def begin(self, fault: str = "") -> None:
        """Start both; `a` leads."""
        await self.a.start(fault)
        await until(lambda: b"leads" in self.a.log.read_bytes(), "a leader")
        await self.b.start()
        await until(lambda: b"routers can connect" in self.b.log.read_bytes(), "a follower")


@contextlib.asynccontextmanager
async def pair(watched: World, kubeconfig: Path, folder: Path, lease: float = LEASE) -> AsyncIterator[Pair]:
    ports = [free_port(), free_port()]
    async with contextlib.AsyncExitStack() as left:
        on = await left.enter_async_context(stage(watched, ports))
        relays, operators = [], []
        for name, port in zip("ab", ports, strict=True):
            relay = Relay(kubeconfig, folder)
            await relay.start()
            left.push_async_callback(relay.stop)
            settings = {"MODELDEPLOY_LEASE_DURATION": str(lease)}
            operator = Operator(folder, relay.kubeconfig, on.namespace, name, settings, xds_port=port)
            left.push_async_callback(operator.stop, signal.SIGKILL)
            relays.append(relay)
            operators.append(operator)
        yield Pair(on, operators, relays)


def lease_of_the_chart() -> float:
    """Seconds of the lease that an installation has unless told otherwise."""
    values = yaml.safe_load((REPOSITORY / "charts/modeldeploy/values.yaml").read_text())
    return float(values["lease"]["durationSeconds"])


async def failover(world: World, kubeconfig: Path, folder: Path, rest: float = 0.0) -> float:
    """Seconds from SIGKILL of the leader until the other writes, with the chart's lease.

    Args:
        world: The cluster.
        kubeconfig: Its administrator's.
        folder: For logs.
        rest: Seconds before the kill, so that it comes at another moment between two renewals.
    """
    async with pair(world, kubeconfig, folder, lease_of_the_chart()) as two:
        await two.begin()
        await two.on.apply(manifest("v1", SHORT))
        await two.on.until(serves("v1"), "the first version")
        await asyncio.sleep(rest)
        two.a.send(signal.SIGKILL)
        killed = time.monotonic()
        await two.on.apply(manifest("v2", LONG))
        await two.on.until(on_trial("v2"), "v2 on trial")
        assert two.relay_a.accepted(killed) == [], "the killed one wrote"
        return two.relay_b.accepted()[0].at - killed
