import asyncio
import re
import statistics
import subprocess
import time
from pathlib import Path

import pytest

from cluster.network import free_port
from modeldeploy.adapters.xds import Tls
from modeldeploy.render.traffic.model import Backend, Endpoint
from unit.adapters.data_plane import (
    NAMESPACE,
    Plane,
    Pod,
    backend,
    exchange,
    get,
    load,
    model,
    nacks,
    plane,
    serves,
    until,
)

pytestmark = pytest.mark.api


async def test_a_router_is_ready_only_with_its_configuration(tmp_path: Path) -> None:
    async with plane(tmp_path) as routed:
        await until(lambda: routed.server.connected(NAMESPACE) == 1)
        await asyncio.sleep(0.2)
        with pytest.raises(OSError, match="Connect call failed"):
            await get(routed.router.metrics_port, "/ready")

        routed.server.publish(NAMESPACE, [])

        await routed.router.ready()


async def test_the_network_sees_nothing_else_of_the_admin_interface(routed: Plane) -> None:
    for path in ("/", "/config_dump", "/quitquitquit", "/ready/../quitquitquit", "/stats"):
        assert (await get(routed.router.metrics_port, path)).status == 404, path
    assert (await get(routed.router.metrics_port, "/ready", body=b"post")).status == 404


async def test_weights_are_exact_within_binomial_error(routed: Plane) -> None:
    pods = [await Pod().start(), await Pod().start()]
    await routed.serving(1, backend("stable", 95, pods[0]), backend("candidate", 5, pods[1]))

    async with load(routed.port, rate=5000) as clients:
        await until(lambda: clients.sent >= 2000, limit=20)

    assert not clients.failures
    share = clients.answers[200, "candidate"] / clients.sent
    assert abs(share - 0.05) < 4 * (0.05 * 0.95 / clients.sent) ** 0.5
    assert len(pods[1].arrivals) == clients.answers[200, "candidate"]


async def test_a_switch_of_weights_is_over_at_once_and_loses_no_request(routed: Plane) -> None:
    pods = {"a": await Pod().start(), "b": await Pod().start()}
    await routed.serving(1, backend("a", 100, pods["a"]), backend("b", 0, pods["b"]))
    took = []

    async with load(routed.port) as clients:
        for turn in range(2, 42):
            old, weight = ("b", 100) if turn % 2 else ("a", 0)
            switched = time.monotonic()
            routed.publish(turn, backend("a", weight, pods["a"]), backend("b", 100 - weight, pods["b"]))
            await asyncio.sleep(0.06)
            took.append(max([at - switched for at in pods[old].arrivals if at > switched], default=0.0))

    assert not clients.failures
    assert min(clients.answers[200, "a"], clients.answers[200, "b"]) > 300
    worst, median = max(took) * 1e3, statistics.median(took) * 1e3
    print(f"last request to the old target: worst {worst:.1f} ms, median {median:.1f} ms")
    assert median < 10


async def test_a_new_revision_may_take_all_traffic_in_the_step_that_makes_it_known(routed: Plane) -> None:
    pods = [await Pod().start(), await Pod().start()]
    await routed.serving(1, backend("r1", 100, pods[0]))

    async with load(routed.port) as clients:
        for turn in range(2, 12):
            await asyncio.sleep(0.05)
            await routed.serving(turn, backend(f"r{turn}", 100, pods[turn % 2]))

    assert not clients.failures
    assert clients.answers[200, "r10"] > 0


async def test_a_request_in_flight_outlives_its_revision(routed: Plane) -> None:
    slow, quick = await Pod(delay=0.5).start(), await Pod().start()
    await routed.serving(1, backend("slow", 100, slow), backend("quick", 0, quick))
    waiting = asyncio.create_task(get(routed.port))
    await until(lambda: slow.arrivals)

    await routed.serving(2, backend("quick", 100, quick))

    assert (await get(routed.port)).revision == "quick"
    assert ((await waiting).status, (await waiting).revision) == (200, "slow")


