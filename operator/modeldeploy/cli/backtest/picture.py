"""The report as a picture: for each metric its values over time, its bounds and its breaches."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from modeldeploy.api.quantity import spell_duration
from modeldeploy.cli.backtest.problem import WrongInput
from modeldeploy.cli.backtest.report import Report
from modeldeploy.core.backtest import Course, phase_at
from modeldeploy.core.judgement.plan import Kind, Plan, value
from modeldeploy.core.judgement.wording import bounds, noun, short

STABLE, CANDIDATE, BOUND, BREACH, TRIAL = "#1b7837", "#2166ac", "#b2182b", "#f4a582", "#e8eef6"
WIDTH, ROW, MARGIN = 11.0, 2.1, 1.3
PAD = 0.08
"""Inches."""
LETTERS = 110
"""What finds room above a panel."""
ROOM = 1.25
"""Times the highest of values and bounds that an axis reaches."""
SETTINGS: dict[str, Any] = {
    "font.size": 10,
    "svg.hashsalt": "modeldeploy",  # the same data gives the same file
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(report: Report, path: Path) -> None:
    """Write the picture; what the name ends in says its format.

    Raises:
        WrongInput: It can't be written there.
    """
    with rc_context(SETTINGS):
        rows = len(report.courses)
        figure = Figure(figsize=(WIDTH, MARGIN + ROW * rows), dpi=120)
        figure.set_layout_engine("constrained", w_pad=PAD, h_pad=PAD)
        FigureCanvasAgg(figure)  # drawn in memory, whatever display there is or isn't
        axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
        for axis, course in zip(axes, report.courses, strict=True):
            _panel(axis, report, course)
        _time(axes[-1], report)
        figure.align_ylabels(axes)
        figure.suptitle(_title(report), fontsize=13, fontweight="bold")
        _legend(figure, compares=any(course.planned.ratio is not None for course in report.courses))
        try:
            # Without a date, likewise.
            dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
            figure.savefig(path, metadata=dates.get(path.suffix.lower()))
        except OSError as error:
            raise WrongInput(f"--picture: {path} can't be written: {error.strerror}") from error


def _title(report: Report) -> str:
    first = report.first
    said = "nothing would have been rolled back or paused"
    if first is not None:
        at, action, name = first
        said = f"{str(action).lower()} at {at:%Y-%m-%d %H:%M:%S} UTC because of {name}"
    return f"{report.who.namespace}/{report.who.name}: {said}"


def _panel(axis: Any, report: Report, course: Course) -> None:
    planned, metric = course.planned, course.planned.metric
    for trial in report.trials:
        axis.axvspan(max(trial.begin, report.begin), trial.end, color=TRIAL, zorder=0, linewidth=0)
    for firing in course.firings:
        axis.axvspan(firing.begin, firing.end, color=BREACH, alpha=0.45, zorder=1, linewidth=0)
        axis.axvline(firing.begin, color=BOUND, linewidth=1.2, zorder=2)
    times, stable, candidate = _values(report, course)
    axis.plot(times, stable, color=STABLE, linewidth=1.4, zorder=3)
    axis.plot(times, candidate, color=CANDIDATE, linewidth=1.6, zorder=4)
    levels = _levels(planned)
    for level in levels:
        axis.axhline(level, color=BOUND, linestyle="--", linewidth=1.2, zorder=3)
    if planned.ratio is not None:
        ratio = planned.ratio
        above = [
            one * ratio if not math.isnan(after) else math.nan
            for one, after in zip(stable, candidate, strict=True)
        ]
        axis.plot(times, above, color=BOUND, linestyle=":", linewidth=1.2, zorder=3)
    title, said = f"{metric.name} ({bounds(metric)})", _said(report, course)
    if len(title) + len(said) > LETTERS:  # the bounds are drawn as well
        title = metric.name
    axis.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axis.set_title(said, loc="right", fontsize=9, color="#444444")
    axis.set_ylabel(_unit(planned), fontsize=9)
    _scale(axis, planned, [*stable, *candidate, *levels])


def _values(report: Report, course: Course) -> tuple[list[datetime], list[float], list[float]]:
    """Times, stable's values and the candidate's; outside trials the subject is stable."""
    stable, candidate = [], []
    for at, subject, beside in zip(course.times, course.subject, course.stable, strict=True):
        on_trial = phase_at(report.phases, at).roles.candidate is not None
        stable.append(beside if on_trial else subject)
        candidate.append(subject if on_trial else math.nan)
    return [datetime.fromtimestamp(at, UTC) for at in course.times], stable, candidate


def _levels(planned: Plan) -> list[float]:
    """The absolute bounds in the unit that values have."""
    if planned.kind is Kind.LATENCY:
        return [] if planned.high is None else [planned.high]
    metric = planned.metric
    if metric.drift is not None:
        return [level for level in (metric.drift.warn, metric.drift.fail) if level is not None]
    return [level for bound in (metric.min, metric.max) if (level := value(bound)) is not None]


def _said(report: Report, course: Course) -> str:
    if not course.firings:
        near = "" if course.closest is None else f" (at most {100 * course.closest:.0f}% of its bound)"
        return f"never fired{near}"
    firing = course.firings[0]
    after = spell_duration(report.since_start(firing))
    start = "the trial" if firing.roles.candidate else "the watch"
    return f"first breach {after} into {start}, at {firing.shown}: {firing.gravest[1].action}"


def _unit(planned: Plan) -> str:
    if planned.drift is not None:
        return short(planned.drift)
    if planned.kind is Kind.SHARE:
        return f"% of {noun(planned)}"
    return "ms" if planned.kind is Kind.LATENCY else planned.metric.preset or "value of query"


def _scale(axis: Any, planned: Plan, shown: Sequence[float]) -> None:
    known = [one for one in shown if not math.isnan(one)]
    if known:
        lowest, highest = min(0.0, *known), max(known)
        axis.set_ylim(lowest * ROOM, (highest or 1.0) * ROOM)
    axis.yaxis.set_major_locator(MaxNLocator(4))
    axis.yaxis.set_major_formatter(FuncFormatter(_tick(planned)))
    axis.grid(axis="y", color="#dddddd", linewidth=0.6)


def _tick(planned: Plan) -> Callable[[float, int], str]:
    scale = 100.0 if planned.kind is Kind.SHARE else 1.0
    return lambda level, _: f"{level * scale:g}"


def _time(axis: Any, report: Report) -> None:
    locator = AutoDateLocator(tz=UTC, maxticks=10)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))
    axis.set_xlim(report.begin, report.end)
    axis.set_xlabel("time (UTC)", fontsize=9)


def _legend(figure: Any, *, compares: bool) -> None:
    relative = [Line2D([], [], color=BOUND, linestyle=":", label="bound relative to stable")]
    handles = [
        Line2D([], [], color=STABLE, label="stable"),
        Line2D([], [], color=CANDIDATE, label="candidate"),
        Line2D([], [], color=BOUND, linestyle="--", label="bound"),
        *(relative if compares else []),
        Patch(color=TRIAL, label="candidate on trial"),
        Patch(color=BREACH, alpha=0.45, label="breach"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
