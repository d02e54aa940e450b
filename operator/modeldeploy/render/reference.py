"""The ConfigMap that keeps what the version before stable was asked: the reference `Previous` of drift."""

from collections.abc import Iterable, Mapping
from typing import Any

from modeldeploy.api.v1alpha1 import GROUP
from modeldeploy.api.v1alpha1.status import Replaced
from modeldeploy.core import naming
from modeldeploy.core.drift.reference import Reference, Trouble, dump, load
from modeldeploy.render.meta import Owner, child

KEY = "reference.json"
ASKED = f"{GROUP}/histograms"
"""Annotation: the histograms that were asked for, whether the version had them or not."""


def name(of: Owner) -> str:
    """The ConfigMap's name; no revision's hash is spelled like this."""
    return f"{of.name}-reference"


def config_map(of: Owner, replaced: Replaced, asked: Iterable[str], reference: Reference) -> dict[str, Any]:
    """The snapshot of a replaced revision."""
    found = child("v1", "ConfigMap", of, None)
    found["metadata"]["name"] = name(of)
    found["metadata"]["labels"] |= {
        naming.REVISION: replaced.revision,
        naming.MODEL_VERSION: replaced.model_version,
    }
    found["metadata"]["annotations"] = {ASKED: ",".join(sorted(asked))}
    return found | {"data": {KEY: dump(reference)}}


def kept(found: Mapping[str, Any], replaced: Replaced, asked: Iterable[str]) -> Reference | None:
    """The snapshot in a ConfigMap; None if of another revision, of less than is asked, or unreadable."""
    meta = found["metadata"]
    known = (meta.get("annotations") or {}).get(ASKED, "").split(",")
    if (meta.get("labels") or {}).get(naming.REVISION) != replaced.revision or not set(asked) <= set(known):
        return None
    reference = load((found.get("data") or {}).get(KEY, ""), f"ConfigMap {meta['name']}")
    return None if isinstance(reference, Trouble) else reference


def is_snapshot(found: Mapping[str, Any]) -> bool:
    """Whether a ConfigMap of ours is one of these."""
    return found["kind"] == "ConfigMap" and ASKED in (found["metadata"].get("annotations") or {})
