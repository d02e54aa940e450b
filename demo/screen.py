"""What the person at the terminal sees; elsewhere one line for every change."""

import time
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from demo.observer import Observer
from demo.traffic import Traffic
from modeldeploy.cli import lines, view
from modeldeploy.cli.look import Look

REDRAW = 0.25
REPORT = 5.0
"""Seconds between two lines about the load where nothing is drawn."""
MANY_NULLS = 0.05


class Missed(Exception):  # noqa: N818 - the outcome of a demo, told to people
    """Something that the demo shows did not happen; the message says what."""


class Screen:
    """Draws on a terminal, writes lines elsewhere.

    Args:
        console: Where to.

    Attributes:
        observer: Sees the object, once there is one.
        traffic: The load, once there is one.
        zero: When T+0 was, in seconds since 1970.
    """

    def __init__(self, console: Console) -> None:
        self.observer: Observer | None = None
        self.traffic: Traffic | None = None
        self.zero = time.time()
        self._console = console
        self._live: Live | None = None
        self._before: Look | None = None
        self._told = 0
        self._reported = time.monotonic()

    def act(self, title: str) -> None:
        """Begin something new; what was drawn so far stays."""
        self.end()
        if not self._console.is_terminal:
            self._say(f"== {title}")
            return
        self._console.print()
        self._console.print(Rule(Text(title, "bold"), align="left", style="bright_black"))
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        self._live.start()

    def end(self) -> None:
        """Draw no more."""
        if self._live:
            self._live.stop()
            self._live = None

    def wait(self, until: Callable[[], bool], *, awaited: str, timeout: float) -> None:
        """Show what happens until something is so.

        Args:
            until: Whether it is so.
            awaited: What is waited for, in words.
            timeout: Seconds after which it counts as missed.

        Raises:
            Missed: It was not so in time.
        """
        deadline = time.monotonic() + timeout
        while not until():
            if time.monotonic() > deadline:
                raise Missed(f"{awaited} did not happen within {timeout:g} s; {self._said()}")
            self._show()
            time.sleep(REDRAW)
        self._show()

    def linger(self, seconds: float) -> None:
        """Show what happens for so many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._show()
            time.sleep(REDRAW)

    def _said(self) -> str:
        look = self.observer.look if self.observer else None
        notice = self.observer.notice if self.observer else ""
        return notice or f"the object says: {(look and look.message) or 'nothing yet'}"

    def _show(self) -> None:
        if self.traffic:
            self.traffic.look()
        if self._live:
            self._live.update(self._frame(), refresh=True)
        else:
            self._write_news()

    def _frame(self) -> RenderableType:
        observer = self.observer
        if observer is None or observer.look is None:
            return Text(self._said(), "yellow")
        load = _load(observer, self.traffic) if self.traffic else None
        drawn = view.view(observer.look, observer.events, observer.notice, beside=load)
        return Group(Text(self._clock(), "bright_black"), drawn)

    def _write_news(self) -> None:
        observer = self.observer
        if observer is None:
            return
        for seen in observer.since(self._before):
            for line in lines.differences(self._before, seen.look):
                self._say(line)
            self._before = seen.look
        for event in observer.events[self._told :]:
            self._say(f"Event {lines.event(event)}")
            self._told += 1
        if self.traffic and time.monotonic() - self._reported >= REPORT:
            self._reported = time.monotonic()
            self._say(f"load: {_load_line(observer, self.traffic)}")

    def _say(self, text: str) -> None:
        self._console.print(f"{self._clock()}  {text}", markup=False, highlight=False, soft_wrap=True)

    def _clock(self) -> str:
        return f"T+{time.time() - self.zero:5.1f} s"


def _load(observer: Observer, traffic: Traffic) -> RenderableType:
    """The load, and who answers it."""
    now = traffic.now
    p95 = f"p95 {now.p95 * 1000:.0f} ms" if now.p95 is not None else ""
    on_purpose = f"  {now.deliberate} errors made on purpose" if now.deliberate else ""
    head = Text.assemble(
        ("load  ", "bold"),
        f"{now.sent} requests sent  ",
        (f"{now.failures} failed", "bold red" if now.failures else "green"),
        (on_purpose, "yellow"),
        f"  {p95}",
    )
    table = Table.grid(padding=(0, 2, 0, 0))
    for side in ("left", "right", "right", "right"):
        table.add_column(justify=side, no_wrap=True)
    for rate in traffic.rates():
        table.add_row(
            f"  {observer.version_of(rate.revision)}",
            f"{rate.answers:.1f} answers/s",
            Text(f"{rate.errors:.1f} errors/s", "red" if rate.errors else ""),
            Text(f"{rate.nulls:.0%} null", "red" if rate.nulls > MANY_NULLS else ""),
        )
    return Group(head, table)


def _load_line(observer: Observer, traffic: Traffic) -> str:
    now = traffic.now
    by_revision = [
        f"{observer.version_of(rate.revision)} {rate.answers:.1f}/s "
        f"({rate.errors:.1f} errors/s, {rate.nulls:.0%} null)"
        for rate in traffic.rates()
    ]
    return f"{now.sent} sent, {now.failures} failed; {', '.join(by_revision) or 'no answers now'}"
