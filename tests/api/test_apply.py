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
    before = kube.requests["delete", "ConfigMap"]
    for _ in range(2):
        await applier.carry_out([], [found], namespace=namespace, is_ours=lambda _: True, settled={})
    assert kube.requests["delete", "ConfigMap"] == before + 1

    again = await kube.apply(config_map(namespace, "old", {}), manager="modeldeploy")
    await applier.carry_out([], [again], namespace=namespace, is_ours=lambda _: True, settled={})
    assert kube.requests["delete", "ConfigMap"] == before + 2, "another object by the name is another object"


async def test_what_another_wrote_just_before_an_apply_is_heard_of(kube: Kube, namespace: str) -> None:
    """The answer to the apply brings it into the cache, so that no event of the watch would change that."""
    cache = Cache()
    applier = Applier(kube, cache)
    ours = config_map(namespace, "shared", {"ours": "1"})
    cache.feed("ADDED", await kube.apply(ours, manager="modeldeploy"))
    theirs = await kube.apply(config_map(namespace, "shared", {"theirs": "1"}), manager="another")
    wanted = config_map(namespace, "shared", {"ours": "2"})
    await applier.carry_out([wanted], [], namespace=namespace, is_ours=lambda _: True, settled={})

    found = cache.get("ConfigMap", namespace, "shared")
    assert found is not None
    assert found["data"] == {"ours": "2", "theirs": "1"}
    assert [cache.feed("MODIFIED", one) for one in (theirs, found)] == [False, True]
