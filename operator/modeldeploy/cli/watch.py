"""`modeldeploy watch`: one object, until it is gone or Ctrl-C."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Protocol

from modeldeploy.cli import lines
from modeldeploy.cli.look import Look, read
from modeldeploy.cli.source import Change, Changed, Deleted, Lost, Told

KEPT_EVENTS = 50
REDRAW = 1.0
"""Seconds after which a view is drawn anew without any change: the terminal may have been resized."""


class Output(Protocol):
    """Where changes go."""

    def show(self, change: Change) -> None:
        """One change."""
        ...


class Text:
    """A line with the time of day for every change.

    Args:
        write: Takes a line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._before: Look | None = None

    def show(self, change: Change) -> None:
        """One change."""
        match change:
            case Changed(obj):
                look = read(obj)
                for line in lines.differences(self._before, look):
                    self._say(line)
                self._before = look
            case Told(event):
                self._say(lines.event(event), lines.clock(event))
            case Deleted():
                self._say("deleted")
            case Lost(reason):
                self._say(f"the API server doesn't answer, trying again: {reason}")

    def _say(self, line: str, at: str = "") -> None:
        self._write(f"{at or format(datetime.now().astimezone(), '%H:%M:%S')}  {line}")


class Json:
    """A JSON object on a line of its own for every change; `kind` is `status`, `event`, `deleted` or `lost`.

    Args:
        write: Takes a line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def show(self, change: Change) -> None:
        """One change."""
        now = datetime.now(UTC)
        match change:
            case Changed(obj):
                self._write(lines.status_json(read(obj), now))
            case Told(event):
                self._write(lines.event_json(event, now))
            case Deleted():
                self._write(lines.end_json("deleted", now))
            case Lost(reason):
                self._write(lines.end_json(f"lost: {reason}", now))


class Board:
    """What a view shows: the last look, the last Events, and whether the connection is lost."""

    def __init__(self) -> None:
        self.look: Look | None = None
        self.events: deque[Mapping[str, Any]] = deque(maxlen=KEPT_EVENTS)
        self.notice = ""

    def take(self, change: Change) -> None:
        """Take in one change."""
        self.notice = ""
        match change:
            case Changed(obj):
                self.look = read(obj)
            case Told(event):
                self.events.append(event)
            case Deleted():
                self.notice = "deleted"
            case Lost(reason):
                self.notice = f"the API server doesn't answer, trying again: {reason}"


async def into(changes: AsyncIterator[Change], output: Output) -> None:
    """Show every change until there are no more."""
    async for change in changes:
        output.show(change)


async def live(changes: AsyncIterator[Change]) -> None:
    """Draw the object in place, on a terminal. Needs the package rich."""
    from rich.live import Live  # noqa: PLC0415 - programs that want lines need not have it

    from modeldeploy.cli.view import view  # noqa: PLC0415

    board = Board()
    with Live(auto_refresh=False, vertical_overflow="crop") as terminal:
        async for _ in _steadily(changes, board):
            if board.look:
                terminal.update(view(board.look, board.events, board.notice), refresh=True)


async def _steadily(changes: AsyncIterator[Change], board: Board) -> AsyncIterator[None]:
    """Yield after every change, and at least every `REDRAW` seconds."""
    iterator = aiter(changes)
    pending = asyncio.ensure_future(anext(iterator, None))
    try:
        while True:
            done, _ = await asyncio.wait({pending}, timeout=REDRAW)
            if done:
                change = pending.result()
                if change is None:
                    return
                board.take(change)
                pending = asyncio.ensure_future(anext(iterator, None))
            yield
    finally:
        pending.cancel()
        await asyncio.gather(pending, return_exceptions=True)


async def run(changes: AsyncGenerator[Change, None], form: str, write: Callable[[str], None]) -> None:
    """Show changes in one of the forms `live`, `text` and `json`."""
    async with aclosing(changes) as open_changes:
        if form == "live":
            await live(open_changes)
        else:
            await into(open_changes, Json(write) if form == "json" else Text(write))
