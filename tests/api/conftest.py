"""An API server, a client of it, and a namespace of the test's own."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from api.kill.world import World, world
from cluster import Cluster, ensure
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.config import api_client
from modeldeploy.adapters.kube.resources import NAMESPACE
from unit.adapters.prometheus_server import Page, PrometheusServer

LONGEST = "test_kill.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The file that takes longest begins first: no worker should be left alone with it in the end."""
    items.sort(key=lambda item: item.path.name != LONGEST)


@pytest.fixture(scope="session")
def control_plane() -> Cluster:
    return ensure("control-plane")


@pytest.fixture(scope="session")
def kubeconfig(control_plane: Cluster) -> Path:
    return control_plane.kubeconfig


@pytest.fixture(scope="session")
def definition(control_plane: Cluster) -> None:
    """The API server knows ModelDeployments."""
    crds = Path(__file__).parents[2] / "crds"
    control_plane.run_kubectl("apply", "--server-side", "--force-conflicts", "--filename", str(crds))
    control_plane.await_kinds("--filename", str(crds))


@pytest_asyncio.fixture(scope="session")
async def kube(kubeconfig: Path) -> AsyncIterator[Kube]:
    client = Kube(await api_client(kubeconfig))
    yield client
    await client.close()


@pytest_asyncio.fixture
async def namespace(kube: Kube) -> AsyncIterator[str]:
    name = f"kube-{secrets.token_hex(4)}"
    await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    await kube.delete(NAMESPACE, None, name)


@pytest_asyncio.fixture(scope="module")
async def watched(kubeconfig: Path, definition: None) -> AsyncIterator[World]:  # noqa: ARG001
    async with world(kubeconfig) as found:
        yield found


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with closing(Page()) as served:
        yield served


@pytest.fixture(scope="module")
def prometheus(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with PrometheusServer(Path(tmp_path_factory.mktemp("prometheus")), page.target) as running:
        yield running.url
