"""A keyed work queue: which key is worked on, when, and never twice at once.

A key is woken by an event, by its due time, or by the retry of a failed run. However often it is woken, it
waits once; a wake during its run is one more run afterwards. Keys run in the order in which they were woken,
each in a task of its own, at most `workers` at a time. With nothing due, nothing runs: there is no polling.

While the gate is shut (this replica does not lead), keys gather and nothing runs.

All methods belong to the event loop's thread; from another one use `loop.call_soon_threadsafe`.
"""

import asyncio
import heapq
import itertools
import logging
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from modeldeploy.adapters.clock import Clock, SystemClock, Timer

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
Due = datetime | float
"""A moment: an aware datetime, or seconds of the clock's `monotonic()`."""

_SLACK = 64
"""Stale entries that the heap may hold before it is rebuilt."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a failing key rests: `first` seconds, doubled by each further failure, up to `longest`."""

    first: float = 1.0
    longest: float = 60.0

    def delay(self, failures: int, dice: Callable[[], float]) -> float:
        """Seconds to rest after so many failures in a row.

        Args:
            failures: At least 1.
            dice: Numbers in [0, 1). Half of the delay is left to chance, so that keys that failed together
                don't come back together.
        """
        whole = min(self.longest, self.first * 2.0 ** min(failures - 1, 30))
        return whole * (0.5 + 0.5 * dice())


@dataclass(slots=True)
class Counts:
    """What the queue has done since it was made.

    Attributes:
        wakes: Keys that began to wait.
        coalesced: Wakes of keys that were waiting already.
        runs: Runs begun.
        failures: Runs that raised.
        waited: Seconds that keys waited from wake to run, summed.
    """

    wakes: int = 0
    coalesced: int = 0
    runs: int = 0
    failures: int = 0
    waited: float = 0.0


