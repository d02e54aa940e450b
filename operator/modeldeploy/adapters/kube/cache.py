"""What was last seen of the cluster, fed by watches and by the answers to our own writes.

Five rules make it safe to decide from it:

- *Never older.* An object is only replaced by a newer one. After our own write its answer is here at once,
  and a late watch event can't undo it. Kubernetes compares resourceVersions as integers (documented from
  1.35, true of every release that keeps them in etcd); where one isn't an integer, our own write stays
  until the watch has shown it, or for `PATIENCE` seconds.
- *Heard of, however it came.* The answer to a write may carry what somebody else wrote just before. The watch
  shows that version, too, and then it counts as news although the cache has it: else nobody would ever wake
  whom the other's change concerns. An answer that can hold nothing of others (`alone`) needs no second word.
- *Never raised from the dead.* The answer to a write that comes after the news of the object's end is
  dropped.
- *Absence is known, not guessed.* Watching frameworks don't say when a list is complete, and a watch that
  breaks may miss a deletion. So a kind is `listed` only after a list of our own, and each list removes what
  it didn't find. `modeldeploy.adapters.kube.lister` says when to list.
- *The cluster may be restored.* A list older than the one before it means an older state of the store: what
  was known of the kind is forgotten.

Objects given out are the cache's own: don't change them.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modeldeploy.adapters.kube.resources import Object
from modeldeploy.adapters.kube.slim import slim

NAME_LABEL = "modeldeploy.dev/name"
"""The label that says which ModelDeployment an object belongs to."""
PATIENCE = 5.0
_GRAVES = 1024


@dataclass(slots=True)
class _Entry:
    obj: Object
    version: str
    written: float | None = None
    """When it was our own write that brought this version (monotonic seconds), until the watch shows it."""
    foreign: bool = False
    """Whether that answer may hold what others wrote, and the watch has not shown."""


class Cache:
    """Objects by kind, namespace and name, and the children of a ModelDeployment by kind.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.changes = 0
        """Grows with every change: what was made of the cache is good for as long as this stays."""
        self._clock = clock
        self._entries: dict[tuple[str, str], dict[str, _Entry]] = {}
        self._children: dict[tuple[str, str, str], set[str]] = {}
        self._listed: dict[str, str] = {}
        self._graves: OrderedDict[str, str] = OrderedDict()

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """An object, or None; trust the None only if `listed(kind)`."""
        entry = self._entries.get((kind, namespace), {}).get(name)
        return entry.obj if entry else None

    def children(self, namespace: str, name: str, kind: str) -> list[Object]:
        """The objects of a kind that are labelled as the ModelDeployment's, in the order of their names."""
        entries = self._entries.get((kind, namespace), {})
        return [entries[child].obj for child in sorted(self._children.get((kind, namespace, name), ()))]

    def objects(self, kind: str, namespace: str | None = None) -> Iterator[Object]:
        """All objects of a kind, in one namespace or in all."""
        for (of, where), entries in list(self._entries.items()):
            if of == kind and namespace in (None, where):
                for entry in list(entries.values()):
                    yield entry.obj

    def listed(self, kind: str) -> bool:
        """Whether a complete list of the kind has been taken in since the start."""
        return kind in self._listed

    def feed(self, event: str | None, obj: Mapping[str, Any]) -> bool:
        """Take in a watch event: `ADDED`, `MODIFIED`, `DELETED`, or None for what a watch began with.

        Returns:
            Whether it is news, for whom it concerns to be woken.
        """
        return self._remove(obj) if event == "DELETED" else self._put(obj, own=False)

    def wrote(self, obj: Mapping[str, Any], *, alone: bool = False) -> bool:
        """Take in the answer to a request of our own. Returns whether it was news.

        Args:
            obj: The answer.
            alone: It was a write to the very state that is known here, so it can hold nothing of others.
        """
        return self._put(obj, own=True, alone=alone)

    def replace(self, kind: str, objects: Iterable[Object], resource_version: str) -> list[Object]:
        """Take in a complete list of a kind: what isn't in it and isn't newer than it doesn't exist.

        Args:
            kind: The kind.
            objects: Everything that the list found.
            resource_version: The list's own.

        Returns:
            The news: objects that came, changed or were dropped. Whom they concern has to be woken, since
            the watch's own event, where it comes later, is none any more.
        """
        if _newer(self._listed.get(kind, ""), resource_version):
            self._forget(kind)
        found = set()
        news = []
        for obj in objects:
            found.add(_place(obj))
            if self._put(obj, own=False):
                news.append(obj)
        ghosts = [
            obj
            for obj in self.objects(kind)
            if _place(obj) not in found and not _newer(obj["metadata"]["resourceVersion"], resource_version)
        ]
        for ghost in ghosts:
            self._drop(ghost)
        self._listed[kind] = resource_version
        return news + ghosts

    def _put(self, obj: Mapping[str, Any], *, own: bool, alone: bool = False) -> bool:
        meta = obj["metadata"]
        version = meta.get("resourceVersion", "")
        grave = self._graves.get(meta.get("uid", ""))
        if grave is not None and not _newer(version, grave):
            return False
        kind, namespace, name = obj["kind"], meta.get("namespace", ""), meta["name"]
        entries = self._entries.setdefault((kind, namespace), {})
        old = entries.get(name)
        if old and version == old.version:
            return not own and _shown(old)
        if old and not self._supersedes(old, version, own=own):
            return False
        if old:
            self._unlink(old.obj)
        foreign = own and (not alone or bool(old and old.foreign))
        entries[name] = _Entry(slim(obj), version, self._clock() if own else None, foreign)
        self._link(entries[name].obj)
        self.changes += 1
        return True

    def _supersedes(self, old: _Entry, version: str, *, own: bool) -> bool:
        if version.isdigit() and old.version.isdigit():
            return int(version) > int(old.version)
        return own or old.written is None or self._clock() - old.written > PATIENCE

    def _remove(self, obj: Mapping[str, Any]) -> bool:
        meta = obj["metadata"]
        self._bury(meta)
        namespace, name = _place(obj)
        entry = self._entries.get((obj["kind"], namespace), {}).get(name)
        if entry is None or entry.obj["metadata"].get("uid") != meta.get("uid"):
            return False  # already gone, or another object has taken the name
        self._drop(entry.obj)
        return True

    def _forget(self, kind: str) -> None:
        for obj in list(self.objects(kind)):
            self._drop(obj)
        self._graves.clear()

    def _drop(self, obj: Object) -> None:
        namespace, name = _place(obj)
        self._unlink(obj)
        self.changes += 1
        entries = self._entries[obj["kind"], namespace]
        del entries[name]
        if not entries:
            del self._entries[obj["kind"], namespace]

    def _bury(self, meta: Mapping[str, Any]) -> None:
        self._graves[meta.get("uid", "")] = meta.get("resourceVersion", "")
        while len(self._graves) > _GRAVES:
            self._graves.popitem(last=False)

    def _link(self, obj: Object) -> None:
        key = _child_key(obj)
        if key:
            self._children.setdefault(key, set()).add(obj["metadata"]["name"])

    def _unlink(self, obj: Object) -> None:
        key = _child_key(obj)
        if key and key in self._children:
            self._children[key].discard(obj["metadata"]["name"])
            if not self._children[key]:
                del self._children[key]


def _shown(entry: _Entry) -> bool:
    """The watch shows what an answer brought first; whether that is news to anybody."""
    news = entry.foreign
    entry.written, entry.foreign = None, False
    return news


def _place(obj: Mapping[str, Any]) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _child_key(obj: Mapping[str, Any]) -> tuple[str, str, str] | None:
    owner = (obj["metadata"].get("labels") or {}).get(NAME_LABEL)
    return (obj["kind"], obj["metadata"].get("namespace", ""), owner) if owner else None


def _newer(version: str, than: str) -> bool:
    return version.isdigit() and than.isdigit() and int(version) > int(than)
