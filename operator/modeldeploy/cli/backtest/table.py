"""The report as it is drawn in a terminal, 100 columns or more."""

from collections.abc import Iterator
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from modeldeploy.api.quantity import spell_duration
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.cli.backtest.report import Report, Trial
from modeldeploy.cli.view import VERDICTS
from modeldeploy.core.backtest import Action, Consequence, Course, Ended
from modeldeploy.core.judgement.wording import bounds
from modeldeploy.core.verdicts import WORST_FIRST

CELLS = 20
"""Characters in which a metric's verdicts over the whole span are shown, each by its worst one."""

WORDS = {
    Ended.PROMOTED: "went on alone (promoted)",
    Ended.WITHDRAWN: "got no more requests (withdrawn)",
    Ended.SUPERSEDED: "gave way to another",
    Ended.OPEN: "still on trial at the end",
}
STYLES = {
    Action.ROLLBACK: "bold red",
    Action.STEP_DOWN: "red",
    Action.RETURN: "red",
    Action.PAUSE: "yellow",
    Action.FLAG: "yellow",
    Action.TELL: "",
}

DONE = {
    Action.ROLLBACK: "rolled back",
    Action.STEP_DOWN: "taken a step back",
    Action.RETURN: "traffic returned to see whether stable recovers",
    Action.PAUSE: "paused",
}

COLUMNS = ("metric", "bounds", "verdicts", "first breach", "value", "breaches", "action")


def table(report: Report) -> RenderableType:
    """Everything about one replay."""
    return Group(
        _head(report), *_who(report), Text(), _metrics(report), Text(), _legend(), Text(), _hints(report)
    )


def _head(report: Report) -> Text:
    span = spell_duration((report.end - report.begin).total_seconds())
    where = f"  in {report.who.namespace}, {_stamp(report.begin)} to {_stamp(report.end)} UTC"
    return Text.assemble(
        (report.who.name, "bold"), where, f" ({span}, {report.looks} looks, every {report.interval})"
    )


def _who(report: Report) -> Iterator[Text]:
    for trial in report.trials:
        yield _trial(trial)
    if not report.trials:
        yield Text(f"watch of {report.watched}; no candidate was on trial")
    first = report.first
    if first is None:
        yield Text("nothing would have been rolled back or paused", style="green")
    else:
        at, action, name = first
        what = DONE[action]
        yield Text(f"first action: {what} at {_stamp(at)} because of {name}", style=STYLES[action])


def _trial(trial: Trial) -> Text:
    span = f"{_stamp(trial.begin)} to {trial.end:%H:%M:%S}"
    return Text(f"trial {trial.candidate} against {trial.stable}, {span}: {WORDS[trial.ended]}")


def _metrics(report: Report) -> Table:
    drawn = Table(box=None, header_style="bright_black", pad_edge=False, padding=(0, 2, 0, 0))
    for name in COLUMNS:
        drawn.add_column(name, no_wrap=name in ("metric", "verdicts"), overflow="fold")
    for course in report.courses:
        metric = course.planned.metric
        drawn.add_row(
            Text(metric.name, "bold"), Text(bounds(metric)), _bar(report, course), *_breaches(report, course)
        )
    return drawn


def _breaches(report: Report, course: Course) -> tuple[Text, ...]:
    if not course.firings:
        return Text("-"), Text("-"), Text("0"), Text("-")
    firing, looks = course.firings[0], course.verdicts[Verdict.BREACH]
    after = spell_duration(report.since_start(firing))
    return (
        Text(f"{_clock(report, firing.begin)} (+{after})"),
        Text(firing.shown or "-"),
        Text(f"{len(course.firings)} ({looks} look{'' if looks == 1 else 's'})"),
        Text(_done(course), STYLES[_gravest(course).action]),
    )


def _gravest(course: Course) -> Consequence:
    order = list(Action)
    return min((firing.gravest[1] for firing in course.firings), key=lambda one: order.index(one.action))


def _done(course: Course) -> str:
    """What the first firing led to, and what a graver later one did."""
    begun, first = course.firings[0].done[0]
    words = _words(first)
    graver = _gravest(course)
    if graver.action is first.action:
        return words
    at = next(at for firing in course.firings for at, led_to in firing.done if led_to.action is graver.action)
    return f"{words}, then {_words(graver)} {spell_duration((at - begun).total_seconds())} later"


def _words(led_to: Consequence) -> str:
    flags = ", ".join(led_to.flags)
    if led_to.action is Action.FLAG:
        return f"flag {flags}"
    word = "told only" if led_to.action is Action.TELL else str(led_to.action)
    return f"{word}, flag {flags}" if flags else word


def _bar(report: Report, course: Course) -> Text:
    begin, end = report.begin.timestamp(), report.end.timestamp()
    worst: list[Verdict | None] = [None] * CELLS
    stretches = [(at.timestamp(), verdict) for at, verdict in course.stretches]
    ends = [at for at, _ in stretches[1:]] + [end + 1.0]
    for (since, verdict), until in zip(stretches, ends, strict=True):
        first, last = (_cell(at, begin, end) for at in (since, until - 1e-3))
        for cell in range(first, last + 1):
            known = worst[cell]
            if known is None or WORST_FIRST.index(verdict) < WORST_FIRST.index(known):
                worst[cell] = verdict
    return Text.assemble(*(VERDICTS[str(verdict)] if verdict else " " for verdict in worst))


def _cell(at: float, begin: float, end: float) -> int:
    return min(CELLS - 1, max(0, int(CELLS * (at - begin) / (end - begin))))


def _legend() -> Text:
    parts = [part for name, (mark, style) in VERDICTS.items() for part in ((mark, style), f" {name}  ")]
    return Text.assemble("verdicts, the worst of each time: ", *parts, style="bright_black")


def _hints(report: Report) -> Table:
    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(style="bold", no_wrap=True)
    drawn.add_column(overflow="fold")
    for course in report.courses:
        said = Text.assemble(report.hint(course), (_undecided(course), "bright_black"))
        drawn.add_row(course.planned.metric.name, said)
    return drawn


def _undecided(course: Course) -> str:
    counts = [
        f"{course.verdicts[verdict]} {verdict}"
        for verdict in (Verdict.ERROR, Verdict.NO_DATA, Verdict.INCONCLUSIVE)
        if course.verdicts[verdict]
    ]
    return f" ({', '.join(counts)} of {course.verdicts.total()} looks)" if counts else ""


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _clock(report: Report, at: datetime) -> str:
    return f"{at:%H:%M:%S}" if report.begin.date() == report.end.date() else f"{at:%m-%d %H:%M:%S}"
