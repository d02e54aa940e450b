"""The past of drift, judged anew."""

import json
from pathlib import Path

import pytest
import yaml

from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core import judgement
from modeldeploy.core.backtest import Action, Phase, Replay
from modeldeploy.core.drift.reference import dump
from modeldeploy.core.judgement import Query, Roles
from modeldeploy.core.judgement.sources import SOURCES, Family
from unit.cli.backtest.files import backtest, manifest
from unit.core.judgement.drifts import EDGES, NAME, Factor, Inputs, drift_spec, training
from unit.core.judgement.simulation import START, when

pytestmark = pytest.mark.unit

CHANGED = 900.0


def longer(revision: str, at: float) -> float:
    return 1.8 if at >= CHANGED and revision else 1.0


def replayed(inputs: Inputs, phases: list[Phase], seconds: float) -> Replay:
    replay = Replay(inputs.spec, "ns", "digits", phases, when(0.0), inputs.references)
    at = 0.0
    while at <= seconds:
        roles = next(one.roles for one in reversed(phases) if one.since <= START + at)
        inputs.look(at, roles)
        replay.look(when(at), {query: inputs.answer(query) for query in _asked(inputs)})
        at += 10.0
    return replay


def _asked(inputs: Inputs) -> tuple[Query, ...]:
    return judgement.queries(inputs.spec, "ns", "digits", Roles("aaaa"))


@pytest.mark.parametrize("source", ["Training", "LastWeek"])
def test_drift_fires_and_flags(source: str) -> None:
    inputs = Inputs(drift_spec(source), longer, references={"length": training()})
    course = replayed(inputs, [Phase(float("-inf"), Roles("aaaa"))], 3000).courses[0]
    [firing] = course.firings
    assert firing.begin > when(CHANGED)
    assert firing.gravest[1].action is Action.FLAG
    assert "DriftDetected" in firing.gravest[1].flags
    assert firing.value is not None
    assert firing.value >= 0.25
    assert course.closest is not None
    assert course.closest > 1.0


def test_the_version_before_is_learned_from_the_past() -> None:
    """Stable is replaced by one whose callers send longer inputs."""
    factor: Factor = lambda revision, _at: 1.8 if revision == "bbbb" else 1.0  # noqa: E731
    inputs = Inputs(drift_spec("Previous"), factor, load={"aaaa": 30.0, "bbbb": 0.0})
    phases = [Phase(float("-inf"), Roles("aaaa")), Phase(START + 1200, Roles("bbbb"))]
    replay = Replay(inputs.spec, "ns", "digits", phases, when(0.0))
    said: list[str] = []
    at = 0.0
    while at <= 4000:
        if at >= 1200:
            inputs.load = {"aaaa": 0.0, "bbbb": 30.0}
        roles = phases[at >= 1200].roles
        inputs.look(at, roles)
        [found] = replay.look(when(at), {query: inputs.answer(query) for query in _asked(inputs)})
        said.append(found.message)
        at += 10.0
    assert "no version was replaced in this time" in said[100]
    assert replay.courses[0].firings[0].begin > when(1200)
    assert "against the previous version" in said[-1]
    assert replay.courses[0].verdicts[Verdict.BREACH]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lengths that change after a quarter of an hour, as a file holds them."""
    inputs = Inputs(drift_spec(), longer)
    lines = ["time,metric,value,modeldeploy_revision,pod,le"]
    names = dict.fromkeys(EDGES, SOURCES[Family.SIZE_BUCKETS].names[0]) | {"total": f"{NAME}_sum"}
    at = 0.0
    while at <= 3600:
        inputs.look(at, Roles("aaaa"))
        for part, value in inputs.counts["aaaa"].items():
            edge = "" if part == "total" else part
            lines.append(f"{START + at:.0f},{names[part]},{value:.0f},aaaa,pod-a,{edge}")
        at += 10.0
    path = tmp_path_factory.mktemp("drift") / "past.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def written(folder: Path, *documents: object) -> Path:
    metric = {
        "name": "length",
        "category": "Input",
        "preset": "inputSize",
        "drift": {
            "warn": 0.1,
            "fail": 0.25,
            "reference": {"source": "Training", "configMap": {"name": "training"}},
        },
    }
    path = folder / "model.yaml"
    obj = manifest([metric], interval="10s", expectedChange="Fast")
    path.write_text(yaml.safe_dump_all([*documents, obj]))
    return path


def test_a_file_is_judged_by_a_training_jobs_file(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reference.json").write_text(dump(training()))
    path = written(tmp_path)
    assert (
        backtest("-f", path, "--data", table, "--reference", tmp_path / "reference.json", "-o", "json") == 0
    )
    [metric] = json.loads(capsys.readouterr().out)["metrics"]
    assert metric["bounds"] == "PSI warn 0.1, fail 0.25"
    [breach] = metric["breaches"]
    assert breach["action"] == "Flag"
    assert breach["value"] >= 0.25


def test_the_config_map_may_stand_beside_the_manifest(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = {
        "kind": "ConfigMap",
        "metadata": {"name": "training"},
        "data": {"reference.json": dump(training())},
    }
    path = written(tmp_path, {"kind": "ConfigMap", "metadata": {"name": "other"}, "data": {}}, kept)
    assert backtest("-f", path, "--data", table, "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["metrics"][0]["breaches"]


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (
            None,
            "is compared with ConfigMap training, key reference.json, which is not in this file; add it, or",
        ),
        ("missing.json", "missing.json: can't be read: No such file"),
        ("model.yaml", "model.yaml is no JSON"),
    ],
)
def test_a_reference_that_cannot_be_read_is_said(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], reference: str | None, said: str
) -> None:
    path = written(tmp_path)
    given = ["--reference", tmp_path / reference] if reference else []
    assert backtest("-f", path, "--data", table, *given) == 2
    assert said in capsys.readouterr().err
