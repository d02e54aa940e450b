"""The chart beside Envoy Gateway and Traefik, and a namespace for each module."""

import os
from collections.abc import Iterator

import pytest

from cluster import Cluster, UnavailableError, addons, ensure
from cluster.record import CONTROL_PLANE
from e2e.conftest import (
    KEEP,
    _put_away,
    _refuse_rivals,
    own_cluster,
    pytest_xdist_auto_num_workers,  # noqa: F401 - a hook
)
from e2e.reach import kubectl_proxy
from e2e.support import Installation
from providers.stage import IMAGES, Stage


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "providers: on Envoy Gateway and Traefik in a real cluster; minutes")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster that runs pods, with both add-ons; without one every test here is skipped."""
    try:
        found = ensure("node", name=own_cluster(), images=IMAGES)
    except UnavailableError as error:
        pytest.skip(f"these tests need a cluster that runs pods: {error}")
    if found.flavour == CONTROL_PLANE or not found.pod_reachable:
        pytest.skip(f"these tests need addresses of pods and Services; {found.name} does not offer them")
    addons.install(found)
    yield found
    if found.started and not os.environ.get(KEEP):
        found.down()


@pytest.fixture(scope="session")
def installed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The chart with a Prometheus of its own."""
    images = cluster.build_and_load(IMAGES)
    with kubectl_proxy(cluster, tmp_path_factory.mktemp("proxy")) as api:
        found = Installation(cluster, api, images)
        _refuse_rivals(found)
        found.install()
        yield found
        if not os.environ.get(KEEP):
            _put_away(found)


@pytest.fixture(scope="module")
def stage(installed: Installation) -> Iterator[Stage]:
    with installed.place() as place:
        yield Stage(place)
