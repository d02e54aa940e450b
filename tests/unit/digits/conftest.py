"""Trained models, and real server processes."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import pytest
from digits.dataset import Dataset, split
from digits.model import DigitsModel
from digits.train import RECIPES, train

ROOT = Path(__file__).parents[3]


class ServerProcess:
    """``python -m digits.server``, as in a pod."""

    def __init__(self, model: Path, *, quiet: float, limit: float = 20) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        environment = os.environ | {
            "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'examples'}",
            "OMP_NUM_THREADS": "1",
            "DIGITS_MODEL": str(model),
            "DIGITS_HOST": "127.0.0.1",
            "DIGITS_PORT": str(self.port),
            "DIGITS_QUIET": str(quiet),
            "DIGITS_LIMIT": str(limit),
        }
        command = [sys.executable, "-m", "digits.server"]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the server has ended"
            try:
                with urllib.request.urlopen(f"{self.url}/v2/health/ready", timeout=5):
                    return
            except urllib.error.URLError:
                time.sleep(0.05)
        raise AssertionError("the server did not become ready")

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


Serve = Callable[..., ServerProcess]


@pytest.fixture(scope="session")
def data() -> tuple[Dataset, Dataset]:
    """Training set and held-out set."""
    return split()


@pytest.fixture(scope="session")
def models(data: tuple[Dataset, Dataset]) -> dict[str, DigitsModel]:
    """All versions, trained."""
    return {version: train(version, data[0]) for version in RECIPES}


@pytest.fixture
def serve(models: dict[str, DigitsModel], tmp_path: Path) -> Iterator[Serve]:
    """Starts a server process of a version; not ready yet when it returns."""
    with ExitStack() as processes:

        def start(version: str, *, quiet: float, limit: float = 20) -> ServerProcess:
            file = tmp_path / f"{version}.joblib"
            joblib.dump(models[version], file)
            server = ServerProcess(file, quiet=quiet, limit=limit)
            processes.callback(server.end)
            return server

        yield start
