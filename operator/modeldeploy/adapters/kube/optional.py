"""Kinds of add-ons, which a cluster may or may not have: watched from the moment that an object needs them.

The framework's watches are chosen at the start; a kind that is missing then would never be looked for again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modeldeploy.adapters.clock import Clock, SystemClock
from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import KubeError, NotFound
from modeldeploy.adapters.kube.resources import Object, Resource
from modeldeploy.adapters.kube.slim import slim

logger = logging.getLogger(__name__)

ABSENT_SECONDS = 20.0
"""Until a kind that the cluster doesn't have is looked for again."""
_PAUSE = 1.0
"""Seconds between a broken watch and the next one."""

Feed = Callable[[str | None, Mapping[str, Any]], None]


class OptionalKinds:
    """Lists and watches what is asked for, by one label selector, into the cache.

    Args:
        kube: The API server.
        cache: Gets the lists.
        feed: Gets the events of the watches.
        concerns: Told of every object that a list found gone, new or changed.
        labels: Selects the objects to watch.
        namespaces: Where; empty for the whole cluster.
        clock: The time.
    """

    def __init__(
        self,
        kube: Kube,
        cache: Cache,
        feed: Feed,
        concerns: Callable[[Object], None],
        labels: str,
        namespaces: Sequence[str] = (),
        clock: Clock | None = None,
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._feed = feed
        self._concerns = concerns
        self._labels = labels
        self._namespaces: Sequence[str | None] = namespaces or (None,)
        self._clock = clock or SystemClock()
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._absent: dict[str, float] = {}
        self._turn = asyncio.Lock()

    async def ensure(self, resource: Resource) -> bool:
        """Whether the cluster has the kind; if so, its objects are in the cache from now on.

        Raises:
            KubeError: The API server refused to list it, or can't be reached.
        """
        async with self._turn:
            if resource.kind in self._tasks:
                return True
            if self._clock.monotonic() - self._absent.get(resource.kind, -ABSENT_SECONDS) < ABSENT_SECONDS:
                return False
            try:
                versions = await self._take(resource)
            except NotFound:
                self._absent[resource.kind] = self._clock.monotonic()
                return False
            logger.info("watching %s", resource.plural)
            self._tasks[resource.kind] = [
                asyncio.create_task(self._follow(resource, namespace, version))
                for namespace, version in versions.items()
            ]
            return True

    async def stop(self) -> None:
        """Watch nothing more."""
        tasks = [task for tasks in self._tasks.values() for task in tasks]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _take(self, resource: Resource) -> dict[str | None, str]:
        """List everything; gives the moment of each list."""
        versions, objects = {}, []
        for namespace in self._namespaces:
            found = await self._kube.list(resource, namespace, labels=self._labels)
            objects += [slim(obj) for obj in found.items]
            versions[namespace] = found.resource_version
        oldest = next(iter(versions.values()))
        for obj in self._cache.replace(resource.kind, objects, oldest):
            self._concerns(obj)
        return versions

    async def _follow(self, resource: Resource, namespace: str | None, version: str) -> None:
        """Watch; what a watch that ended may have missed is listed anew."""
        while True:
            try:
                async for event, obj in self._kube.watch(
                    resource, namespace, labels=self._labels, since=version
                ):
                    self._feed(event, obj)
            except KubeError as error:
                logger.info("the watch of %s ended: %s", resource.plural, error)
            await asyncio.sleep(_PAUSE)
            try:
                version = (await self._take(resource))[namespace]
            except NotFound:  # somebody removed the add-on
                self._tasks.pop(resource.kind, None)
                for obj in self._cache.replace(resource.kind, (), version):
                    self._concerns(obj)
                return
            except KubeError as error:
                logger.warning("cannot list %s: %s", resource.plural, error)
