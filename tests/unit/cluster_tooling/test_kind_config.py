"""The real kind reads kind-config.yaml, as far as it goes where no container engine answers."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.kindcluster import CONFIG
from cluster.manager import engine_answers
from cluster.tools import kind

pytestmark = pytest.mark.api

Create = Callable[[Path], str]


@pytest.fixture
def create(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Create:
    if engine_answers():
        pytest.skip("a container engine answers, so the tests run on a kind cluster made from this file")
    monkeypatch.delenv("XDG_CACHE_HOME")  # where kind is kept once it is built
    program = kind()

    def run(config: Path) -> str:
        command = [str(program), "create", "cluster", "--config", str(config)]
        command += ["--kubeconfig", str(tmp_path / "kubeconfig")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        return done.stderr

    return run


def test_kind_reads_the_file_and_stops_only_at_the_missing_engine(create: Create) -> None:
    message = create(CONFIG)
    assert "docker" in message
    assert "decode config" not in message


def test_kind_refuses_the_file_with_a_field_that_it_does_not_know(create: Create, tmp_path: Path) -> None:
    wrong = tmp_path / "kind-config.yaml"
    wrong.write_text(CONFIG.read_text().replace("kubeProxyMode:", "kubeProxyMood:"))
    assert "field kubeProxyMood not found" in create(wrong)
