"""The manifest and the times, read with a sentence for all that can be wrong with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from modeldeploy.adapters.endpoint import Endpoint
from modeldeploy.adapters.history import Ticket
from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.cli.backtest.problem import WrongInput
from modeldeploy.cli.backtest.training import training
from modeldeploy.core import judgement
from modeldeploy.core.judgement import References
from modeldeploy.core.request import read_spec

KIND = "ModelDeployment"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The object whose past is judged, by the metrics that stand in the file now.

    Attributes:
        who: The object.
        spec: What it asks for.
        references: What drift from training is measured from, by name of the metric.
    """

    who: Ticket
    spec: ModelDeploymentSpec
    references: References


def read_manifest(path: Path, namespace: str | None, reference: Path | None = None) -> Manifest:
    """The one ModelDeployment in a file.

    Args:
        path: The file.
        namespace: To take instead of the manifest's own.
        reference: The file of a training job; None for the ConfigMaps beside the manifest.

    Raises:
        WrongInput: There is none, or it can't be judged by.
    """
    found = _documents(path)
    obj = _only(path, found)
    metadata = obj.get("metadata") or {}
    if not isinstance(metadata, Mapping) or not metadata.get("name"):
        raise WrongInput(f"{path}: metadata.name is missing; series are found by it")
    if not isinstance(obj.get("spec") or {}, Mapping):
        raise WrongInput(f"{path}: spec is no mapping; write spec.model, spec.server and spec.monitoring")
    request = read_spec(obj)
    if request.spec is None:
        raise WrongInput(f"{path}: {request.invalid}")
    if not request.spec.monitoring.metrics:
        raise WrongInput(f"{path}: spec.monitoring.metrics is empty; name there what is to be judged")
    wrong = judgement.problems(request.spec)
    if wrong:
        raise WrongInput(f"{path}: {'; '.join(wrong)}")
    where = namespace or metadata.get("namespace") or "default"
    store = Endpoint.of(request.spec.monitoring.prometheus)
    who = Ticket(str(where), str(metadata["name"]), store)
    return Manifest(who, request.spec, training(path, found, request.spec, reference))


def _documents(path: Path) -> list[Any]:
    try:
        return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one is not None]
    except OSError as error:
        raise WrongInput(f"{path}: can't be read: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise WrongInput(f"{path}: is no YAML: {' '.join(str(error).split())}") from error


def _only(path: Path, found: Sequence[Any]) -> Mapping[str, Any]:
    kinds = [one.get("kind") if isinstance(one, Mapping) else None for one in found]
    mine = [one for one, kind in zip(found, kinds, strict=True) if kind == KIND]
    if len(mine) == 1:
        return dict(mine[0])
    if mine:
        raise WrongInput(f"{path}: holds {len(mine)} {KIND}s; give a file with one")
    others = ", ".join(sorted({str(kind) for kind in kinds if kind})) or "nothing of any kind"
    raise WrongInput(f"{path}: holds no {KIND} (but {others}); give a manifest with kind: {KIND}")


def read_time(option: str, text: str, now: datetime) -> datetime:
    """A time as users write it: ISO 8601, `now`, or a span before now (`2h`, `2h ago`).

    Raises:
        WrongInput: It is none of these.
    """
    plain = text.strip()
    if plain == "now":
        return now
    try:
        return now - timedelta(seconds=seconds(plain.removesuffix(" ago")))
    except (ValueError, OverflowError):
        pass
    try:
        at = datetime.fromisoformat(plain)
    except ValueError:
        raise WrongInput(f"{option}: {text!r} is no time; write 2026-11-22T12:00:00Z, or 2h ago") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def check_span(begin: datetime, end: datetime, interval: str) -> None:
    """Refuse a span with nothing in it.

    Raises:
        WrongInput: It ends before it begins, or within one interval.
    """
    if begin >= end:
        raise WrongInput(
            f"--from {begin:%Y-%m-%dT%H:%M:%SZ} is not before --to {end:%Y-%m-%dT%H:%M:%SZ}; swap them"
        )
    if (end - begin).total_seconds() < seconds(interval):
        raise WrongInput(f"--from and --to lie within one interval ({interval}); choose a longer span")
