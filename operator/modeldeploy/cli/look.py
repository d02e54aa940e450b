"""A ModelDeployment as people look at it, read from the plain object.

Not from the models in `modeldeploy.api`: the command may be older or newer than the operator that wrote the
status, and shows what it understands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Share:
    """One revision that runs, and its share of the requests.

    Attributes:
        role: `stable`, `candidate` or `previous`.
        version: Its model version.
        revision: The hash that names it.
        weight: Percent of the requests.
    """

    role: str
    version: str
    revision: str
    weight: int


@dataclass(frozen=True, slots=True)
class Judged:
    """The last verdict on one metric; values carry their units, and are empty where there is none.

    Attributes:
        name: The metric's.
        verdict: `Pass`, `Breach`, `Inconclusive`, `NoData`, `Error` or `NotApplicable`.
        candidate: The candidate's value; stable's when no rollout runs.
        stable: Stable's value during a rollout.
        message: What was compared with what.
    """

    name: str
    verdict: str
    candidate: str
    stable: str
    message: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A rollout that has ended: `Promoted`, `RolledBack`, `Superseded` or `Aborted`, and why."""

    version: str
    revision: str
    outcome: str
    reason: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Look:
    """The object at one moment.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        uid: Tells it from a later object of the same name.
        phase: `Pending`, `Progressing`, `Paused`, `Healthy`, `Degraded` or `RollingBack`; empty before the
            operator has seen it.
        message: The operator's sentence.
        ready: The condition `Ready`, if it speaks of the present spec.
        reason: The reason of that condition.
        progress: The step under way of all steps, as `2/3`; empty before the first one and without a rollout.
        shares: Who runs: stable first, the replaced revision last.
        metrics: In the order of the spec.
        history: Rollouts that have ended, the latest first.
    """

    namespace: str
    name: str
    uid: str
    phase: str
    message: str
    ready: bool
    reason: str
    progress: str
    shares: tuple[Share, ...]
    metrics: tuple[Judged, ...]
    history: tuple[Ended, ...]

    @property
    def candidate(self) -> Share | None:
        """The revision on trial."""
        return next((share for share in self.shares if share.role == "candidate"), None)

    def ended(self, version: str) -> Ended | None:
        """How the latest rollout of a model version ended; None if it hasn't."""
        return next((entry for entry in self.history if entry.version == version), None)


def read(obj: Object) -> Look:
    """Read an object; what its status lacks is empty."""
    meta, status = obj["metadata"], obj.get("status") or {}
    conditions = {entry["type"]: entry for entry in status.get("conditions") or ()}
    ready = conditions.get("Ready") or {}
    is_current = ready.get("observedGeneration") == meta.get("generation")
    return Look(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        uid=meta.get("uid", ""),
        phase=status.get("phase", ""),
        message=status.get("message", ""),
        ready=is_current and ready.get("status") == "True",
        reason=ready.get("reason", ""),
        progress=_progress(status.get("candidate") or {}),
        shares=_shares(status),
        metrics=tuple(_judged(entry) for entry in status.get("metrics") or ()),
        history=tuple(_ended(entry) for entry in status.get("history") or ()),
    )


def moment(text: str) -> datetime:
    """A time as the API server writes it."""
    return datetime.fromisoformat(text)


def _progress(candidate: Object) -> str:
    return str(candidate.get("progress", "")) if candidate.get("step") else ""


def _shares(status: Object) -> tuple[Share, ...]:
    found = []
    for role in ("stable", "candidate", "previous"):
        entry = status.get(role)
        if entry:
            found.append(
                Share(role, entry.get("modelVersion", ""), entry.get("revision", ""), entry.get("weight", 0))
            )
    return tuple(found)


def _judged(entry: Object) -> Judged:
    return Judged(
        name=entry["name"],
        verdict=entry.get("verdict", ""),
        candidate=entry.get("candidate") or "",
        stable=entry.get("stable") or "",
        message=entry.get("message") or "",
    )


def _ended(entry: Object) -> Ended:
    return Ended(
        version=entry.get("modelVersion", ""),
        revision=entry.get("revision", ""),
        outcome=entry.get("outcome", ""),
        reason=entry.get("reason", ""),
        message=entry.get("message", ""),
        at=moment(entry["at"]),
    )
