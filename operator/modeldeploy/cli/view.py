"""The object as it is drawn in a terminal, 80 columns or more."""

from collections.abc import Collection, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from modeldeploy.cli.lines import clock
from modeldeploy.cli.look import Look, Share

BAR = 30
"""Characters of the bar that stands for all requests."""
EVENTS = 4
"""Events that are shown, the latest ones."""

PHASES = {
    "Pending": "cyan",
    "Progressing": "cyan",
    "Paused": "yellow",
    "Healthy": "green",
    "Degraded": "red",
    "RollingBack": "red",
}
ROLES = {"stable": "green", "candidate": "cyan", "previous": "bright_black"}
VERDICTS = {
    "Pass": ("✓", "green"),
    "Breach": ("✗", "bold red"),
    "Error": ("!", "red"),
    "NoData": ("?", "yellow"),
    "Inconclusive": ("…", "yellow"),
    "NotApplicable": ("-", "bright_black"),
}


def view(
    look: Look,
    events: Collection[Mapping[str, Any]],
    notice: str = "",
    beside: RenderableType | None = None,
) -> RenderableType:
    """Everything about one object.

    Args:
        look: The object.
        events: What was told about it, the latest last.
        notice: Something about the view itself, such as a lost connection.
        beside: What the caller knows of the traffic; shown below the weights.
    """
    parts = [_head(look), _message(look), Text(), shares(look)]
    if beside is not None:
        parts += [Text(), beside]
    if look.metrics:
        parts += [Text(), metrics(look)]
    if events:
        parts += [Text(), told(events)]
    if notice:
        parts.append(Text(notice, style="yellow", overflow="ellipsis", no_wrap=True))
    return Group(*parts)


def shares(look: Look) -> RenderableType:
    """Who runs and gets how much, as bars."""
    table = _grid()
    table.add_column("traffic", style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="bright_black", no_wrap=True, overflow="ellipsis", ratio=1)
    for share in look.shares:
        table.add_row(
            share.version,
            Text(share.role, ROLES.get(share.role, "")),
            bar(share),
            f"{share.weight}%",
            share.revision,
        )
    if not look.shares:
        table.add_row("nothing serves yet")
    return table


def bar(share: Share) -> Text:
    """A revision's share of the requests."""
    full = round(BAR * share.weight / 100)
    full = max(1, full) if share.weight else 0
    return Text.assemble(("━" * full, ROLES.get(share.role, "")), ("─" * (BAR - full), "bright_black"))


def metrics(look: Look) -> RenderableType:
    """The verdicts, with the values and the sentence behind each."""
    table = _grid()
    table.add_column("metric", style="bold", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    comparing = any(entry.stable for entry in look.metrics)
    table.add_column("candidate" if comparing else "value", justify="right", no_wrap=True)
    if comparing:
        table.add_column("stable", justify="right", no_wrap=True)
    table.add_column("why", no_wrap=True, overflow="ellipsis", ratio=1)
    table.show_header = True
    for entry in look.metrics:
        mark, style = VERDICTS.get(entry.verdict, ("", ""))
        values = [entry.candidate, entry.stable] if comparing else [entry.candidate]
        table.add_row(
            entry.name,
            Text(f"{mark} {entry.verdict}", style),
            *(value or "-" for value in values),
            _shorter(entry.message, f"{entry.name} {entry.candidate} "),
        )
    return table


def told(events: Collection[Mapping[str, Any]]) -> RenderableType:
    """The latest Events."""
    table = _grid()
    table.add_column("events", style="bright_black", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
    for event in list(events)[-EVENTS:]:
        style = "yellow" if event.get("type") == "Warning" else ""
        table.add_row(clock(event), Text(event.get("reason", ""), style), event.get("message", ""))
    return table


def _head(look: Look) -> RenderableType:
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    line.add_column(no_wrap=True, justify="right")
    phase = look.phase or "not seen by an operator yet"
    step = f"  step {look.progress}" if look.progress else ""
    line.add_row(
        Text.assemble((look.name, "bold"), ("  in ", "bright_black"), look.namespace),
        Text.assemble((f"● {phase}", f"bold {PHASES.get(look.phase, 'yellow')}"), step),
    )
    return line


def _message(look: Look) -> Text:
    return Text(look.message, style=PHASES.get(look.phase, ""))


def _grid() -> Table:
    return Table(
        box=None,
        show_header=False,
        header_style="bright_black",
        pad_edge=False,
        padding=(0, 2, 0, 0),
        expand=True,
    )


def _shorter(message: str, repeated: str) -> str:
    """The sentence without what stands in the columns before it."""
    return message.removeprefix(repeated).strip()
