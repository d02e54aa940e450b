"""What every object of ours carries: labels that find it and the reference to its owner."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modeldeploy.api.v1alpha1 import API_VERSION, KIND
from modeldeploy.core import naming
from modeldeploy.core.snapshot import Revision


@dataclass(frozen=True, slots=True)
class Owner:
    """The ModelDeployment that objects belong to."""

    namespace: str
    name: str
    uid: str

    def reference(self, *, controller: bool = True) -> dict[str, Any]:
        """An owner reference; several owners of one object can't all be its controller."""
        reference = {"apiVersion": API_VERSION, "kind": KIND, "name": self.name, "uid": self.uid}
        return reference | ({"controller": True, "blockOwnerDeletion": True} if controller else {})


def child(api_version: str, kind: str, owner: Owner, revision: Revision | None) -> dict[str, Any]:
    """Type and metadata of an object: a revision's (`<name>-<hash>`) or the object's own (`<name>`)."""
    labels = {naming.MANAGED_BY: "modeldeploy", naming.NAME: owner.name}
    if revision:
        labels |= {naming.REVISION: revision.name, naming.MODEL_VERSION: revision.model_version}
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": naming.object_name(owner.name, revision.name) if revision else owner.name,
            "namespace": owner.namespace,
            "labels": labels,
            "ownerReferences": [owner.reference()],
        },
    }


def is_owned(metadata: Mapping[str, Any], owner: Owner) -> bool:
    """Whether an object is controlled by this very ModelDeployment."""
    references = metadata.get("ownerReferences") or ()
    return any(reference.get("uid") == owner.uid and reference.get("controller") for reference in references)
