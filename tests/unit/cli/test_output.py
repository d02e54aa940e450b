"""What is written and drawn, from the changes that come in."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from modeldeploy.cli import command, watch
from modeldeploy.cli.lines import differences
from modeldeploy.cli.look import read
from modeldeploy.cli.source import Change, Changed, Deleted, Lost, Told
from modeldeploy.cli.view import BAR, EVENTS, view
from unit.cli.rollouts import digits, event, on_trial

pytestmark = pytest.mark.unit


async def given(changes: Sequence[Change]) -> AsyncIterator[Change]:
    for change in changes:
        yield change


def written(form: watch.Text | watch.Json, *changes: Change) -> None:
    asyncio.run(watch.into(given(changes), form))


def drawn(width: int = 80, events: Sequence[dict[str, str]] = (), notice: str = "", **kind: object) -> str:
    out = StringIO()
    obj = on_trial(10, "Breach") if not kind else digits(**kind)
    Console(file=out, width=width).print(view(read(obj), events, notice))
    return out.getvalue()


def test_a_change_of_weights_is_one_line() -> None:
    before, now = read(on_trial(10)), read(on_trial(50))
    assert differences(before, now) == [
        "Progressing | step 1/2 | v1 50%, v2 50% | canary v2 at 50%: step 1 of 2",
    ]


def test_a_new_verdict_is_told_with_its_sentence() -> None:
    before, now = read(on_trial()), read(on_trial(nulls="Breach"))
    assert differences(before, now) == ["nulls: Breach - nulls 24.3% of 41 (max 5%)"]


def test_what_stays_is_not_told() -> None:
    assert differences(read(on_trial()), read(on_trial())) == []


def test_text_has_a_line_for_each_change_and_the_events_own_time() -> None:
    lines: list[str] = []
    written(
        watch.Text(lines.append),
        Changed(digits()),
        Changed(digits()),
        Told(event("StepStarted", "version v2 gets 10% of traffic")),
        Lost("connection refused"),
        Deleted(),
    )
    assert [line[10:] for line in lines] == [
        "Healthy | v1 100% | version v1 serves",
        "Normal StepStarted: version v2 gets 10% of traffic",
        "the API server doesn't answer, trying again: connection refused",
        "deleted",
    ]
    assert lines[1][2:8].endswith(":18") or lines[1][6:8] == "18"


def test_json_has_an_object_on_each_line() -> None:
    lines: list[str] = []
    written(
        watch.Json(lines.append),
        Changed(on_trial(nulls="Breach")),
        Told(event("RolledBack", "nulls", "Warning")),
        Lost("refused: try later"),
        Deleted(),
    )
    found = [json.loads(line) for line in lines]
    assert [each["kind"] for each in found] == ["status", "event", "lost", "deleted"]
    status = found[0]
    assert status["traffic"][1] == {
        "role": "candidate",
        "modelVersion": "v2",
        "revision": "d227f256",
        "weight": 10,
    }
    assert {"name": "nulls", "verdict": "Breach"}.items() <= status["metrics"][1].items()
    assert found[1] == {
        "kind": "event",
        "at": "2026-11-22T15:09:18Z",
        "type": "Warning",
        "reason": "RolledBack",
        "message": "nulls",
    }
    assert found[2]["reason"] == "refused: try later"


def test_the_view_shows_weights_as_bars_and_verdicts_with_values() -> None:
    text = drawn()
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert rows["v1"].count("━") == BAR * 9 // 10
    assert rows["v2"].count("━") == BAR // 10
    assert "10%" in rows["v2"]
    assert "✗ Breach" in rows["nulls"]
    assert "24.3%" in rows["nulls"]
    assert "✓ Pass" in rows["p95"]
    assert "of 41 (max 5%)" in rows["nulls"]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_view_keeps_to_the_terminal(width: int) -> None:
    text = drawn(width, [event("Promoted", "version v2 answers all requests " * 5)], "lost " * 50)
    assert max(len(line) for line in text.splitlines()) <= width
    assert len(text.splitlines()) < 20


def test_a_small_share_is_still_seen() -> None:
    text = drawn(candidate={"revision": "d2", "modelVersion": "v2", "weight": 1, "step": 1})
    assert next(line for line in text.splitlines() if line.startswith("v2")).count("━") == 1


def test_only_the_last_events_are_drawn() -> None:
    text = drawn(events=[event(f"Reason{number}", "x") for number in range(EVENTS + 2)])
    assert "Reason1 " not in text
    assert f"Reason{EVENTS + 1}" in text


def test_a_view_of_nothing_says_so() -> None:
    out = StringIO()
    Console(file=out, width=80).print(view(read({"metadata": {"name": "new"}}), ()))
    assert "not seen by an operator yet" in out.getvalue()
    assert "nothing serves yet" in out.getvalue()


def test_live_needs_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["watch", "digits", "--output", "live"]) == 1
    assert "needs a terminal" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no kubeconfig at"),
        ("* no yaml", "can't be used: while scanning"),
        ("apiVersion: v1\nkind: Config\ncontexts: []\n", "can't be used"),
    ],
    ids=["missing", "damaged", "empty"],
)
def test_a_kubeconfig_that_is_no_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, said: str
) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    assert command.main(["watch", "digits", "--kubeconfig", str(path)]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_as_a_plugin_it_is_called_by_kubectls_name(tmp_path: Path) -> None:
    program = tmp_path / command.PLUGIN
    program.write_text(f"#!{sys.executable}\nfrom modeldeploy.cli import main\nmain()\n")
    program.chmod(0o755)
    done = subprocess.run(
        [program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stderr.startswith("usage: kubectl modeldeploy")
    assert done.returncode == command.WRONG_USE
