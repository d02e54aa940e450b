"""The past in a real Prometheus: the same facts as from the file that it was filled with."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from modeldeploy.cli import command
from unit.adapters.prometheus_server import PrometheusServer, program
from unit.cli.backtest.files import Given, backtest, manifest
from unit.core.judgement.simulation import SEVEN, when

PROMETHEUS = program()
pytestmark = [
    pytest.mark.api,
    pytest.mark.skipif(PROMETHEUS is None, reason="Prometheus isn't installed (Debian package prometheus)"),
]

OWN = {
    "name": "own",
    "category": "Output",
    "query": 'sum(model_output_null_total{modeldeploy_name="$name",modeldeploy_revision="$revision"})',
    "max": 500,
}
SPAN = ("--from", when(0.0).isoformat(), "--to", when(600.0).isoformat())


@pytest.fixture(scope="module")
def store(given: Given, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    promtool = Path(str(PROMETHEUS)).with_name("promtool")
    data = folder / "data"
    filled = [str(promtool), "tsdb", "create-blocks-from", "openmetrics", str(given.openmetrics), str(data)]
    subprocess.run(filled, check=True, capture_output=True)
    with PrometheusServer(folder, "127.0.0.1:1") as server:
        yield server.url


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, object]:
    assert backtest(*arguments, "-o", "json") == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return {**found, "source": ""}


def test_a_store_and_a_file_tell_the_same(
    given: Given, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from_file = told(capsys, "-f", given.manifest, "--data", given.openmetrics, *SPAN)
    from_store = told(capsys, "-f", given.manifest, "--prometheus", store, *SPAN)
    assert from_store == from_file
    assert from_file["firstAction"]


def test_a_users_own_query_is_asked_for_each_revision(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "digits.yaml"
    path.write_text(yaml.safe_dump(manifest([SEVEN[3], OWN])))
    found = told(capsys, "-f", path, "--prometheus", store, *SPAN)
    metrics = found["metrics"]
    assert isinstance(metrics, list)
    own = metrics[1]
    assert own["unit"] == "number"
    assert own["looks"]["Breach"] > 0
    assert own["breaches"][-1]["value"] > 500
    # A number without a count behind it blames nobody: the step would have waited.
    assert {breach["action"] for breach in own["breaches"] if breach["candidate"]} <= {"Pause"}


def test_a_span_without_data(given: Given, store: str, capsys: pytest.CaptureFixture[str]) -> None:
    span = ("--from", "2026-01-01", "--to", "2026-01-02T00:00:00Z")
    assert backtest("-f", given.manifest, "--prometheus", store, *span) == command.WRONG_USE
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == (
        f"error: {store}: no series of ns/digits from 2026-01-01T00:00:00Z to 2026-01-02T00:00:00Z; "
        "see that -n and the span are right and that the scrape puts on the label modeldeploy_name"
    )
