"""Failed requests over every interruption of a rollout, as the tests make them."""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from bench.figure import Figure
from cluster import ClusterError
from cluster.paths import REPOSITORY
from cluster.progress import step
from e2e.conftest import KEEP
from e2e.test_interruptions import RATE, REQUESTS, UNANSWERED

BAR = 0
TESTS = "tests/e2e/test_interruptions.py"


def measure(*, keep: bool) -> Iterator[Figure]:
    """Run the interruptions under their load and count.

    Args:
        keep: Leave the cluster and the release as they are.

    Raises:
        ClusterError: An interruption did not end as it should.
    """
    environment = {**os.environ, **({KEEP: "1"} if keep else {})}
    with step("interrupting rollouts in every way"), tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "junit.xml"
        command = [sys.executable, "-m", "pytest", "-m", "e2e", TESTS, f"--junitxml={told}"]
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=sys.stderr, check=False)
        requests, failed, cases = _counted(told)
    if done.returncode and not failed:
        raise ClusterError(f"an interruption did not end as it should; see above or run pytest {TESTS}")
    unit = f"of {requests} requests at {RATE:g}/s through {cases} interruptions"
    yield Figure("interruption_failed_requests", failed, unit, BAR)


def _counted(told: Path) -> tuple[int, int, int]:
    """Requests, those of them that failed, and the tests that counted some."""
    found = {REQUESTS: 0, UNANSWERED: 0}
    cases = 0
    for case in ET.parse(told).iter("testcase"):  # noqa: S314 - written by our own process
        counts = {one.get("name"): int(one.get("value", "0")) for one in case.iter("property")}
        cases += REQUESTS in counts
        for name in found:
            found[name] += counts.get(name, 0)
    return found[REQUESTS], found[UNANSWERED], cases
