"""The unused half of the client library stays out, and what is used still works."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

SOURCE = Path(__file__).parents[3] / "operator"

PROGRAM = """
import sys
import modeldeploy.adapters.kube.lean
import kopf
from kubernetes.aio.config import load_kube_config
from modeldeploy.adapters.kube.config import api_client
registry = kopf.OperatorRegistry()
unwanted = ("kubernetes.", "oauthlib", "requests_oauthlib")
print(*sorted(name for name in sys.modules if name.startswith(unwanted)))
"""


def test_only_the_asynchronous_client_is_loaded() -> None:
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(SOURCE)}
    )
    modules = done.stdout.split()
    assert "kubernetes.aio.client" in modules
    assert [name for name in modules if not name.startswith("kubernetes.aio")] == ["kubernetes.client"]
