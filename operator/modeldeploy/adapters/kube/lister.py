"""When the cache takes complete lists: at the start, after a watch began anew, and now and then.

A watch that is begun anew (its connection broke for too long) doesn't tell of what was deleted meanwhile,
nor that it was begun; but it delivers every object once more as one that it began with. `restarted` takes
note of that, and the kind is listed again shortly after. A watch that finds nothing leaves no trace, hence
the slow cycle.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modeldeploy.adapters.clock import Clock, SystemClock, Timer
from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import KubeError
from modeldeploy.adapters.kube.resources import Object, Resource
from modeldeploy.adapters.kube.slim import slim

logger = logging.getLogger(__name__)

_SETTLE = 1.0
"""Seconds without another object of the watch's beginning before the kind is listed again."""
_SECOND = 10.0
"""Seconds after the first list of a kind until the next, by when the watches have begun: one that began with
nothing can't have told of what was deleted just before."""
_AGAIN = 5.0
"""Seconds before a failed list is tried again."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A kind that is watched, and the label selector with which it is."""

    resource: Resource
    labels: str | None = None


class Lister:
    """Takes the lists.

    Args:
        kube: The API server.
        cache: Where they go.
        watched: What to list; a kind may stand here several times with different selectors.
        namespaces: Where; empty for the whole cluster.
        concerns: Told of every object that a later list found gone, new or changed.
        cycle: Seconds between two lists of everything.
        clock: Timers.
    """

    def __init__(
        self,
        kube: Kube,
        cache: Cache,
        watched: Sequence[Watched],
        namespaces: Sequence[str] = (),
        *,
        concerns: Callable[[Object], None] = lambda _: None,
        cycle: float = 600.0,
        clock: Clock | None = None,
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._watched: dict[Resource, list[str | None]] = {}
        for item in watched:
            self._watched.setdefault(item.resource, []).append(item.labels)
        self._by_kind = {resource.kind: resource for resource in self._watched}
        self._namespaces: Sequence[str | None] = namespaces or (None,)
        self._concerns = concerns
        self._cycle = cycle
        self._clock = clock or SystemClock()
        self._timers: dict[Resource, Timer] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._stopped = False

    async def start(self) -> None:
        """List everything once; returns when absence can be trusted.

        Raises:
            KubeError: A list failed; try again.
        """
        for resource in self._watched:
            await self._take(resource)
            self._schedule(resource, _SECOND)

    def stop(self) -> None:
        """List nothing more."""
        self._stopped = True
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()

    def restarted(self, kind: str) -> None:
        """A watch delivered an object of this kind that it began with."""
        resource = self._by_kind.get(kind)
        if resource and self._cache.listed(kind):
            self._schedule(resource, _SETTLE)

    async def _take(self, resource: Resource) -> list[Object]:
        """Take a list of one kind now; one at a time, so that a later one is never the older one."""
        async with self._turn:
            objects, version = await self._read(resource)
            return self._cache.replace(resource.kind, objects, version)

    async def _read(self, resource: Resource) -> tuple[list[Object], str]:
        objects: list[Object] = []
        oldest: str | None = None
        for namespace in self._namespaces:
            for labels in self._watched[resource]:
                async for page in self._kube.pages(resource, namespace, labels=labels):
                    objects += [slim(obj) for obj in page.items]  # whole objects only by the page
                    oldest = oldest or page.resource_version  # the first is the oldest
        return objects, oldest or ""

    def _schedule(self, resource: Resource, delay: float) -> None:
        if self._stopped:
            return
        timer = self._timers.get(resource)
        if timer:
            timer.cancel()
        when = self._clock.monotonic() + delay
        self._timers[resource] = self._clock.call_at(when, lambda: self._begin(resource))

    def _begin(self, resource: Resource) -> None:
        task = asyncio.get_running_loop().create_task(self._relist(resource))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relist(self, resource: Resource) -> None:
        try:
            news = await self._take(resource)
        except KubeError as error:
            logger.warning("cannot list %s: %s", resource.plural, error)
            self._schedule(resource, _AGAIN)
        else:
            for obj in news:
                self._concerns(obj)
            self._schedule(resource, self._cycle)
