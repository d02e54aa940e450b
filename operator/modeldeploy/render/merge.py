"""Merging a user's part of a pod template into ours, with the merge keys that Kubernetes itself uses."""

from collections.abc import Mapping
from typing import Any

MERGE_KEYS: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "protocol"),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
DEFAULTS = {"protocol": "TCP"}


def merge(base: Any, over: Any, field: str = "") -> Any:
    """`base` with `over` on top: maps merge by key, named lists by their merge key, all else is replaced.

    A null in `over` removes what `base` has.
    """
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        merged = {key: value for key, value in base.items() if key not in over}
        for key, value in over.items():
            if value is not None:
                merged[key] = merge(base[key], value, key) if key in base else value
        return merged
    if isinstance(base, list) and isinstance(over, list) and field in MERGE_KEYS:
        return _merge_list(base, over, field)
    return over


def identity(item: Any, field: str) -> tuple[Any, ...]:
    """What makes an item of a named list the same as another."""
    return tuple(item.get(key, DEFAULTS.get(key)) for key in MERGE_KEYS[field])


def _merge_list(base: list[Any], over: list[Any], field: str) -> list[Any]:
    if not all(isinstance(item, Mapping) and _has_plain_identity(item, field) for item in (*base, *over)):
        return over  # the API server will say what is wrong with it
    ours = {identity(item, field): item for item in base}
    theirs = {identity(item, field): item for item in over}
    if len(theirs) < len(over):
        return over  # likewise: one of two by the same name would be dropped in silence
    kept = [merge(item, theirs[key], "") if key in theirs else item for key, item in ours.items()]
    return kept + [item for item in over if identity(item, field) not in ours]


def _has_plain_identity(item: Any, field: str) -> bool:
    return all(isinstance(part, str | int | None) for part in identity(item, field))
