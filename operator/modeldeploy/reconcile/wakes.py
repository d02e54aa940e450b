"""Whom an event concerns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.lister import Lister
from modeldeploy.core.naming import COMPONENT, NAME
from modeldeploy.reconcile.routes import NEEDED, Routes

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What a look is taken at: a ModelDeployment, or with an empty name the routers of a namespace."""

    namespace: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.name else f"routers of {self.namespace}"


class Wakes:
    """Takes events in and wakes the keys that they concern.

    Args:
        cache: Takes the objects.
        lister: Told of watches that began anew.
        routes: Told of changes that route tables are made of.
        wake: Wakes a key.
    """

    def __init__(self, cache: Cache, lister: Lister, routes: Routes, wake: Callable[[Key], None]) -> None:
        self._cache = cache
        self._lister = lister
        self._routes = routes
        self._wake = wake

    def feed(self, event: str | None, obj: Object) -> None:
        """Take in one event."""
        if event is None:
            self._lister.restarted(obj["kind"])
        if self._cache.feed(event, obj):
            self.concerns(obj)

    def concerns(self, obj: Object) -> None:
        """Wake whom a change of this object concerns."""
        kind, meta = obj["kind"], obj["metadata"]
        namespace, labels = meta.get("namespace", ""), meta.get("labels") or {}
        if kind in NEEDED:
            self._routes.changed(namespace)
        if kind == "ModelDeployment":
            self._wake(Key(namespace, meta["name"]))
            self._wake(Key(namespace))
        elif labels.get(COMPONENT) == "router":
            self._wake(Key(namespace))
            if kind == "Pod":
                self.all_of(namespace)
        elif labels.get(NAME) and kind != "EndpointSlice":
            self._wake(Key(namespace, labels[NAME]))

    def all_of(self, namespace: str | None = None) -> None:
        """Wake every ModelDeployment, of one namespace or of all, and their routers."""
        for obj in self._cache.objects("ModelDeployment", namespace):
            meta = obj["metadata"]
            self._wake(Key(meta["namespace"], meta["name"]))
            self._wake(Key(meta["namespace"]))
