"""From wanted and present objects to the fewest writes: applies in the given order, then deletions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from modeldeploy.core.naming import digest

Object = Mapping[str, Any]
Key = tuple[str, str]
"""Kind and name, within one namespace."""

NAMED = ("name", "containerPort", "mountPath", "type", "uid", "port", "ip")
"""Fields by which items of a list are told apart, the first that all items have."""
WHOLE = frozenset(
    {
        *("selector", "labelSelector", "nodeSelector"),
        *("parentRefs", "rules", "services", "mirrors", "http"),  # of routes
    }
)
"""Fields of which the API server keeps one owner for the whole: one more key in a selector finds no pod, one
more backend in a rule gets requests."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write.

    Attributes:
        applies: Objects to apply, in order.
        deletes: Present objects to delete, in order.
    """

    applies: tuple[Object, ...]
    deletes: tuple[Object, ...]


def key(item: Object) -> Key:
    """What tells an object from the others of its namespace."""
    return item["kind"], item["metadata"]["name"]


def plan(
    wanted: Iterable[Object],
    present: Mapping[Key, Object],
    unwanted: Iterable[Object],
    settled: Mapping[Key, str],
) -> Plan:
    """The writes that bring what is present to what is wanted.

    Args:
        wanted: Objects with the fields that we own, in the order in which they are to be applied.
        present: What is there, by key.
        unwanted: Present objects to delete, in order.
        settled: For objects that were applied before, the stamp of wanted and present state at which the API
            server found nothing to change: it writes some values otherwise than we do (`1000m` becomes `1`).
    """
    applies = []
    for item in wanted:
        found = present.get(key(item))
        if found is not None and (covers(found, item) or settled.get(key(item)) == stamp(item, found)):
            continue
        applies.append(item)
    return Plan(tuple(applies), tuple(unwanted))


def stamp(wanted: Object, present: Object) -> str:
    """Identifies a pair of wanted and present state."""
    metadata = present["metadata"]
    version = metadata.get("generation") or metadata.get("resourceVersion", "")
    return f"{digest(wanted)}@{metadata.get('uid', '')}:{version}"


def covers(present: Any, wanted: Any) -> bool:
    """Whether `present` has every field of `wanted` with the same value; it may have more.

    Lists of named items may hold further items in any order, all other lists and selectors must be equal.
    """
    if isinstance(wanted, Mapping):
        return isinstance(present, Mapping) and all(
            name in present and (present[name] == value if name in WHOLE else covers(present[name], value))
            for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(present, list) and _covers_list(present, wanted)
    return bool(present == wanted)


def _covers_list(present: list[Any], wanted: list[Any]) -> bool:
    items = (*present, *wanted)
    if not all(isinstance(item, Mapping) for item in items):
        return present == wanted
    names = [name for name in NAMED if all(name in item for item in items)]
    if not names:
        return len(present) == len(wanted) and all(map(covers, present, wanted))
    found = {item[names[0]]: item for item in present}
    return all(item[names[0]] in found and covers(found[item[names[0]]], item) for item in wanted)
