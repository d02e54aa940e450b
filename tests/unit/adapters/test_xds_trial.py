"""Ways to a candidate beyond its weight: copies, previews, and clients that stay."""

import asyncio
import math
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from modeldeploy.render.traffic.model import Trial
from unit.adapters.data_plane import (
    Plane,
    Pod,
    Router,
    backend,
    get,
    load,
    plane,
    serves,
    until,
)

pytestmark = pytest.mark.api

PREVIEW = ("x-modeldeploy-preview", "candidate")


async def counted(routed: Plane, revision: str) -> Counter[str]:
    """Answers of a revision by class of status, as the metrics tell."""
    await asyncio.sleep(0.4)
    label = f'modeldeploy_name="{routed.name}",modeldeploy_revision="{revision}"'
    pattern = rf'^envoy_cluster_upstream_rq_xx{{envoy_response_code_class="(\d)",[^}}]*{label}}} (\d+)$'
    found = re.findall(pattern, await routed.router.metrics(), re.MULTILINE)
    return Counter({kind: int(count) for kind, count in found})


async def test_a_share_of_requests_is_copied_with_their_ids_and_counted(routed: Plane) -> None:
    stable, candidate = await Pod().start(), await Pod(status=500).start()
    pods = backend("stable", 100, stable), backend("candidate", 0, candidate)
    await routed.serving(1, *pods, trial=Trial("candidate", mirror=30))

    async with load(routed.port, rate=2000) as clients:
        await until(lambda: clients.sent >= 2000, limit=20)
    await until(lambda: len(candidate.arrivals) == len(candidate.requests))

    assert clients.failures == []
    assert set(clients.answers) == {(200, "stable")}
    share = len(candidate.arrivals) / clients.sent
    assert abs(share - 0.3) < 4 * (0.3 * 0.7 / clients.sent) ** 0.5
    primary = {headers["x-request-id"]: headers for headers in stable.requests}
    assert all(primary[copy["x-request-id"]]["host"] == copy["host"] for copy in candidate.requests)
    assert (await counted(routed, "candidate"))["5"] == len(candidate.arrivals)
    assert (await counted(routed, "stable")) == Counter({"2": clients.sent})


async def test_a_copy_carries_the_whole_body(routed: Plane) -> None:
    stable, candidate = await Pod().start(), await Pod().start()
    pods = backend("stable", 100, stable), backend("candidate", 0, candidate)
    await routed.serving(1, *pods, trial=Trial("candidate", mirror=100))

    assert (await get(routed.port, body=b"x" * 3_000_000)).body == b"3000000"

    await until(lambda: candidate.requests)
    assert candidate.requests[0]["content-length"] == "3000000"

    assert (await get(routed.port, body=b"x" * 9_000_000)).status == 200
    await asyncio.sleep(0.2)
    assert len(candidate.requests) == 1


@pytest.mark.parametrize("size", [0, 1_000_000, 7_000_000, 12_000_000])
async def test_a_candidate_that_never_reads_or_answers_slows_no_primary(routed: Plane, size: int) -> None:
    stable = await Pod().start()
    stuck = await Pod(deaf=True).start()
    pods = backend("stable", 100, stable), backend("candidate", 0, stuck)
    await routed.serving(1, *pods, trial=Trial("candidate", mirror=100))

    taken = []
    for _ in range(10):
        started = time.monotonic()
        async with asyncio.timeout(5):
            assert (await get(routed.port, body=b"x" * size)).status == 200
        taken.append(time.monotonic() - started)

    print(f"{size} bytes: worst {max(taken) * 1e3:.0f} ms")
    assert max(taken) < 1.0


async def test_copies_to_a_slow_candidate_are_limited_and_answers_are_not(routed: Plane) -> None:
    stable, slow = await Pod().start(), await Pod(delay=20).start()
    pods = backend("stable", 100, stable), backend("candidate", 0, slow)
    await routed.serving(1, *pods, trial=Trial("candidate", mirror=100))

    async with load(routed.port, rate=3000, connections=16) as clients:
        await until(lambda: clients.sent >= 3000, limit=20)

    assert clients.failures == []
    assert len(slow.arrivals) <= 1024 + 64  # as exact as workers agree without waiting for each other
    assert (await counted(routed, "candidate"))["5"] >= 800


async def test_a_candidate_that_is_not_there_costs_no_answer(routed: Plane) -> None:
    stable, gone = await Pod().start(), await Pod().start()
    await gone.end()
    pods = backend("stable", 100, stable), backend("candidate", 0, gone)
    await routed.serving(1, *pods, trial=Trial("candidate", mirror=100))

    async with load(routed.port) as clients:
        await asyncio.sleep(1)

    assert clients.failures == []
    assert (await counted(routed, "candidate"))["5"] > 100


