"""Carrying out a plan: the only place that writes children.

Nothing that isn't ours is ever touched: what the cache doesn't know is looked up before it is applied for the
first time, and an object with another owner stays as it is.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from datetime import timedelta
from typing import Any

from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import Conflict, NotFound
from modeldeploy.adapters.kube.resources import resource_of
from modeldeploy.core.naming import FIELD_MANAGER
from modeldeploy.core.plan import Key, Plan, key, plan, stamp

logger = logging.getLogger(__name__)

Object = Mapping[str, Any]

CONFLICT_PAUSE = timedelta(seconds=3)
"""Until an object in the way is looked for again: nothing tells us that it is gone."""
REMEMBERED = 256
"""Objects that were deleted last."""


class NameTaken(Exception):  # noqa: N818 - a finding, not a fault
    """An object that isn't ours has the name that one of ours needs.

    Attributes:
        message: Names the object and the mend.
    """

    def __init__(self, obj: Object) -> None:
        kind, name = key(obj)
        self.message = (
            f"{kind} {name} is in the way: it exists, is not modeldeploy's and is left alone. "
            f"Delete or rename it"
        )
        super().__init__(self.message)


class Applier:
    """Applies plans.

    Args:
        kube: The API server.
        cache: Gets the answers to our own writes.
    """

    def __init__(self, kube: Kube, cache: Cache) -> None:
        self._kube = kube
        self._cache = cache
        self._deleted: deque[str] = deque(maxlen=REMEMBERED)

    async def carry_out(
        self,
        wanted: Iterable[Object],
        unwanted: Iterable[Object],
        *,
        namespace: str,
        is_ours: Callable[[Object], bool],
        settled: MutableMapping[Key, str],
    ) -> None:
        """Bring what is present to what is wanted.

        Raises:
            NameTaken: A foreign object is in the way; what comes before it in `wanted` is done.
            KubeError: The API server refused, or can't be reached.
        """
        wanted = list(wanted)
        present = {}
        for item in wanted:
            found = await self.find(item, namespace, is_ours)
            if found is not None:
                present[key(item)] = found
        steps: Plan = plan(wanted, present, unwanted, settled)
        for item in steps.applies:
            await self._apply(item, present.get(key(item)), settled)
        for item in steps.deletes:
            await self._delete(item)
            settled.pop(key(item), None)

    async def find(self, item: Object, namespace: str, is_ours: Callable[[Object], bool]) -> Object | None:
        """The object as it is, or None.

        Raises:
            NameTaken: It is foreign.
        """
        kind, name = key(item)
        found: Object | None = self._cache.get(kind, namespace, name)
        if found is None:  # the watch shows only what carries our labels
            try:
                found = await self._kube.get(resource_of(item), namespace, name)
            except NotFound:
                return None
        if not is_ours(found):
            raise NameTaken(item)
        return found

    async def _apply(self, item: Object, before: Object | None, settled: MutableMapping[Key, str]) -> None:
        after = await self._kube.apply(dict(item), manager=FIELD_MANAGER)
        self._cache.wrote(after)
        same = before is not None and _version(before) == _version(after)
        if same:
            settled[key(item)] = stamp(item, after)
        logger.info("%s %s/%s %s", "kept" if same else "applied", item["kind"], *_place(item))

    async def _delete(self, item: Object) -> None:
        meta = item["metadata"]
        if meta["uid"] in self._deleted:  # the watch has yet to tell that it is gone
            return
        try:
            await self._kube.delete(resource_of(item), meta["namespace"], meta["name"], uid=meta["uid"])
            logger.info("deleted %s %s/%s", item["kind"], *_place(item))
        except NotFound:
            pass
        except Conflict:  # another object has taken the name since
            logger.info("%s %s/%s is another object now", item["kind"], *_place(item))
        self._deleted.append(meta["uid"])


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion"))


def _place(obj: Object) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]