class Engine(Generic[K]):
    """Runs `work` for every woken key.

    Args:
        work: What to do for a key. Returns when the key is due again without being woken, or None. When it
            raises, the key is tried again after a back-off, or later if the exception has a `retry_after` in
            seconds.
        workers: Keys that may run at the same time.
        backoff: Rest after failures; forgotten by a success.
        clock: Time and timers.
        dice: Numbers in [0, 1) for the back-off's jitter.
    """

    def __init__(
        self,
        work: Callable[[K], Awaitable[Due | None]],
        *,
        workers: int = 8,
        backoff: Backoff | None = None,
        clock: Clock | None = None,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self.counts = Counts()
        self._work = work
        self._workers = workers
        self._backoff = backoff or Backoff()
        self._clock = clock or SystemClock()
        self._dice = dice
        self._open = False
        self._stopped = False
        self._waiting: OrderedDict[K, float] = OrderedDict()
        self._again: dict[K, float] = {}
        self._running: dict[K, tuple[float, asyncio.Task[None]]] = {}
        self._failed: dict[K, int] = {}
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()
        self._timer: Timer | None = None
        self._timer_at = 0.0

    @property
    def acting(self) -> bool:
        """Whether keys are run, not only gathered."""
        return self._open

    @property
    def depth(self) -> int:
        """Keys that wait for a run."""
        return len(self._waiting) + len(self._again)

    @property
    def running(self) -> int:
        """Keys that are being run."""
        return len(self._running)

    def open(self) -> None:
        """Start to act: run what has gathered, and what comes."""
        if not self._stopped:
            self._open = True
            self._pump()

    def shut(self) -> None:
        """Begin no further run. What runs goes on to its end; its writes are fenced by resourceVersion."""
        self._open = False

    def wake(self, key: K) -> None:
        """Run the key as soon as a worker is free."""
        if self._stopped:
            return
        if key in self._waiting or key in self._again:
            self.counts.coalesced += 1
            return
        self.counts.wakes += 1
        queue = self._again if key in self._running else self._waiting
        queue[key] = self._clock.monotonic()
        self._pump()

    def wake_all(self, keys: Iterable[K]) -> None:
        """Run all these keys, in this order."""
        for key in keys:
            self.wake(key)

    def wake_at(self, key: K, due: Due) -> None:
        """Run the key at that moment at the latest; an earlier due time of the key stays."""
        if self._stopped:
            return
        now = self._clock.monotonic()
        when = due if isinstance(due, int | float) else now + (due - self._clock.now()).total_seconds()
        if self._due.get(key, float("inf")) <= when:
            return
        self._due[key] = when
        heapq.heappush(self._heap, (when, next(self._order), key))
        if len(self._heap) > 2 * len(self._due) + _SLACK:
            self._rebuild()
        self._arm()

    def forget(self, key: K) -> None:
        """The key's object is gone: drop its wakes, due time and failures. A run in progress goes on."""
        self._waiting.pop(key, None)
        self._again.pop(key, None)
        self._due.pop(key, None)
        self._failed.pop(key, None)
        self._arm()

    def lag(self) -> float:
        """Seconds since the oldest key that is woken and not done became so; 0 when none is, or while shut.

        A liveness probe asks for this: it grows when a run hangs or the workers don't keep up.
        """
        if not self._open:
            return 0.0
        since = [*self._waiting.values(), *self._again.values(), *(at for at, _ in self._running.values())]
        return max(0.0, self._clock.monotonic() - min(since)) if since else 0.0

    async def stop(self, grace: float = 10.0) -> None:
        """Begin nothing more, give what runs `grace` seconds to end, then cancel it. For good."""
        self._open = False
        self._stopped = True
        self._waiting.clear()
        self._again.clear()
        self._due.clear()
        self._rebuild()
        self._arm()
        tasks = [task for _, task in self._running.values()]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=grace)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    def _pump(self) -> None:
        while self._open and self._waiting and len(self._running) < self._workers:
            key, since = self._waiting.popitem(last=False)
            self._due.pop(key, None)  # the run says anew when it is due
            self.counts.runs += 1
            self.counts.waited += max(0.0, self._clock.monotonic() - since)
            task = asyncio.get_running_loop().create_task(self._run(key))
            self._running[key] = (since, task)

    async def _run(self, key: K) -> None:
        due: Due | None = self._clock.monotonic() + self._backoff.first  # should the run be cancelled
        try:
            due = await self._work(key)
            self._failed.pop(key, None)
        except Exception as error:  # noqa: BLE001 - whatever a run raises, the key must come back
            due = self._after_failure(key, error)
        finally:
            self._settle(key, due)

    def _settle(self, key: K, due: Due | None) -> None:
        del self._running[key]
        if due is not None:
            self.wake_at(key, due)
        woken = self._again.pop(key, None)
        if woken is not None:
            self._waiting[key] = woken
        self._pump()

    def _after_failure(self, key: K, error: Exception) -> float:
        self.counts.failures += 1
        failures = self._failed.get(key, 0) + 1
        self._failed[key] = failures
        delay = max(self._backoff.delay(failures, self._dice), getattr(error, "retry_after", None) or 0.0)
        # An error that knows of retries was foreseen: its message says all there is to say.
        unforeseen = None if hasattr(error, "retry_after") else error
        logger.warning(
            "%s failed (%d in a row), again in %.1f s: %s", key, failures, delay, error, exc_info=unforeseen
        )
        return self._clock.monotonic() + delay

    def _ring(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            when, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == when:
                del self._due[key]
                self.wake(key)
        self._arm()

    def _arm(self) -> None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        if self._timer is not None:
            if self._heap and self._timer_at == self._heap[0][0]:
                return
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._timer_at = self._heap[0][0]
            self._timer = self._clock.call_at(self._timer_at, self._ring)

    def _rebuild(self) -> None:
        self._heap = [(when, next(self._order), key) for key, when in self._due.items()]
        heapq.heapify(self._heap)
