"""Carrying out a plan on a real API server."""

import pytest

from api.kube_objects import config_map
from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.reconcile.apply import Applier

pytestmark = pytest.mark.api


async def test_what_was_deleted_is_not_deleted_again_until_the_watch_tells(
    kube: Kube, namespace: str
) -> None:
    cache = Cache()
    applier = Applier(kube, cache)
    found = await kube.apply(config_map(namespace, "old", {}), manager="modeldeploy")
    cache.wrote(found)
    for _ in range(2):
        await applier.carry_out([], [found], namespace=namespace, is_ours=lambda _: True, settled={})
    assert kube.requests["delete", "ConfigMap"] == 1

    again = await kube.apply(config_map(namespace, "old", {}), manager="modeldeploy")
    await applier.carry_out([], [again], namespace=namespace, is_ours=lambda _: True, settled={})
    assert kube.requests["delete", "ConfigMap"] == 2, "another object by the name is another object"
