"""A decision in the making: immutable, grown step by step."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from modeldeploy.api.v1alpha1.status import (
    Candidate,
    Draining,
    HistoryEntry,
    ModelDeploymentStatus,
    Outcome,
    Stable,
)
from modeldeploy.core.decision import Event, Severity
from modeldeploy.core.traffic import Split

HISTORY_LIMIT = 20
EVIDENCE_LIMIT = 40
"""Metrics kept in all of history: an object of a thousand bytes must not become one of a million."""
DRAINING_LIMIT = 16
SHORT = 1000
"""Longest message of a condition, in characters."""
BRIEF = 240
"""Longest message of a metric or of an entry in history, in characters."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The next status as far as it is known, the events to tell, and the times to look again."""

    status: ModelDeploymentStatus
    events: tuple[Event, ...] = ()
    due: tuple[datetime, ...] = ()

    def with_status(self, **changes: Any) -> Self:
        """The same with fields of the status changed."""
        return replace(self, status=self.status.model_copy(update=changes))

    def with_event(self, severity: Severity, reason: str, message: str) -> Self:
        """The same with one more thing to tell."""
        return replace(self, events=(*self.events, Event(severity, reason, message)))

    def with_due(self, at: datetime) -> Self:
        """The same with one more time to look again."""
        return replace(self, due=(*self.due, at))

    def without_due(self) -> Self:
        """The same with nothing to look for again: what was waited for is over."""
        return replace(self, due=())

    def with_weights(self, stable: Stable | None, candidate: Candidate | None, now: datetime) -> Self:
        """The same with other traffic; its generation grows only if some request goes another way."""
        before = Split.of(self.status)
        drafted = self.with_status(stable=stable, candidate=candidate)
        if Split.of(drafted.status).routes_like(before):
            return drafted
        return drafted.with_status(
            traffic_generation=self.status.traffic_generation + 1, traffic_changed_at=now
        )

    def with_history(
        self, candidate: Candidate | Stable, outcome: Outcome, reason: str, message: str, *, now: datetime
    ) -> Self:
        """The same with what has become of a revision, and the metrics as its evidence."""
        entry = HistoryEntry(
            revision=candidate.revision,
            model_version=candidate.model_version,
            image=self.status.images.get(candidate.revision),
            outcome=outcome,
            reason=reason,
            message=clip(message, BRIEF),
            evidence=self.status.metrics,
            at=now,
        )
        return self.with_status(history=_bounded([entry, *self.status.history]))

    def with_draining(self, revision: str) -> Self:
        """The same with a revision that finishes its last answers, once routers send it no new requests.

        Of very many the one that has drained longest is no longer listed; it too ends only when routers
        follow.
        """
        others = [entry for entry in self.status.draining if entry.revision != revision]
        listed = [*others, Draining(revision=revision)]
        return self.with_status(draining=listed[-DRAINING_LIMIT:])

    def without_draining(self, revision: str) -> Self:
        """The same with a revision that is needed again."""
        kept = [entry for entry in self.status.draining if entry.revision != revision]
        return self if len(kept) == len(self.status.draining) else self.with_status(draining=kept)


def after(start: datetime, span: float) -> datetime:
    """The time `span` seconds after another."""
    return start + timedelta(seconds=span)


def clip(text: str, length: int) -> str:
    """A text of at most `length` characters; what was cut off shows as an ellipsis."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _bounded(history: list[HistoryEntry]) -> list[HistoryEntry]:
    kept, room = [], EVIDENCE_LIMIT
    for entry in history[:HISTORY_LIMIT]:
        evidence = entry.evidence[:room]
        room -= len(evidence)
        kept.append(entry.model_copy(update={"evidence": evidence}))
    return kept
