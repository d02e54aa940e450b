"""HTTP/2, gRPC, several ports and TLS at the router."""

import asyncio
import re
import ssl
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import grpc
import pytest

from cluster.network import free_port
from modeldeploy.render.traffic import placeholder, router
from modeldeploy.render.traffic.model import Backend, Endpoint, ExtraPort, Trial
from unit.adapters.data_plane import (
    NAMESPACE,
    Plane,
    Pod,
    backend,
    end_pods,
    get,
    load,
    plane,
    serves,
    until,
)

pytestmark = pytest.mark.api


class Model:
    """A gRPC model server: answers what it is told to, or a stream of numbers."""

    def __init__(self, status: grpc.StatusCode = grpc.StatusCode.OK) -> None:
        self.status = status
        self.calls: list[dict[str, Any]] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server()
        handlers = {
            "One": grpc.unary_unary_rpc_method_handler(self._one),
            "Many": grpc.unary_stream_rpc_method_handler(self._many),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Model", handlers),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(0)

    async def _one(self, request: bytes, context: Any) -> bytes:
        self.calls.append(dict(context.invocation_metadata()))
        context.set_trailing_metadata((("model-trailer", "kept"),))
        if self.status is not grpc.StatusCode.OK:
            await context.abort(self.status, "as told")
        return request[::-1]

    async def _many(self, _: bytes, context: Any) -> None:
        for number in range(30):
            await context.write(str(number).encode())
            await asyncio.sleep(0.1)

    def backend(self, revision: str, weight: int) -> Backend:
        return Backend(
            revision, weight, "127.0.0.1", self.port, (Endpoint("127.0.0.1", self.port),), http2=True
        )


async def call(port: int, request: bytes = b"abc", **metadata: str) -> tuple[bytes, dict[str, Any]]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        asked = channel.unary_unary("/Model/One")(request, metadata=tuple(metadata.items()))
        return await asked, dict(await asked.initial_metadata()) | dict(await asked.trailing_metadata())


async def endings(routed: Plane, revision: str) -> Counter[int]:
    """How calls to a revision ended, by gRPC's code."""
    await asyncio.sleep(0.4)
    labels = (
        rf'modeldeploy_namespace="[^"]+",modeldeploy_name="{routed.name}",modeldeploy_revision="{revision}"'
    )
    pattern = rf'^envoy_grpc_calls{{{labels},grpc_status="(\d+)"}} (\d+)$'
    found = re.findall(pattern, await routed.router.metrics(), re.MULTILINE)
    return Counter({int(code): int(count) for code, count in found})


async def test_calls_reach_a_revision_that_speaks_http2_and_trailers_come_back(routed: Plane) -> None:
    async with Model() as model:
        await routed.serving(1, model.backend("r1", 100))

        answer, told = await call(routed.port)

    assert answer == b"cba"
    assert told["model-trailer"] == "kept"
    assert told["x-modeldeploy-revision"] == "r1"
    assert await endings(routed, "r1") == Counter({0: 1})


async def test_failed_calls_are_seen_as_errors_also_those_of_copies(routed: Plane) -> None:
    async with Model() as stable, Model(grpc.StatusCode.INTERNAL) as candidate:
        pods = stable.backend("stable", 100), candidate.backend("candidate", 0)
        await routed.serving(1, *pods, trial=Trial("candidate", mirror=100))
        for _ in range(5):
            assert (await call(routed.port))[0] == b"cba"
        await until(lambda: len(candidate.calls) == 5)
        assert [c["x-request-id"] for c in candidate.calls] == [c["x-request-id"] for c in stable.calls]

        await routed.serving(2, stable.backend("stable", 0), candidate.backend("candidate", 100))
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call(routed.port)

    assert failed.value.code() == grpc.StatusCode.INTERNAL
    assert await endings(routed, "stable") == Counter({0: 5})
    assert await endings(routed, "candidate") == Counter({13: 6})


async def test_http1_and_http2_may_follow_each_other(routed: Plane) -> None:
    old = await Pod().start()
    async with Model() as new:
        await routed.serving(1, backend("old", 100, old), new.backend("new", 0))
        async with load(routed.port) as clients:
            await asyncio.sleep(0.3)
        assert clients.failures == []

        await routed.serving(2, backend("old", 0, old), new.backend("new", 100))
        assert (await call(routed.port))[0] == b"cba"


async def test_a_stream_is_not_cut_when_its_connection_grows_old(
    routed: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "CONNECTION_SECONDS", 1)
    async with Model() as model:
        await routed.serving(1, model.backend("r1", 100))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{routed.port}") as channel:
            heard = [message async for message in channel.unary_stream("/Model/Many")(b"")]

    assert heard == [str(number).encode() for number in range(30)]


async def test_a_stream_outlives_its_revision(routed: Plane) -> None:
    quick = await Pod().start()
    async with Model() as model:
        await routed.serving(1, model.backend("r1", 100), backend("r2", 0, quick))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{routed.port}") as channel:
            stream = channel.unary_stream("/Model/Many")(b"")
            heard: list[bytes] = []
            async for message in stream:
                if not heard:
                    await routed.serving(2, backend("r2", 100, quick))
                heard.append(message)

    assert len(heard) == 30


async def test_every_port_has_a_listener_and_the_same_weights(routed: Plane) -> None:
    first, second = await Pod().start(), await Pod().start()
    extra = free_port()
    async with Model() as stable:
        grpc_port = ExtraPort("grpc", extra, (stable.backend("stable", 100),))
        backends = backend("stable", 100, first), backend("candidate", 0, second)
        await routed.serving(1, *backends, extra_ports=(grpc_port,))
        assert (await get(routed.port)).revision == "stable"
        assert (await call(extra))[1]["x-modeldeploy-revision"] == "stable"

        async with Model() as candidate:
            both = (stable.backend("stable", 0), candidate.backend("candidate", 100))
            moved = backend("stable", 0, first), backend("candidate", 100, second)
            await routed.serving(2, *moved, extra_ports=(ExtraPort("grpc", extra, both),))
            assert await serves(extra, 2)
            assert (await call(extra))[1]["x-modeldeploy-revision"] == "candidate"
            assert (await get(routed.port)).revision == "candidate"

    assert await endings(routed, "candidate") == Counter({0: 1})
    text = await routed.router.metrics()
    label = f'modeldeploy_name="{routed.name}",modeldeploy_revision="stable"'
    assert re.search(rf'envoy_cluster_upstream_rq_xx{{[^}}]*"2",[^}}]*{label}}} 2\n', text)


async def test_a_revision_without_the_port_gets_none_of_its_requests(routed: Plane) -> None:
    pod, extra = await Pod().start(), free_port()
    ports = (ExtraPort("debug", extra, (backend("candidate", 0, pod),)),)
    await routed.serving(1, backend("stable", 100, pod), backend("candidate", 0, pod), extra_ports=ports)
    await until(lambda: serves(extra, 1))

    answer = await get(extra)

    assert (answer.status, b"no revision" in answer.body) == (503, True)


async def test_a_service_of_the_users_own_is_led_to_by_name(routed: Plane) -> None:
    pod, candidate = await Pod().start("localhost"), await Pod().start()
    incumbent = Backend("incumbent", 100, "", pod.port, hostname="localhost")
    await routed.serving(1, incumbent, backend("candidate", 0, candidate))

    async with load(routed.port) as clients:
        await asyncio.sleep(0.3)
        await routed.serving(
            2,
            Backend("incumbent", 50, "", pod.port, hostname="localhost"),
            backend("candidate", 50, candidate),
        )
        await asyncio.sleep(0.3)

    assert clients.failures == []
    assert clients.answers[200, "incumbent"] > clients.answers[200, "candidate"] > 20


async def test_a_pod_that_fails_again_and_again_is_left_out_for_a_while(routed: Plane) -> None:
    bad, good, service = await Pod(status=503).start(), await Pod().start(), await Pod().start()
    await routed.serving(1, backend("r1", 100, bad, good, service=service))

    async with load(routed.port, rate=200) as clients:
        await asyncio.sleep(2.5)

    failed = sum(count for (status, _), count in clients.answers.items() if status == 503)
    assert failed < 30 < len(good.arrivals)


@pytest.mark.parametrize("status", [500, 503])
async def test_a_last_pod_and_a_pod_that_answers_500_are_never_left_out(routed: Plane, status: int) -> None:
    pod, service = await Pod(status=status).start(), await Pod().start()
    others = [await Pod(status=500).start() for _ in range(2)] if status == 500 else []
    await routed.serving(1, backend("r1", 100, pod, *others, service=service))

    for _ in range(60):
        assert (await get(routed.port)).status == status
        await asyncio.sleep(0.02)

    assert service.arrivals == []


def issue(folder: Path, name: str) -> None:
    """A Secret with a new certificate."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
    files = ["-keyout", str(folder / "new.key"), "-out", str(folder / "new.crt")]
    subprocess.run([*command.split(), "-subj", f"/CN={name}", *files], check=True, capture_output=True)
    mount(folder, name, {f"tls.{kind}": (folder / f"new.{kind}").read_text() for kind in ("crt", "key")})


def mount(folder: Path, name: str, files: Mapping[str, str]) -> None:
    """Renew a projected volume as the kubelet does: a new folder, then one rename of a symlink."""
    version = folder / f"..{name}"
    version.mkdir(parents=True)
    for file, text in files.items():
        (version / file).write_text(text)
    (folder / "..data_tmp").symlink_to(version.name)
    (folder / "..data_tmp").rename(folder / "..data")
    for file in files:
        if not (folder / file).is_symlink():
            (folder / file).symlink_to(f"..data/{file}")


async def handshake(port: int) -> str:
    """The name in the certificate that is shown; empty while there is none."""
    shown = await asyncio.to_thread(
        subprocess.run,
        ["timeout", "3", "openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-alpn", "h2"],
        input=b"",
        capture_output=True,
        check=False,
    )
    found = re.search(rb"subject=CN ?= ?(\S+)", shown.stdout)
    return found[1].decode() if found else ""


async def until_shown(port: int, name: str) -> None:
    async def shown() -> bool:
        return await handshake(port) == name

    await until(shown, limit=10)


@pytest.mark.parametrize("begin", ["with", "without"])
async def test_a_certificate_is_taken_up_and_renewed_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: str
) -> None:
    monkeypatch.setattr(router, "CONFIG_DIR", str(tmp_path / "router"))
    tls = tmp_path / "web"
    mount(tls, "placeholder", placeholder.files())
    if begin == "with":
        issue(tls, "first")
    pod = await Pod().start()
    async with plane(tmp_path, tls_secrets={"web": tls}) as routed:
        other = Plane(routed.server, routed.router, name="plain")
        encrypted = [
            routed.made(1, backend("r1", 100, pod), tls_secret="web"),
            other.made(1, backend("r1", 100, pod)),
        ]
        routed.server.publish(NAMESPACE, encrypted)
        await until(lambda: serves(other.port, 1))
        await until(lambda: serves(routed.port, 1))
        assert (await get(other.port)).status == 200
        assert await handshake(routed.port) == (
            "first" if begin == "with" else "no-certificate-yet.modeldeploy.internal"
        )

        issue(tls, "second")
        await until_shown(routed.port, "second")
        mount(tls, "broken", {"tls.crt": "no certificate", "tls.key": "no key"})
        await asyncio.sleep(0.5)
        assert await handshake(routed.port) == "second"
        issue(tls, "third")
        await until_shown(routed.port, "third")

        plain = await get(routed.port, host="recogniser")
        assert (plain.status, plain.headers["location"]) == (301, "https://recogniser/")
        context = ssl.create_default_context(cafile=str(tls / "tls.crt"))
        context.check_hostname = False
        reader, writer = await asyncio.open_connection("127.0.0.1", routed.port, ssl=context)
        writer.write(b"GET / HTTP/1.1\r\nhost: recogniser\r\n\r\n")
        assert b"200" in await reader.readline()
        writer.close()
    await end_pods()
