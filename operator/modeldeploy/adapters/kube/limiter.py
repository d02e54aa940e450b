"""A token bucket: so many writes a second, with room for a burst."""

import asyncio
import time
from collections.abc import Callable


class Limiter:
    """Hands out turns in order.

    Args:
        rate: Turns per second, above 0.
        burst: Turns that may be taken at once after a rest, at least 1.
        clock: Monotonic seconds.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._tokens = float(burst)
        self._at = clock()

    def reserve(self) -> float:
        """Take a turn now and say in how many seconds it comes."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate) - 1.0
        self._at = now
        return max(0.0, -self._tokens / self._rate)

    async def turn(self) -> None:
        """Wait for a turn."""
        delay = self.reserve()
        if delay > 0.0:
            await asyncio.sleep(delay)
