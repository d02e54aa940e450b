"""What the router adds to an answer: the same pod through the Service `<name>`, and at its own address."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import uvloop

from bench.figure import Figure, quantile
from cluster.progress import say
from e2e.reach import Object, until
from e2e.support import Place

RATE = 500.0
CONNECTIONS = 16
TURNS = 10
SECONDS = 3.0
"""Of each turn; the two ways take turns, so that what else the machine does meets both."""
BAR_MS = 1.0
NAME = "trivial"
PORT = 8080
SERVER = """
import asyncio

async def serve(reader, writer):
    try:
        while await reader.readuntil(b"\\r\\n\\r\\n"):
            writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nok")
    except (OSError, asyncio.IncompleteReadError):
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "0.0.0.0", 8080)
    await server.serve_forever()

asyncio.run(main())
"""


def measure(place: Place) -> list[Figure]:
    """Medians and 99th percentiles over all turns, as differences; nothing where pods can't be reached."""
    if not place.installed.cluster.pod_reachable:
        say("  router_overhead_ms: no way to this cluster's pods from here")
        return []
    place.apply(_manifest(place))
    place.until_ready("v1", name=NAME, timeout=180)
    (pod,) = until(lambda: list(_pods(place)), "the trivial pod", timeout=60)
    with place.reach(NAME) as url:
        service = urlsplit(url)
        ways = {"direct": (pod["status"]["podIP"], PORT), "router": (service.hostname, service.port or 80)}
        taken = uvloop.run(_turns(ways))
    place.api.delete("ModelDeployment", place.namespace, NAME)
    return [
        _figure("p50", taken, 0.5, BAR_MS),
        _figure("p99", taken, 0.99, None),
    ]


def _figure(called: str, taken: dict[str, list[float]], share: float, bar: float | None) -> Figure:
    direct, router = (1000 * quantile(taken[way], share) for way in ("direct", "router"))
    unit = f"ms more than the pod alone, at {RATE:g} requests/s"
    return Figure(
        "router_overhead_ms", router - direct, unit, bar, baseline=direct, keys={"quantile": called}
    )


async def _turns(ways: dict[str, tuple[str | None, int]]) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(TURNS + 1):
        order = list(ways.items())[:: 1 if turn % 2 else -1]
        for way, (host, port) in order:
            found = await _turn(str(host), port)
            if turn:  # the first one only warms up
                taken[way] += found
    for way, found in taken.items():
        say(f"  {way}: median {1000 * statistics.median(found):.2f} ms of {len(found)} answers")
    return taken


async def _turn(host: str, port: int) -> list[float]:
    started = time.monotonic()
    clients = [_Client(host, port, started + number / RATE) for number in range(CONNECTIONS)]
    await asyncio.gather(*(client.run(started + SECONDS) for client in clients))
    return [one for client in clients for one in client.taken]


@dataclass
class _Client:
    """One connection, with a request whenever it is due; it is made anew outside of what is measured."""

    host: str
    port: int
    due: float
    taken: list[float] = field(default_factory=list)

    async def run(self, end: float) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        while self.due < end:
            await asyncio.sleep(max(0.0, self.due - time.monotonic()))
            sent = time.monotonic()
            writer.write(f"GET / HTTP/1.1\r\nhost: {self.host}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)
            self.taken.append(time.monotonic() - sent)
            assert head.startswith(b"HTTP/1.1 200"), head
            self.due += CONNECTIONS / RATE
            if b"connection: close" in head.lower():
                writer.close()
                reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.close()


def _manifest(place: Place) -> Object:
    container = {"name": "model", "command": ["python3", "-c", SERVER]}
    server = {
        "runtime": "Custom",
        "port": PORT,
        "image": place.installed.images["digits:v1"],
        "podTemplate": {"spec": {"containers": [container]}},
    }
    digits = place.manifest("v1", name=NAME)
    return {
        **{key: digits[key] for key in ("apiVersion", "kind", "metadata")},
        "spec": {"model": {"version": "v1"}, "server": server},
    }


def _pods(place: Place) -> Sequence[Object]:
    return [
        pod
        for pod in place.api.list("Pod", place.namespace, f"modeldeploy.dev/name={NAME}")
        if pod["status"].get("podIP") and not pod["metadata"].get("deletionTimestamp")
    ]
