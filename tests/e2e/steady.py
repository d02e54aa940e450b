"""A light model and a light load, so that what fails under it is not the machine.

The model is a program of 30 lines in the image of any version; it answers everything with 200, and when it is
told to end it goes on for some seconds with `Connection: close`, as a model's server should.
"""

import asyncio
import contextlib
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

SERVER = """
import asyncio, signal
GRACE = 4
async def main():
    loop, ending = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    async def serve(reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\\r\\n\\r\\n")).lower()
                length = head.partition(b"content-length:")[2].split(b"\\r\\n")[0].strip()
                if length:
                    await reader.readexactly(int(length))
                close = b"connection: close\\r\\n" if ending.is_set() else b""
                writer.write(b"HTTP/1.1 200 OK\\r\\n" + close + b"content-length: 2\\r\\n\\r\\nok")
                await writer.drain()
                if close:
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()
    await asyncio.start_server(serve, "", 8080)
    await ending.wait()
    await asyncio.sleep(GRACE)
asyncio.run(main())
"""
COMMAND = ["python3", "-c", SERVER]
_PATIENCE = 20.0


@dataclass
class Seen:
    """What came of the requests so far.

    Attributes:
        answers: Good ones, by the revision that gave them.
        failures: When (seconds since 1970) and why others had none.
    """

    answers: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[float, str]] = field(default_factory=list)

    @property
    def ok(self) -> int:
        return sum(self.answers.values())


class Steady:
    """Requests at a steady rate over connections that are kept, in a thread of its own.

    Args:
        url: Where.
        rate: Requests a second.
        connections: At the same time; a slow answer delays only those behind it on its connection.
    """

    def __init__(self, url: str, rate: float, connections: int = 16) -> None:
        parts = urlsplit(url)
        self.seen = Seen()
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._rate, self._connections = rate, connections
        self._end = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> Seen:
        self._end.set()
        self._thread.join(_PATIENCE + 5)
        return self.seen

    async def _run(self) -> None:
        await asyncio.gather(*(self._client(number) for number in range(self._connections)))

    async def _client(self, number: int) -> None:
        pause = self._connections / self._rate
        due = time.monotonic() + pause * number / self._connections
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self._end.is_set():
            due = max(due + pause, time.monotonic() - 1.0)  # what a busy machine missed is not sent in one go
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            try:
                async with asyncio.timeout(_PATIENCE):
                    streams = streams or await asyncio.open_connection(self._host, self._port)
                    keeps = await self._exchange(*streams)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                self.seen.failures.append((time.time(), repr(error)))
                keeps = False
            if not keeps and streams:
                streams[1].close()
                streams = None
        if streams:
            streams[1].close()
            with contextlib.suppress(OSError):
                await streams[1].wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection goes on."""
        writer.write(b"GET /v2/models/light HTTP/1.1\r\nhost: light\r\n\r\n")
        await writer.drain()
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if lines[0].split()[1] == "200":
            self.seen.answers[headers.get("x-modeldeploy-revision", "")] += 1
        else:
            self.seen.failures.append((time.time(), f"{lines[0]} {body.decode(errors='replace')[:200]}"))
        return headers.get("connection", "").lower() != "close"
