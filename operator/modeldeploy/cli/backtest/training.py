"""What drift from training is measured from: a file, or the ConfigMap beside the manifest."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modeldeploy.api.v1alpha1.drift import ReferenceFile
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.cli.backtest.problem import WrongInput
from modeldeploy.core.drift.reference import Reference, Trouble, load


def training(
    path: Path, documents: Sequence[Any], spec: ModelDeploymentSpec, file: Path | None
) -> dict[str, Reference]:
    """The references, by name of the metric.

    Args:
        path: The manifest's file.
        documents: All that stands in it.
        spec: The metrics.
        file: Of a training job; None for the ConfigMaps in the manifest's file.

    Raises:
        WrongInput: One is missing, or can't be used.
    """
    found: dict[str, Reference] = {}
    for metric in spec.monitoring.metrics:
        named = metric.drift.reference.config_map if metric.drift else None
        if named is None:
            continue
        text, where = _text(file) if file else _data(documents, named), str(file or path)
        if text is None:
            raise WrongInput(
                f"{path}: metric {metric.name} is compared with ConfigMap {named.name}, key {named.key}, "
                "which is not in this file; add it, or name the training job's file with --reference"
            )
        reference = load(text, where)
        if isinstance(reference, Trouble):
            raise WrongInput(reference.message)
        found[metric.name] = reference
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise WrongInput(f"--reference: {file}: can't be read: {why}") from error


def _data(documents: Sequence[Any], named: ReferenceFile) -> str | None:
    for one in documents:
        if not isinstance(one, Mapping) or one.get("kind") != "ConfigMap":
            continue
        metadata, data = one.get("metadata"), one.get("data")
        if not isinstance(metadata, Mapping) or not isinstance(data, Mapping):
            continue
        text = data.get(named.key)
        if metadata.get("name") == named.name and isinstance(text, str):
            return text
    return None
