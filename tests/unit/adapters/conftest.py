"""A router that the tests of a file share: starting one takes longer than most of them."""

from collections.abc import AsyncIterator

import pytest

from unit.adapters.data_plane import NAMESPACE, Plane, end_pods, plane


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plane]:
    async with plane(tmp_path_factory.mktemp("shared")) as running:
        running.server.publish(NAMESPACE, [])
        await running.router.ready()
        yield running


@pytest.fixture
async def routed(shared: Plane, request: pytest.FixtureRequest) -> AsyncIterator[Plane]:
    """The router of all tests in a file, with a model of this test's own."""
    yield Plane(shared.server, shared.router, name=request.node.name[5:50])
    await end_pods()
