"""A clock that stands still until it is told to go on."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class ManualTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """Implements `modeldeploy.adapters.clock.Clock`; `rings` counts the timers that went off."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.rings = 0
        self._epoch = datetime(2026, 11, 22, tzinfo=UTC)
        self._order = itertools.count()
        self._timers: list[tuple[float, int, ManualTimer]] = []

    def now(self) -> datetime:
        return self._epoch + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def call_at(self, when: float, callback: Callable[[], None]) -> ManualTimer:
        timer = ManualTimer(callback)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    @property
    def armed(self) -> int:
        """Timers that would still go off."""
        return sum(timer.callback is not None for _, _, timer in self._timers)

    async def advance(self, seconds: float) -> None:
        """Let time pass, timers ring in order, and whatever they started come to rest."""
        end = self.seconds + seconds
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heapq.heappop(self._timers)
            self.seconds = max(self.seconds, when)
            if timer.callback is not None:
                self.rings += 1
                timer.callback()
            await settle()
        self.seconds = end
        await settle()


async def settle() -> None:
    """Give every task that can go on the time to do so."""
    for _ in range(8):
        await asyncio.sleep(0)
