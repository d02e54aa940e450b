"""Several operators, one of which acts: killed, frozen, cut off, upgraded."""

import asyncio
import signal
import time
from pathlib import Path

import pytest

from api.kill.pair import LEASE, failover, pair
from api.kill.routers import Router
from api.kill.scenarios import LONG, SHORT, manifest, on_trial, serves
from api.kill.world import World, until

pytestmark = [pytest.mark.api, pytest.mark.usefixtures("definition")]

BAR = 10.0


async def test_a_killed_leader_is_followed_within_ten_seconds(
    watched: World, kubeconfig: Path, tmp_path: Path
) -> None:
    """With the chart's own lease."""
    taken = await failover(watched, kubeconfig, tmp_path)
    print(f"the other acts {taken:.1f} s after the kill")
    assert taken <= BAR


async def test_a_leader_that_is_upgraded_hands_over_at_once(
    watched: World, kubeconfig: Path, tmp_path: Path
) -> None:
    async with pair(watched, kubeconfig, tmp_path, 8) as two:
        await two.begin()
        await two.on.apply(manifest("v1", SHORT))
        await two.on.until(serves("v1"), "the first version")
        await two.on.apply(manifest("v2", SHORT))
        await two.on.until(on_trial("v2"), "v2 on trial")
        two.a.send(signal.SIGTERM)
        asked = time.monotonic()
        await two.until_leads(two.b, 5)
        assert time.monotonic() - asked < 3
        await two.on.until(serves("v2"), "v2 promoted")
        first = two.relay_b.accepted()[0].at
        assert two.relay_a.accepted(first) == []


@pytest.mark.parametrize("fault", ["stop before 12", "stop after 24"])
async def test_a_leader_that_was_frozen_writes_nothing_when_it_wakes(
    watched: World, kubeconfig: Path, tmp_path: Path, fault: str
) -> None:
    async with pair(watched, kubeconfig, tmp_path) as two:
        await two.begin(fault)
        await two.on.apply(manifest("v1", SHORT))
        await two.on.until(serves("v1"), "the first version")
        await two.on.apply(manifest("v2", SHORT))
        await two.on.until(serves("v2"), "v2, by whoever acts")
        await two.until_leads(two.b)
        first = two.relay_b.accepted()[0].at
        frozen = len(two.relay_a.writes)

        two.a.send(signal.SIGCONT)
        woken = time.monotonic()
        await two.on.apply(manifest("v3", SHORT))
        await two.on.until(serves("v3"), "v3")
        assert two.relay_a.writes[frozen:] == [], "a frozen leader acted after it woke"
        assert two.relay_a.accepted(first) == [], "two acted at once"
        assert not await two.leads(two.a)
        assert two.relay_b.accepted(woken)


async def test_a_leader_frozen_at_rest_finds_another_one_leading(
    watched: World, kubeconfig: Path, tmp_path: Path
) -> None:
    async with pair(watched, kubeconfig, tmp_path) as two:
        await two.begin()
        await two.on.apply(manifest("v1", SHORT))
        await two.on.until(serves("v1"), "the first version")
        two.a.send(signal.SIGSTOP)
        await two.until_leads(two.b)
        await two.on.apply(manifest("v2", LONG))
        await two.on.until(on_trial("v2"), "v2 on trial")
        frozen = len(two.relay_a.writes)
        two.a.send(signal.SIGCONT)
        await two.on.apply(manifest("v1", LONG))
        await two.on.until(serves("v1"), "v1 again")
        await asyncio.sleep(2 * LEASE)
        assert two.relay_a.writes[frozen:] == []
        assert await two.leads(two.b)
        # It follows, and can lead again.
        two.b.send(signal.SIGKILL)
        await two.until_leads(two.a)
        await two.on.apply(manifest("v2", SHORT))
        await two.on.until(serves("v2"), "v2, by the first one")


async def test_a_leader_that_is_cut_off_stops_acting_answers_routers_and_goes_on_after(
    watched: World, kubeconfig: Path, tmp_path: Path
) -> None:
    async with pair(watched, kubeconfig, tmp_path, 6) as two:
        await two.begin()
        await two.on.apply(manifest("v1", SHORT))
        await two.on.until(serves("v1"), "the first version")
        two.relay_a.cut()
        cut = time.monotonic()
        async with asyncio.timeout(6):
            while await two.leads(two.a):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        stopped = time.monotonic()
        assert not await two.leads(two.b), "the lease can't have expired yet"
        await two.until_leads(two.b)
        assert stopped - cut <= 4.2

        # A router that comes back to it is told what it knows, which is no less than the router has.
        known = next(iter(two.on.kubelet.routers.values()))
        back = Router([two.a.xds_port], known.token)
        back.start()
        try:
            await until(lambda: back.generations.get("model") == [1], "an answer of the one cut off", 10)
            await two.on.apply(manifest("v2", SHORT))
            await two.on.until(serves("v2"), "v2, by the other one")
            assert two.relay_a.accepted(stopped) == []

            two.relay_a.mend()
            await until(lambda: back.generations["model"][-1] > 2, "news by the one that was cut off", 30)
            assert back.generations["model"] == sorted(back.generations["model"])
        finally:
            await back.stop()
        assert two.relay_a.accepted(stopped) == []
        two.b.send(signal.SIGKILL)
        await two.on.apply(manifest("v3", SHORT))
        await two.on.until(serves("v3"), "v3, by the first one again")
