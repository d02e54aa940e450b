"""One installation of the chart for all end-to-end tests, and a namespace for each test or module.

With pytest-xdist each worker has a node and an installation of its own, so that tests which take the operator
or Prometheus away disturb nobody.
"""

import os
from collections.abc import Generator, Iterator

import pytest

from cluster import IMAGES, Cluster, ClusterError, UnavailableError, ensure
from cluster.manager import DEFAULT_NAMES, NAME_VARIABLE, choose
from cluster.record import CONTROL_PLANE, NODE
from e2e.reach import kubectl_proxy, until
from e2e.support import CRD, RELEASE, SYSTEM, Installation, Place

KEEP = "MODELDEPLOY_KEEP"
"""Set it to leave cluster and release as they are after the tests, for the next run or a look around."""

NODES = 2
"""Nodes of our own that share the tests, file by file: they wait more than they work."""

NEEDS = "end-to-end tests need a cluster that runs pods"


def pytest_xdist_auto_num_workers() -> int:
    """As many workers as there may be clusters; `make e2e` runs with `-n auto`."""
    try:
        return NODES if choose() == NODE else 1
    except UnavailableError:
        return 1


def own_cluster() -> str | None:
    """The name of this worker's cluster; the first one has the default's, as a run without workers."""
    number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    base = os.environ.get(NAME_VARIABLE) or DEFAULT_NAMES[NODE]
    return None if number == "0" else f"{base}-{number}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Without a cluster all tests are skipped for one reason, which is said once."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and NEEDS in report.longrepr[2]:
        report.longrepr = (__file__, 1, report.longrepr[2])
    return report


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster that runs pods; without one every test here is skipped."""
    try:
        found = ensure("node", name=own_cluster(), images=tuple(IMAGES))
    except UnavailableError as error:
        pytest.skip(f"{NEEDS}: {error}")
    if found.flavour == CONTROL_PLANE:
        pytest.skip(f"{NEEDS}; {found.name} is a control plane alone")
    yield found
    if found.started and not os.environ.get(KEEP):
        found.down()


@pytest.fixture(scope="session")
def installed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The chart with a Prometheus of its own."""
    images = cluster.build_and_load(tuple(IMAGES))
    with kubectl_proxy(cluster, tmp_path_factory.mktemp("proxy")) as api:
        found = Installation(cluster, api, images)
        _refuse_rivals(found)
        unfinished = ("list", "--namespace", SYSTEM, "--pending", "--failed", "--uninstalling", "--short")
        if RELEASE in cluster.run_helm(*unfinished).split():  # an interrupted run
            found.uninstall()
        found.install()
        yield found
        if not os.environ.get(KEEP):
            _put_away(found)


@pytest.fixture
def place(installed: Installation) -> Iterator[Place]:
    """A namespace of the test's own."""
    with installed.place() as found:
        yield found


def _refuse_rivals(installed: Installation) -> None:
    """Two operators must not look after the same objects."""
    selector = "app.kubernetes.io/part-of=modeldeploy,app.kubernetes.io/component=operator"
    for found in installed.api.list("Deployment", selector=selector):
        where = found["metadata"]["namespace"]
        if where != SYSTEM:
            raise ClusterError(
                f"there is a modeldeploy already, in namespace {where}: uninstall it first, or name another "
                f"cluster in {NAME_VARIABLE}"
            )


def _put_away(installed: Installation) -> None:
    """What was installed goes; the CRD stays where somebody's ModelDeployments live by it."""
    owned = installed.crd_owner() == SYSTEM
    installed.uninstall()
    installed.api.delete("Namespace", None, SYSTEM)

    def ours() -> bool:
        left = installed.api.list("ModelDeployment")
        return any(obj["metadata"]["namespace"].startswith("e2e-") for obj in left)

    until(lambda: not ours(), "the end of the tests' own ModelDeployments")
    if owned and not installed.api.list("ModelDeployment"):
        installed.cluster.run_kubectl("delete", "crd", CRD)
