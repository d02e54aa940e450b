"""What is shown, from an object that is seen without a cluster."""

import time
from collections.abc import Callable, Mapping
from io import StringIO
from typing import Any, cast

import pytest
from rich.console import Console

from demo.observer import Observer, Seen
from demo.screen import Missed, Screen
from demo.traffic import Rate, Traffic
from digits.load_stats import RevisionSeen
from modeldeploy.cli.look import Look, read
from unit.cli.rollouts import digits, event, on_trial
from unit.demo.snapshots import snapshot

pytestmark = pytest.mark.unit


class Given:
    """An observer that is told what it sees."""

    def __init__(self) -> None:
        self.all: list[Seen] = []
        self.events: list[Mapping[str, Any]] = []
        self.notice = ""

    def sees(self, obj: dict[str, Any]) -> None:
        self.all.append(Seen(time.time(), read(obj)))

    @property
    def look(self) -> Look | None:
        return self.all[-1].look if self.all else None

    def since(self, look: Look | None) -> list[Seen]:
        known = [index for index, seen in enumerate(self.all) if seen.look is look]
        return self.all[known[-1] + 1 if known else 0 :]

    def version_of(self, revision: str) -> str:
        return {"1f614960": "v1", "d227f256": "v2"}[revision]


class Steady:
    """A load whose rates are known."""

    now = snapshot(sent=500, p95=0.012, revisions={"1f614960": RevisionSeen(answers=450)})

    def look(self) -> None: ...

    def rates(self) -> list[Rate]:
        return [Rate("1f614960", 45.0, 0.0, 0.0), Rate("d227f256", 5.0, 0.5, 0.24)]


def screen(*, terminal: bool, width: int = 90) -> tuple[Screen, Given, StringIO]:
    out = StringIO()
    made = Screen(Console(file=out, force_terminal=terminal, width=width, height=50, color_system=None))
    observer = Given()
    made.observer = cast("Observer", observer)
    return made, observer, out


def after(looks: int, then: Callable[[], None] = lambda: None) -> Callable[[], bool]:
    """So after so many looks; `then` runs with the first."""
    left = [looks]

    def until() -> bool:
        if left[0] == looks:
            then()
        left[0] -= 1
        return left[0] < 0

    return until


def test_without_a_terminal_each_change_is_one_line_with_its_time() -> None:
    shown, observer, out = screen(terminal=False)
    shown.act("v2 is applied")
    observer.sees(digits())

    def more() -> None:
        observer.sees(on_trial(10))
        observer.events.append(event("StepStarted", "version v2 gets 10%"))

    shown.wait(after(1, more), awaited="it", timeout=10)
    lines = [line[11:] for line in out.getvalue().splitlines()]
    assert lines[:4] == [
        "== v2 is applied",
        "Healthy | v1 100% | version v1 serves",
        "Progressing | step 1/2 | v1 90%, v2 10% | canary v2 at 10%: step 1 of 2",
        "p95: Pass - p95 12 ms of 90",
    ]
    assert lines[-1] == "Event Normal StepStarted: version v2 gets 10%"
    assert all(line.startswith("T+") for line in out.getvalue().splitlines())


def test_on_a_terminal_load_and_rollout_are_drawn_together() -> None:
    shown, observer, out = screen(terminal=True)
    shown.traffic = cast("Traffic", Steady())
    observer.sees(on_trial(10, "Breach"))
    shown.act("v2 is applied")
    shown.wait(after(1), awaited="it", timeout=10)
    shown.end()
    text = out.getvalue()
    for part in ("500 requests sent", "0 failed", "p95 12 ms", "5.0 answers/s", "24% null", "✗ Breach", "━"):
        assert part in text


def test_what_does_not_come_in_time_is_missed_with_the_objects_own_words() -> None:
    shown, observer, _ = screen(terminal=False)
    observer.sees(on_trial(10))
    with pytest.raises(
        Missed, match=r"the rollback of v2 did not happen within 0\.3 s; the object says: canary"
    ):
        shown.wait(lambda: False, awaited="the rollback of v2", timeout=0.3)


def test_a_lost_connection_is_named_first() -> None:
    shown, observer, _ = screen(terminal=False)
    observer.notice = "the API server doesn't answer: refused"
    with pytest.raises(Missed, match="did not happen within 0 s; the API server doesn't answer: refused"):
        shown.wait(lambda: False, awaited="it", timeout=0)
