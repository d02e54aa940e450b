"""One sentence for all that can be wrong with what the command is given."""

from datetime import UTC, datetime, timedelta
from importlib import util
from pathlib import Path

import pytest
import yaml

from cluster.network import free_port
from modeldeploy.cli import command
from modeldeploy.cli.backtest import output
from modeldeploy.cli.backtest.inputs import read_time
from modeldeploy.cli.backtest.problem import WrongInput
from unit.cli.backtest.files import Given, backtest, manifest
from unit.core.judgement.simulation import SEVEN, STABLE

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def said_in_one_line(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The complaint, which is one line, under exit code 2 and with nothing on standard output."""
    assert backtest(*arguments) == command.WRONG_USE
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.count("\n") == 1
    return written.err.removeprefix("error: ").rstrip("\n")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("now", NOW),
        ("2h", NOW - timedelta(hours=2)),
        ("1h30m ago", NOW - timedelta(minutes=90)),
        ("2026-11-22T10:00:00Z", NOW - timedelta(hours=2)),
        ("2026-11-22T10:00", NOW - timedelta(hours=2)),
        ("2026-11-22 11:00+01:00", NOW - timedelta(hours=2)),
        ("2026-11-22", NOW - timedelta(hours=12)),
    ],
)
def test_times(text: str, at: datetime) -> None:
    assert read_time("--from", text, NOW) == at


@pytest.mark.parametrize("text", ["", "yesterday", "2h later", "2026-13-01", "-2h"])
def test_no_times(text: str) -> None:
    with pytest.raises(WrongInput, match=r"^--to: '.*' is no time; write 2026-11-22T12:00:00Z, or 2h ago$"):
        read_time("--to", text, NOW)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "2027-01-15T08:05:00", "--to", "2027-01-15T08:00:00"], "is not before --to"),
        (
            ["--from", "2027-01-15T08:05:00", "--to", "2027-01-15T08:05:01"],
            "lie within one interval (5s); choose",
        ),
        (["--from", "soon"], "--from: 'soon' is no time"),
        (["--from", "2020-01-01", "--to", "2020-01-02"], "no series of ns/digits from 2020-01-01T00:00:00Z"),
        (["-n", "bank"], "no series of bank/digits; it has series of ns/digits; see that -n is right"),
        (["--stable", "cccc"], "--stable: cccc has no series; there are series of aaaa1111, bbbb2222"),
        (["--revision", "cccc"], "--revision: cccc has no series; there are series of aaaa1111, bbbb2222"),
        (
            ["--stable", STABLE, "--candidate", STABLE],
            "--candidate: aaaa1111 is --stable already; name another",
        ),
        (["--revision", STABLE, "--stable", STABLE], "--revision watches one alone; leave out"),
        (["--picture", "x.gif"], "--picture: x.gif ends in none of .png, .svg, .pdf; choose one of them"),
        (["--picture", "/none/x.png"], "--picture: there is no folder /none; make it first"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_arguments(
    given: Given, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert said in said_in_one_line(capsys, "-f", given.manifest, "--data", given.table, *arguments)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "kind: Deployment\n---\nkind: Service\n",
            "holds no ModelDeployment (but Deployment, Service); give",
        ),
        ("", "holds no ModelDeployment (but nothing of any kind)"),
        ("- 1\n", "holds no ModelDeployment (but nothing of any kind)"),
        ("{", "is no YAML: "),
        (
            "kind: ModelDeployment\n---\nkind: ModelDeployment\n",
            "holds 2 ModelDeployments; give a file with one",
        ),
        ("kind: ModelDeployment\n", "metadata.name is missing"),
        ("kind: ModelDeployment\nmetadata: {name: x}\nspec: 3\n", "spec is no mapping"),
        ("kind: ModelDeployment\nmetadata: {name: x}\nspec: {}\n", "spec.model: Field required; spec.server"),
        (yaml.safe_dump(manifest([])), "spec.monitoring.metrics is empty; name there what is to be judged"),
        (
            yaml.safe_dump(manifest([{**SEVEN[3], "max": "5ms"}])),
            "spec.monitoring.metrics[nulls].max: 5ms is no share",
        ),
        (None, "can't be read: No such file or directory"),
    ],
)
def test_a_manifest_that_is_no_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], written: str | None, said: str
) -> None:
    path = tmp_path / "m.yaml"
    if written is not None:
        path.write_text(written)
    found = said_in_one_line(capsys, "-f", path, "--data", "x.csv")
    assert found.startswith(f"{path}: ")
    assert said in found


def test_a_file_that_is_no_use(given: Given, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "past.csv"
    path.write_text("time,metric,value\n")
    found = said_in_one_line(capsys, "-f", given.manifest, "--data", path)
    assert found.startswith(f"{path}: lacks the column modeldeploy_revision; ")
    path.write_text(
        "time,metric,value,modeldeploy_revision\n1000,envoy_cluster_upstream_rq_xx,1,a\n1100,x,1,a\n"
    )
    assert "lack the label envoy_response_code_class" in said_in_one_line(
        capsys, "-f", given.manifest, "--data", path
    )


def test_nowhere_to_read_from(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    assert "name a metrics store (--prometheus) or a file (--data)" in said_in_one_line(
        capsys, "-f", given.manifest
    )
    url = f"http://127.0.0.1:{free_port()}"
    arguments = ("-f", given.manifest, "--prometheus", url)
    assert (
        said_in_one_line(capsys, *arguments) == "--from is missing; say where the past begins, e.g. --from 6h"
    )
    assert said_in_one_line(capsys, *arguments, "--from", "1h") == (
        f"Prometheus at {url}: connection refused; see that the URL is right and reachable from here, "
        "and that each metric's own query can be answered"
    )
    assert "--prometheus: 'here' is no URL" in said_in_one_line(
        capsys, "-f", given.manifest, "--prometheus", "here", "--from", "1h"
    )


def test_the_manifests_own_store_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    path = tmp_path / "m.yaml"
    path.write_text(yaml.safe_dump(manifest(prometheus={"url": url})))
    assert said_in_one_line(capsys, "-f", path, "--from", "1h").startswith(f"Prometheus at {url}: ")


@pytest.mark.parametrize(
    ("package", "arguments"), [("rich", []), ("matplotlib", ["-o", "json", "--picture", "x.png"])]
)
def test_a_package_that_is_not_there(
    given: Given,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    arguments: list[str],
) -> None:
    found = util.find_spec
    monkeypatch.setattr(output, "find_spec", lambda name: None if name == package else found(name))
    said = said_in_one_line(capsys, "-f", given.manifest, "--data", given.table, *arguments)
    assert f"needs the package {package}: pip install 'modeldeploy[cli]'" in said
