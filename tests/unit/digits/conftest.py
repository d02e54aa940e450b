"""Trained models, and servers of them."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from digits.dataset import Dataset, split
from digits.model import DigitsModel
from digits.train import RECIPES, train
from unit.digits.processes import AlwaysSeven, Serve, ServerProcess


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in the image: numpy's threads would wait for each other on a busy machine."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def data() -> tuple[Dataset, Dataset]:
    """Training set and held-out set."""
    return split()


@pytest.fixture(scope="session")
def models(data: tuple[Dataset, Dataset]) -> dict[str, DigitsModel]:
    """All versions, trained."""
    return {version: train(version, data[0]) for version in RECIPES}


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a server process with a stand-in for the classifier; it isn't ready yet when it is returned."""
    with ExitStack() as processes:

        def start(*, quiet: float, limit: float = 20, slow: bool = False) -> ServerProcess:
            file = tmp_path / f"{slow}.joblib"
            joblib.dump(DigitsModel("v0", AlwaysSeven(), np.zeros(64), slow=slow), file)
            server = ServerProcess(file, quiet=quiet, limit=limit)
            processes.callback(server.end)
            return server

        yield start


@pytest.fixture(scope="session")
def server(
    models: dict[str, DigitsModel], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server process with the real v1."""
    file = tmp_path_factory.mktemp("digits") / "v1.joblib"
    joblib.dump(models["v1"], file)
    process = ServerProcess(file, quiet=0.1)
    try:
        process.wait_until_ready()
        yield process
    finally:
        process.end()
