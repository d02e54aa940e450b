"""The whole command: what it writes."""

import json
from pathlib import Path

import pytest
import yaml

from modeldeploy.cli.backtest import output, run
from unit.cli.backtest.files import Given, backtest, manifest
from unit.core.judgement.simulation import CANDIDATE, SEVEN, STABLE, when

pytestmark = pytest.mark.unit

START = when(0.0).isoformat()


def test_json_tells_the_tick_that_the_live_core_found(
    given: Given, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for data in (given.openmetrics, given.table):
        assert backtest("-f", given.manifest, "--data", data, "-o", "json", "--from", START) == 0
        found.append(json.loads(capsys.readouterr().out))
    first, second = found
    assert {**first, "source": ""} == {**second, "source": ""}
    begin = when(5.0).isoformat().replace("+00:00", "Z")
    end = when(600.0).isoformat().replace("+00:00", "Z")
    at = when(given.found_at).isoformat().replace("+00:00", "Z")
    assert first["trials"] == [
        {"stable": STABLE, "candidate": CANDIDATE, "begin": begin, "end": end, "ended": "Open"}
    ]
    assert first["firstAction"] == {"at": at, "action": "Rollback", "metric": "nulls"}
    assert (first["from"], first["to"], first["looks"]) == (
        when(0).isoformat().replace("+00:00", "Z"),
        end,
        121,
    )
    (nulls,) = [metric for metric in first["metrics"] if metric["name"] == "nulls"]
    (breach,) = nulls["breaches"]
    assert breach["begin"] == at
    assert breach["afterSeconds"] == given.found_at - 5.0
    assert breach["actions"] == [{"at": at, "action": "Rollback", "conditions": []}]
    assert nulls["unit"] == "fraction"
    assert breach["value"] > 0.05
    assert sum(nulls["looks"].values()) == 121
    assert [each["verdict"] for each in nulls["verdicts"]] == ["Pass", "Inconclusive", "Pass", "Breach"]
    assert nulls["hint"] == "fired when nothing else did"


def test_the_table_says_the_same(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest("-f", given.manifest, "--data", given.openmetrics) == 0
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert max(map(len, lines)) <= output.WIDTH
    assert f"trial {CANDIDATE} against {STABLE}" in text
    assert "because of nulls" in lines[2]
    rows = {line.split()[0]: line for line in lines if line and not line.startswith(" ")}
    at = when(given.found_at)
    (row,) = [line for line in lines if line.startswith("nulls") and "max 5%" in line]
    assert f"{at:%H:%M:%S} (+" in row
    assert row.endswith("Rollback")
    assert "✗" in row
    assert rows["p95"].startswith("p95         never fired; never even near its bound (at most ")
    assert "\x1b" not in text


def test_the_same_data_gives_the_same_output(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("table", "json"):
        texts = set()
        for _ in range(2):
            backtest("-f", given.manifest, "--data", given.openmetrics, "-o", form)
            texts.add(capsys.readouterr().out)
        assert len(texts) == 1


def test_one_revision_is_watched_where_that_is_said(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("-f", given.manifest, "--data", given.table, "-o", "json", "--revision", CANDIDATE)
    assert backtest(*arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trials"] == []
    assert found["stable"] == CANDIDATE
    (nulls,) = [metric for metric in found["metrics"] if metric["name"] == "nulls"]
    assert nulls["breaches"][0]["action"] == "Flag"
    assert nulls["breaches"][0]["actions"][0]["conditions"] == ["DriftDetected", "RetrainingRecommended"]


def test_roles_can_be_said(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("-f", given.manifest, "--data", given.table, "-o", "json", "--stable", CANDIDATE)
    assert backtest(*arguments, "--candidate", STABLE) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["stable"], one["candidate"]) for one in found["trials"]] == [(CANDIDATE, STABLE)]


@pytest.mark.parametrize(("kind", "begin"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_a_picture_is_the_same_each_time(given: Given, tmp_path: Path, kind: str, begin: bytes) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "digits.yaml"
    path.write_text(yaml.safe_dump(manifest([SEVEN[0], SEVEN[3]])))
    files = [tmp_path / f"{name}{kind}" for name in "ab"]
    for file in files:
        assert backtest("-f", path, "--data", given.table, "-o", "json", "--picture", file) == 0
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert first.startswith(begin)
    if kind == ".svg":  # which names in comments what it draws
        for text in (b"nulls (max 5%)", b"errors (max 1%, at most 1.2 times stable)", b"candidate on trial"):
            assert b"<!-- %b -->" % text in first


def test_a_long_replay_tells_how_far_it_is(
    given: Given, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "LONG", 100)
    assert backtest("-f", given.manifest, "--data", given.table, "-o", "json") == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("searched for revisions: ")
    assert lines[-1].startswith("judged: ")
    assert len(lines) == 2 * run.PARTS