async def test_a_pod_that_ends_gracefully_loses_no_request(routed: Plane) -> None:
    pods = [await Pod(delay=0.002).start() for _ in range(3)]
    await routed.serving(1, backend("r1", 100, *pods, service=pods[2]))

    async with load(routed.port) as clients:
        await asyncio.sleep(0.3)
        await pods[0].end(drain=0.5)  # with the operator away: nobody tells the router
        ending = asyncio.create_task(pods[1].end(drain=0.5))
        routed.publish(1, backend("r1", 100, pods[2]))  # with the operator there
        await ending
        await asyncio.sleep(0.3)

    assert clients.failures == []
    assert len(pods[0].arrivals) > 10
    assert len(pods[2].arrivals) > len(pods[1].arrivals)


async def test_a_pod_gone_without_a_word_costs_no_request_however_large(routed: Plane) -> None:
    gone, service = await Pod().start(), await Pod().start()
    await routed.serving(1, backend("r1", 100, gone, service=service))
    assert (await get(routed.port)).status == 200
    assert len(gone.arrivals) == 1
    await gone.end()

    for size in (10, 1_000_000, 7_000_000):
        answer = await get(routed.port, body=b"x" * size)
        assert (answer.status, answer.body) == (200, str(size).encode())
    assert len(service.arrivals) == 3


async def test_the_service_address_gets_nothing_while_a_pod_is_there(routed: Plane) -> None:
    pods, service = [await Pod().start() for _ in range(4)], await Pod().start()
    gone = [Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2), Endpoint("127.0.0.1", 3)]
    known = (*gone, Endpoint("127.0.0.1", pods[0].port))
    await routed.serving(1, Backend("r1", 100, "127.0.0.1", service.port, known))

    async with load(routed.port, rate=1000) as clients:
        await asyncio.sleep(0.5)

    assert not clients.failures
    assert service.arrivals == []


async def test_a_request_that_may_have_reached_a_model_is_never_sent_twice(routed: Plane) -> None:
    pod, service = await Pod(delay=0.5).start(), await Pod().start()
    await routed.serving(1, backend("r1", 100, pod, service=service))
    asked = asyncio.create_task(get(routed.port))
    await until(lambda: pod.arrivals)

    await pod.end()

    assert (await asked).status == 503
    assert (len(pod.arrivals), service.arrivals) == (1, [])


async def test_no_time_limit_unless_one_is_set(routed: Plane) -> None:
    slow = await Pod(delay=0.6).start()
    await routed.serving(1, backend("r1", 100, slow), timeout_s=0.2)
    assert (await get(routed.port)).status == 504

    await routed.serving(2, backend("r1", 100, slow), stream_idle_s=0.2)
    assert (await get(routed.port)).status == 504

    await routed.serving(3, backend("r1", 100, slow))
    assert (await get(routed.port)).status == 200


async def test_without_a_revision_the_answer_says_so(routed: Plane) -> None:
    await routed.serving(1)

    answer = await get(routed.port)

    assert answer.status == 503
    assert f"no revision of voice-search/{routed.name}".encode() in answer.body


async def test_request_ids_stay_and_clients_cannot_change_retries(routed: Plane) -> None:
    slow = await Pod(delay=0.3).start()
    await routed.serving(1, backend("r1", 100, slow))
    reader, writer = await asyncio.open_connection("127.0.0.1", routed.port)

    asked = "x-request-id: 6a0de0a6-0000-0000-0000-000000000000\r\nx-envoy-upstream-rq-timeout-ms: 50"
    answer = await exchange(reader, writer, host=f"model\r\n{asked}")

    writer.close()
    assert answer.status == 200
    assert answer.headers["x-request-id"] == "6a0de0a6-0000-0000-0000-000000000000"


