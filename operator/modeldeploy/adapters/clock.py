"""Time, as something that is handed in."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """A callback that is still to come."""

    def cancel(self) -> None:
        """Drop the callback; harmless once it has run."""


class Clock(Protocol):
    """Where the shell reads time and asks to be woken."""

    def now(self) -> datetime:
        """The date and time, in UTC; for what is written and compared across processes."""

    def monotonic(self) -> float:
        """Seconds that never jump; for durations within this process."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` once `monotonic()` has reached `when` (seconds), on the event loop's thread."""


class SystemClock:
    """The machine's own clocks and the running event loop's timers."""

    def now(self) -> datetime:
        """The date and time, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment."""
        return time.monotonic()

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` at `when`, in seconds of `monotonic()`."""
        loop = asyncio.get_running_loop()
        return loop.call_later(max(0.0, when - time.monotonic()), callback)
