"""Send held-out images to the digits model at a steady rate and count everything that isn't a good answer.

``python -m digits.load http://127.0.0.1:8080 --rate 50 --duration 60``

Requests are sent when they are due, whether or not earlier ones have been answered, so a slow server gets no
less load (an open loop). Progress and the summary are JSON lines. The exit code is 0 only if nothing failed.
From Python::

    load = Load("http://10.96.0.20:8080", rate=100)
    load.start()
    ...
    snapshot = load.stop()
    assert snapshot.clean(), snapshot.first_failure
"""

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import aiohttp

from digits.load_requests import MODEL, body, check_answer, failure_kind, pictures
from digits.load_stats import Snapshot, Tally

REVISION_HEADER = "x-modeldeploy-revision"
FAULT_HEADER = "x-digits-fault"
MAX_RATE = 500.0
MAX_DURATION = 3600.0
LATE_SECONDS = 0.01


class Load:
    """A load in a thread of its own. All methods can be called from any thread.

    Args:
        url: where the model is reached, e.g. ``http://127.0.0.1:8080``; the protocol's path is added.
        rate: requests per second, at most 500.
        duration: seconds after which it stops by itself, at most 3600.
        max_images: a request carries 1 to this many images, drawn evenly.
        missing: share of the pixels that are sent as missing, 0 to 1.
        timeout: seconds that a request may take as a whole.
        max_outstanding: requests that may be waiting for their answer; one more is counted as ``not_sent``.
        seed: of the choice of images.
        headers: sent with every request.

    Raises:
        ValueError: an argument out of its range.
    """

    def __init__(
        self,
        url: str,
        *,
        rate: float = 50.0,
        duration: float = MAX_DURATION,
        max_images: int = 4,
        missing: float = 0.0,
        timeout: float = 10.0,
        max_outstanding: int = 256,
        seed: int = 1,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"url must start with http:// or https://, not {url!r}")
        for name, value, least, most in (
            ("rate", rate, 0.1, MAX_RATE),
            ("duration", duration, 0.1, MAX_DURATION),
            ("max_images", max_images, 1, 64),
            ("missing", missing, 0, 1),
            ("timeout", timeout, 0.1, 600),
            ("max_outstanding", max_outstanding, 1, 10_000),
        ):
            if not least <= value <= most:
                raise ValueError(f"{name} must be from {least:g} to {most:g}, not {value:g}")
        self._url = f"{url.rstrip('/')}/v2/models/{MODEL}/infer"
        self._rate = rate
        self._headers = {"content-type": "application/json", **(headers or {})}
        self._count = max(1, round(rate * duration))
        self._max_images = max_images
        self._timeout = timeout
        self._max_outstanding = max_outstanding
        self._random = random.Random(seed)
        self._pictures = pictures(self._random, missing)
        self._outstanding: set[asyncio.Task[None]] = set()
        self._tally = Tally()
        self._started = 0.0
        self._stop = threading.Event()
        self._wake: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._main, name="digits-load", daemon=True)

    def start(self) -> None:
        """Begin to send.

        Raises:
            RuntimeError: it was started before.
        """
        self._started = time.monotonic()
        self._thread.start()

    def stop(self) -> Snapshot:
        """Send nothing more, wait for the answers still due, at most ``timeout``, and return the end."""
        self.stop_sending()
        return self.join()

    def stop_sending(self) -> None:
        """Send nothing more, and don't wait. May be called from a signal handler."""
        self._stop.set()
        if self._loop is not None and self._wake is not None:
            try:
                self._loop.call_soon_threadsafe(self._wake.set)
            except RuntimeError:
                return  # the loop has ended by itself, so nothing is being sent

    def join(self, timeout: float | None = None) -> Snapshot:
        """Wait until it has ended, or for ``timeout`` seconds, and return the state then."""
        self._thread.join(timeout)
        return self.snapshot()

    @property
    def running(self) -> bool:
        """Whether it is sending or waiting for answers."""
        return self._thread.is_alive()

    def snapshot(self) -> Snapshot:
        """The state now."""
        while True:
            try:
                return self._tally.snapshot(time.time(), time.monotonic() - self._started)
            except RuntimeError:
                continue  # a new key came into one of the tally's dictionaries while it was being copied

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except Exception as error:
            self._tally.fail("crashed", repr(error))
            raise

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        if self._stop.is_set():
            return
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            start = time.monotonic()
            # A group, so that a fault of the load itself ends it and is told, not lost with a task.
            async with asyncio.TaskGroup() as sending:
                for number in range(self._count):
                    if not await self._due(start + number / self._rate):
                        break
                    if len(self._outstanding) >= self._max_outstanding:
                        self._tally.fail("not_sent", f"{len(self._outstanding)} requests were outstanding")
                        continue
                    task = sending.create_task(self._send(session, number))
                    self._outstanding.add(task)
                    task.add_done_callback(self._outstanding.discard)

    async def _due(self, due: float) -> bool:
        """Wait until ``due``; False if the load was stopped."""
        assert self._wake is not None
        delay = due - time.monotonic()
        if delay > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), delay)
        else:
            await asyncio.sleep(0)
        behind = time.monotonic() - due
        if behind > LATE_SECONDS:
            self._tally.late += 1
            self._tally.latest = max(self._tally.latest, round(behind, 4))
        return not self._wake.is_set()

    async def _send(self, session: aiohttp.ClientSession, number: int) -> None:
        count = self._random.randint(1, self._max_images)
        content = body(str(number), self._random.choices(self._pictures, k=count))
        tally = self._tally
        tally.sent += 1
        sent_at, start = time.time(), time.perf_counter()
        try:
            async with session.post(self._url, data=content, headers=self._headers) as response:
                received = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            tally.fail(failure_kind(error), str(error) or type(error).__name__)
        else:
            tally.latencies.add(time.perf_counter() - start)
            self._answered(response, received, sent_at, str(number), count)
        finally:
            tally.done += 1

    def _answered(
        self, response: aiohttp.ClientResponse, content: bytes, sent_at: float, request_id: str, count: int
    ) -> None:
        tally = self._tally
        revision = response.headers.get(REVISION_HEADER)
        seen = tally.seen(revision, sent_at, time.time()) if revision else None
        nulls = 0
        good = False
        if response.status == 500 and FAULT_HEADER in response.headers:  # noqa: PLR2004 - HTTP's
            tally.deliberate += 1
        elif response.status != 200:  # noqa: PLR2004 - HTTP's
            tally.fail(f"http_{response.status}", content[:200].decode(errors="replace"))
        else:
            try:
                version, nulls = check_answer(content, request_id, count)
            except (ValueError, RecursionError) as error:
                tally.fail("bad_answer", str(error))
            else:
                good = True
                tally.ok += 1
                tally.outputs += count
                tally.nulls += nulls
                tally.versions[version] += 1
        if seen is not None:
            seen.ok += good
            seen.errors += not good
            seen.nulls += nulls


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    options = _options(arguments)
    try:
        load = Load(
            options.url,
            rate=options.rate,
            duration=options.duration,
            max_images=options.max_images,
            missing=options.missing,
            timeout=options.timeout,
            seed=options.seed,
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2

    with _signals_call(load.stop_sending):
        load.start()
        while load.running:
            snapshot = load.join(options.report_every)
            if load.running:
                _print("progress", snapshot)
    snapshot = load.snapshot()
    _print("summary", snapshot)
    return 0 if snapshot.clean(expect_errors=options.expect_errors) else 1


@contextlib.contextmanager
def _signals_call(stop: Callable[[], None]) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda _number, _frame: stop()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _print(kind: str, snapshot: Snapshot) -> None:
    print(json.dumps({"kind": kind, **snapshot.as_dict()}), flush=True)


def _options(arguments: Sequence[str] | None) -> Any:
    parser = argparse.ArgumentParser(
        prog="python -m digits.load",
        description="Send held-out images to the digits model at a steady rate, and count what fails.",
        epilog="Exit code 0: nothing failed; 1: something did, or nothing was sent; 2: wrong arguments.",
    )
    parser.add_argument("url", help="where the model is reached, e.g. http://127.0.0.1:8080")
    parser.add_argument(
        "--rate", type=float, default=50.0, help="requests per second, at most 500 (default: 50)"
    )
    parser.add_argument("--duration", type=float, default=60.0, help="seconds, at most 3600 (default: 60)")
    parser.add_argument("--max-images", type=int, default=4, help="a request has 1 to N images (default: 4)")
    parser.add_argument(
        "--missing", type=float, default=0.0, help="share of pixels sent as null (default: 0)"
    )
    parser.add_argument(
        "--timeout", type=float, default=10.0, help="seconds a request may take (default: 10)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the choice of images (default: 1)")
    parser.add_argument(
        "--report-every", type=float, default=5.0, help="seconds between reports (default: 5)"
    )
    parser.add_argument(
        "--expect-errors",
        action="store_true",
        help="the errors that v2-errors makes on purpose are no failure",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
