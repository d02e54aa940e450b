"""Ports of listeners: one per ModelDeployment, unique among those that share their namespace's routers."""

from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.core.request import read_status

FIRST, LAST = 10000, 29999


class Ports:
    """Gives out ports. Only the leader does, and without waiting between looking and giving."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._given: dict[str, dict[str, int]] = {}

    def allocate(self, namespace: str, uid: str) -> int:
        """A free port for an object, the same one each time until `release`."""
        given = self._given.setdefault(namespace, {})
        if uid not in given:
            taken = set(given.values())
            for obj in self._cache.objects("ModelDeployment", namespace):
                routing = read_status(obj).routing
                if routing:
                    taken.add(routing.port)
            given[uid] = next(port for port in range(FIRST, LAST + 1) if port not in taken)
        return given[uid]

    def release(self, namespace: str, uid: str) -> None:
        """The object is gone."""
        given = self._given.get(namespace, {})
        given.pop(uid, None)
        if not given:
            self._given.pop(namespace, None)