async def test_models_have_a_listener_each_and_losing_one_leaves_the_others(routed: Plane) -> None:
    pod = await Pod().start()
    other = free_port()
    first = model(routed.port, 1, backend("r1", 100, pod), name=routed.name)
    second = model(other, 7, backend("r1", 100, pod), name="ranker")
    routed.server.publish(NAMESPACE, [first, second])
    await until(lambda: serves(other, 7))
    assert (await get(routed.port)).status == 200

    async with load(routed.port) as clients:
        routed.server.publish(NAMESPACE, [first])
        await asyncio.sleep(0.3)

    assert not clients.failures
    with pytest.raises(OSError, match="Connect call failed"):
        await get(other)


async def test_a_refused_configuration_is_reported_and_the_last_one_stays(routed: Plane) -> None:
    pod = await Pod().start()
    await routed.serving(1, backend("r1", 100, pod))
    nacks.clear()

    routed.server.publish(
        NAMESPACE,
        [
            model(routed.port, 2, backend("r1", 100, pod), name=routed.name),
            model(routed.port, 1, backend("r1", 100, pod), name="same-port"),
        ],
    )

    await until(lambda: nacks)
    assert nacks[0].namespace == NAMESPACE
    assert nacks[0].type_url.endswith("Listener")
    assert "same-port" in nacks[0].message
    await until(lambda: serves(routed.port, 2))
    assert len(nacks) == 1


async def test_statistics_are_named_as_documented(routed: Plane) -> None:
    quick, slow = await Pod().start(), await Pod(delay=0.13).start()
    await routed.serving(1, backend("fast", 0, quick), backend("slow", 100, slow))
    await asyncio.gather(*(get(routed.port) for _ in range(10)))
    await asyncio.sleep(0.4)

    text = await routed.router.metrics()

    labels = f'modeldeploy_namespace="voice-search",modeldeploy_name="{routed.name}",modeldeploy_revision='
    time_of = f'envoy_cluster_upstream_rq_time_bucket{{{labels}"slow",le='
    assert f'envoy_cluster_upstream_rq_xx{{envoy_response_code_class="2",{labels}"slow"}} 10\n' in text
    assert f'envoy_cluster_upstream_rq_time_count{{{labels}"slow"}} 10\n' in text
    assert f'{time_of}"120"}} 0\n' in text
    assert f'{time_of}"200"}} 10\n' in text
    assert f'envoy_cluster_membership_healthy{{{labels}"fast"}} 1\n' in text
    assert "envoy_control_plane_connected_state{} 1\n" in text
    assert not re.search(r"^envoy_(http|listener_[^m]|server_[^lu])", text, re.MULTILINE)


async def test_encrypted_with_a_token_that_is_read_anew_after_it_was_renewed(tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=xds"
    name = "subjectAltName=DNS:modeldeploy-xds"
    files = ["-addext", name, "-keyout", str(key), "-out", str(certificate)]
    await asyncio.to_thread(subprocess.run, [*command.split(), *files], check=True, capture_output=True)
    folder = tmp_path / "router"
    rotate(folder, "..first", "expired")
    async with plane(tmp_path, Tls(certificate, key)) as routed:
        routed.server.publish(NAMESPACE, [])
        await asyncio.sleep(0.5)
        assert routed.server.connected(NAMESPACE) == 0

        rotate(folder, "..second", NAMESPACE)

        await until(lambda: routed.server.connected(NAMESPACE) == 1)
        await routed.router.ready()


def rotate(folder: Path, version: str, token: str) -> None:
    """Renew a projected token as the kubelet does: a new folder, then one rename of a symlink."""
    (folder / version).mkdir(parents=True)
    (folder / version / "token").write_text(token)
    (folder / "..data_tmp").symlink_to(version)
    (folder / "..data_tmp").rename(folder / "..data")
    if not (folder / "token").is_symlink():
        (folder / "token").symlink_to("..data/token")
