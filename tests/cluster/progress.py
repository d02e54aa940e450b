"""What a person sees while something takes long: one line a part, with its seconds."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

HEARTBEAT_SECONDS = 30.0
_lock = threading.Lock()


class Step:
    """One part under way; `note` says how far it is."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.detail = ""
        self.started = time.monotonic()

    def note(self, detail: str) -> None:
        """Say how far this part is, for example ``1200 of 3127 packages``."""
        self.detail = detail

    def line(self) -> str:
        """The part as one line, with the seconds since it started."""
        tail = f"  {self.detail}" if self.detail else ""
        return f"  {self.title:<44} {time.monotonic() - self.started:6.1f} s{tail}"


class _Board:
    """The parts under way: on a terminal redrawn in place, elsewhere repeated rarely."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.drawn = 0
        self.worker: threading.Thread | None = None
        self.tty = sys.stderr.isatty()

    def add(self, step: Step) -> None:
        with _lock:
            self.steps.append(step)
            if self.worker is None or not self.worker.is_alive():
                self.worker = threading.Thread(target=self._watch, daemon=True)
                self.worker.start()

    def finish(self, step: Step, mark: str) -> None:
        with _lock:
            self.steps.remove(step)
        self.say(f"{mark}{step.line()[1:]}")

    def say(self, text: str) -> None:
        with _lock:
            self._clear()
            print(text, file=sys.stderr, flush=True)
            self._draw()

    def _watch(self) -> None:
        last = time.monotonic()
        while True:
            time.sleep(0.25)
            with _lock:
                if not self.steps:
                    self.worker = None
                    return
                if self.tty:
                    self._clear()
                    self._draw()
                elif time.monotonic() - last > HEARTBEAT_SECONDS:
                    last = time.monotonic()
                    for step in self.steps:
                        print(f"…{step.line()[1:]}", file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self.drawn:
            sys.stderr.write(f"\x1b[{self.drawn}A\x1b[J")
            self.drawn = 0

    def _draw(self) -> None:
        if self.tty:
            for step in self.steps:
                sys.stderr.write(f"…{step.line()[1:]}\n")
            self.drawn = len(self.steps)
            sys.stderr.flush()


_board = _Board()


def say(text: str) -> None:
    """One plain line for the person waiting."""
    _board.say(text)


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Show a part as under way until the block ends; parts in several threads show together."""
    part = Step(title)
    _board.add(part)
    try:
        yield part
    except BaseException:
        _board.finish(part, "✗")
        raise
    _board.finish(part, "✓")
