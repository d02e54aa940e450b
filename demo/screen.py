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
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.zero = time.time()
        """When T+0 was."""
        self._before: Look | None = None
        self._told = 0

    def act(self, title: str) -> None:
        """Begin something new."""
        if self.console.is_terminal:
            self.console.print()
            self.console.print(Rule(Text(title, "bold"), align="left", style="bright_black"))
        else:
            self.say(f"== {title}")

    def say(self, text: str) -> None:
        """A line with the time."""
        self.console.print(f"{self._clock()}  {text}", markup=False, highlight=False, soft_wrap=True)

    def follow(
        self,
        observer: Observer,
        until: Callable[[], bool],
        *,
        awaited: str,
        timeout: float,
        traffic: Traffic | None = None,
    ) -> None:
        """Show what happens until something is so.

        Args:
            observer: Sees the object.
            until: Whether it is so.
            awaited: What is waited for, in words.
            timeout: Seconds after which it counts as missed.
            traffic: The load, once there is one.

        Raises:
            Missed: It was not so in time.
        """
        draw = self._drawn if self.console.is_terminal else self._written
        if not draw(observer, traffic, until, time.monotonic() + timeout):
            said = observer.notice or (observer.look.message if observer.look else "the object was not seen")
            raise Missed(
                f"{awaited} did not happen within {timeout:g} s; the object says: {said or 'nothing yet'}"
            )

    def linger(self, observer: Observer, traffic: Traffic, seconds: float) -> None:
        """Show what happens for so many seconds."""
        end = time.monotonic() + seconds
        self.follow(
            observer, lambda: time.monotonic() >= end, awaited="time", timeout=seconds + 60, traffic=traffic
        )

    def _drawn(
        self, observer: Observer, traffic: Traffic | None, until: Callable[[], bool], deadline: float
    ) -> bool:
        with Live(console=self.console, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                so = until()
                live.update(self._frame(observer, traffic), refresh=True)
                if so or time.monotonic() > deadline:
                    return so
                time.sleep(REDRAW)

    def _written(
        self, observer: Observer, traffic: Traffic | None, until: Callable[[], bool], deadline: float
    ) -> bool:
        reported = time.monotonic()
        while True:
            so = until()
            self._write_news(observer)
            if traffic:
                traffic.now()
                if time.monotonic() - reported >= REPORT:
                    reported = time.monotonic()
                    self.say(f"load: {_load_line(observer, traffic)}")
            if so or time.monotonic() > deadline:
                return so
            time.sleep(REDRAW)

    def _write_news(self, observer: Observer) -> None:
        for seen in observer.since(self._before):
            for line in lines.differences(self._before, seen.look):
                self.say(line)
            self._before = seen.look
        for event in observer.events[self._told :]:
            self.say(f"Event {lines.event(event)}")
            self._told += 1

    def _frame(self, observer: Observer, traffic: Traffic | None) -> RenderableType:
        parts: list[RenderableType] = [Text(self._clock(), "bright_black")]
        load = _load(observer, traffic) if traffic else None
        if observer.look:
            parts.append(view.view(observer.look, observer.events, observer.notice, beside=load))
        else:
            parts.append(Text(observer.notice or "waiting for the object", "yellow"))
        return Group(*parts)

    def _clock(self) -> str:
        return f"T+{time.time() - self.zero:5.1f} s"


def _load(observer: Observer, traffic: Traffic) -> RenderableType:
    """The load, and who answers it."""
    now = traffic.now()
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
    now = traffic.now()
    by_revision = (
        f"{observer.version_of(rate.revision)} {rate.answers:.1f}/s "
        f"({rate.errors:.1f} errors/s, {rate.nulls:.0%} null)"
        for rate in traffic.rates()
        if rate.answers
    )
    return f"{now.sent} sent, {now.failures} failed; {', '.join(by_revision)}"