async def test_a_preview_by_header_or_host_reaches_the_candidate_without_weight(routed: Plane) -> None:
    stable, candidate = await Pod().start(), await Pod().start()
    pods = backend("stable", 100, stable), backend("candidate", 0, candidate)
    trial = Trial("candidate", header=PREVIEW, hostname="next.example")
    await routed.serving(1, *pods, trial=trial)

    assert (await get(routed.port)).revision == "stable"
    assert (await get(routed.port, headers="x-modeldeploy-preview: other\r\n")).revision == "stable"
    assert (await get(routed.port, headers="X-ModelDeploy-Preview: candidate\r\n")).revision == "candidate"
    assert (await get(routed.port, host="next.example")).revision == "candidate"
    assert (await get(routed.port, host=f"next.example:{routed.port}")).revision == "candidate"
    assert await serves(routed.port, 1)
    told = await get(
        routed.port, host="generation.modeldeploy.internal", headers="x-modeldeploy-preview: candidate\r\n"
    )
    assert told.body == b"1"

    await routed.serving(2, *pods)
    assert (await get(routed.port, host="next.example")).revision == "stable"


async def test_nobody_can_take_the_generations_host_away(routed: Plane) -> None:
    pod = await Pod().start()
    trial = Trial("candidate", hostname="generation.modeldeploy.internal")

    await routed.serving(1, backend("stable", 100, pod), backend("candidate", 0, pod), trial=trial)

    assert await serves(routed.port, 1)


CLIENTS = 400


async def places(port: int, cookies: list[str], others: str = "") -> list[str]:
    """Which revision answers each client."""
    asked = (get(port, headers=f"cookie: {others}{cookie}\r\n") for cookie in cookies)
    return [(await one).revision for one in asked]


async def newcomers(port: int) -> tuple[list[str], list[str]]:
    """Cookies that new clients were given, and the revisions that answered them."""
    answers = [await get(port) for _ in range(CLIENTS)]
    cookies = [answer.headers["set-cookie"].split(";")[0] for answer in answers]
    return cookies, [answer.revision for answer in answers]


def near(share: float, wanted: float) -> bool:
    return abs(share - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / CLIENTS)


async def test_a_client_stays_and_only_stables_clients_move(routed: Plane) -> None:
    # Names whose order is the other way round than that of the tracks.
    pods = [await Pod().start(), await Pod().start()]

    async def at(generation: int, share: int) -> None:
        backends = backend("z", 100 - share, pods[0]), backend("a", share, pods[1])
        await routed.serving(generation, *backends, trial=Trial("a"), sticky=True)

    await at(1, 20)
    cookies, first = await newcomers(routed.port)
    assert len(set(cookies)) == CLIENTS
    assert near(first.count("a") / CLIENTS, 0.2)
    assert await places(routed.port, cookies) == first

    await at(2, 60)
    second = await places(routed.port, cookies, others="session=1; ")
    assert near(second.count("a") / CLIENTS, 0.6)
    assert {after for before, after in zip(first, second, strict=True) if before == "a"} == {"a"}

    await at(3, 5)
    third = await places(routed.port, cookies)
    assert near(third.count("a") / CLIENTS, 0.05)
    assert {after for before, after in zip(second, third, strict=True) if before == "z"} == {"z"}


async def test_every_router_places_a_client_alike_also_after_a_restart(routed: Plane, tmp_path: Path) -> None:
    pods = [await Pod().start(), await Pod().start()]
    backends = backend("stable", 50, pods[0]), backend("candidate", 50, pods[1])
    await routed.serving(1, *backends, trial=Trial("candidate"), sticky=True)
    cookies, first = await newcomers(routed.port)

    async with plane(tmp_path) as other:
        other.name = routed.name
        await other.serving(1, *backends, trial=Trial("candidate"), sticky=True)
        assert await places(other.port, cookies) == first
        other.router.stop()
        other.router = Router(tmp_path / "again", other.router.xds_port)
        other.router.start()
        await until(lambda: serves(other.port, 1), limit=20)
        assert await places(other.port, cookies) == first


async def test_the_cookie_is_only_for_machines_and_given_once(routed: Plane) -> None:
    pod = await Pod().start()
    await routed.serving(1, backend("stable", 100, pod), sticky=True)

    answer = await get(routed.port)

    name = f"modeldeploy-{routed.name}"
    assert answer.headers["set-cookie"] == (
        f"{name}={answer.headers['x-request-id']}; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax"
    )
    again = await get(routed.port, headers=f"cookie: a=b; {name}=mine; c=d\r\n")
    assert "set-cookie" not in again.headers
    assert "set-cookie" in (await get(routed.port, headers=f"cookie: not-{name}=mine\r\n")).headers
