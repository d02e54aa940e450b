"""Reading a ModelDeployment as it comes from the API server; nothing in it can raise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus


@dataclass(frozen=True, slots=True)
class Request:
    """What one object asks for.

    Attributes:
        spec: What is asked, or None when it can't be understood.
        invalid: Why not: a sentence that names each wrong field.
    """

    spec: ModelDeploymentSpec | None
    invalid: str | None


def read_spec(obj: Mapping[str, Any]) -> Request:
    """The spec of an object."""
    try:
        return Request(ModelDeploymentSpec.model_validate(obj.get("spec") or {}), None)
    except ValidationError as error:
        return Request(None, "; ".join(sorted({_complaint(one) for one in error.errors()})))


def read_status(obj: Mapping[str, Any]) -> ModelDeploymentStatus:
    """The status of an object; empty if it can't be understood, and then rebuilt from the children."""
    try:
        return ModelDeploymentStatus.model_validate(obj.get("status") or {})
    except ValidationError:
        return ModelDeploymentStatus()


def _complaint(error: Mapping[str, Any]) -> str:
    path = "spec"
    for part in error["loc"]:
        if isinstance(part, int):
            path += f"[{part}]"
        elif "[" not in part and "-" not in part:  # pydantic names the branch of a union in its path
            path += f".{part}"
    given = error.get("input")
    shown = f" (got {given!r})" if isinstance(given, str | int | float | bool) else ""
    return f"{path}: {error['msg'].rstrip('.')}{shown}"
