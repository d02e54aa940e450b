"""The ways of telling what was found. Each is seen to be possible before hours of data are read."""

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from modeldeploy.cli.backtest.problem import WrongInput
from modeldeploy.cli.backtest.report import Report, facts

PICTURES = (".png", ".svg", ".pdf")
WIDTH = 120
"""Columns where the output is no terminal."""

Write = Callable[[str], None]


def prepared(options: argparse.Namespace) -> Callable[[Report, Write], None]:
    """What writes a report as asked for.

    Raises:
        WrongInput: It could not.
    """
    if options.output == "table" and find_spec("rich") is None:
        raise WrongInput("-o table needs the package rich: pip install 'modeldeploy[cli]'; or use -o json")
    picture: Path | None = options.picture
    if picture is not None:
        _check(picture)

    def told(report: Report, write: Write) -> None:
        if picture is not None:
            from modeldeploy.cli.backtest.picture import draw  # noqa: PLC0415 - half a second for those who ask

            draw(report, picture)
        if options.output == "json":
            write(json.dumps(facts(report), indent=2, ensure_ascii=False))
        else:
            _table(report, write)

    return told


def _check(picture: Path) -> None:
    if picture.suffix.lower() not in PICTURES:
        raise WrongInput(f"--picture: {picture} ends in none of {', '.join(PICTURES)}; choose one of them")
    if not picture.absolute().parent.is_dir():
        raise WrongInput(f"--picture: there is no folder {picture.parent}; make it first")
    if find_spec("matplotlib") is None:
        raise WrongInput("--picture needs the package matplotlib: pip install 'modeldeploy[cli]'")


def _table(report: Report, write: Write) -> None:
    from rich.console import Console  # noqa: PLC0415 - programs that want JSON need not have it

    from modeldeploy.cli.backtest.table import table  # noqa: PLC0415

    is_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else WIDTH
    console = Console(width=width, force_terminal=is_terminal, highlight=False)
    with console.capture() as captured:
        console.print(table(report))
    write("\n".join(line.rstrip() for line in captured.get().splitlines()))
