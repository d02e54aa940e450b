"""Real server processes, as in a pod, and a smallest request for them."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

INFER = "/v2/models/digits/infer"
BLANK = ",".join("0" * 64)
"""A black image, as :func:`digits.load_requests.body` takes it."""

ROOT = Path(__file__).parents[3]


class AlwaysSeven:
    """A classifier that takes no scikit-learn, so that a process which needs no real one starts quickly."""

    def predict_proba(self, images: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.tile(np.eye(10)[7], (len(images), 1))


class ServerProcess:
    """``python -m digits.server``, as in a pod."""

    def __init__(self, model: Path, *, quiet: float, limit: float = 20) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        environment = os.environ | {
            "PYTHONPATH": ":".join(str(ROOT / root) for root in ("operator", "examples", "tests")),
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
