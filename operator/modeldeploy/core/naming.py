"""Names of revisions and of the objects that belong to them."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from modeldeploy.api.v1alpha1 import GROUP

NAME = f"{GROUP}/name"
REVISION = f"{GROUP}/revision"
MODEL_VERSION = f"{GROUP}/model-version"
COMPONENT = f"{GROUP}/component"
METRICS_PATH = f"{GROUP}/metrics-path"
METRICS_PORT = f"{GROUP}/metrics-port"
ACKNOWLEDGE = f"{GROUP}/acknowledge"
EPISODE = f"{GROUP}/episode"
MANAGED_BY = "app.kubernetes.io/managed-by"
FIELD_MANAGER = "modeldeploy"
REPLICAS_FIELD_MANAGER = "modeldeploy-replicas"
CONTAINER = "model"

NOT_IN_REVISION = frozenset({"replicas", "startupTimeout"})
"""Fields of `spec.server` that no pod feels."""


def revision_content(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The pod-affecting part of a spec as the user wrote it, `{"model": …, "server": …}`, without nulls."""
    server = {key: value for key, value in spec["server"].items() if key not in NOT_IN_REVISION}
    content: dict[str, Any] = _without_nulls({"model": spec["model"], "server": server})
    return content


def digest(content: Any, length: int = 8) -> str:
    """A short name for a JSON value: hexadecimal, independent of the order of keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def revision_name(content: Mapping[str, Any], taken: Mapping[str, Mapping[str, Any]]) -> str:
    """The name of a revision: a hash, longer where a different content already has the short one.

    Args:
        content: What `revision_content` gave.
        taken: Contents of the existing revisions by name.
    """
    for length in range(8, 65):
        name = digest(content, length)
        if name not in taken or taken[name] == content:
            return name
    msg = "two contents with the same SHA-256"
    raise AssertionError(msg)


def object_name(deployment: str, revision: str) -> str:
    """The name of a revision's objects."""
    return f"{deployment}-{revision}"


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
