"""Who is on trial, against whom, and since when."""

from dataclasses import dataclass
from typing import Self

from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus


@dataclass(frozen=True, slots=True)
class Roles:
    """The revisions that metrics are judged for. Times are seconds since 1970.

    Attributes:
        stable: The revision users rely on; None before the first one is.
        candidate: The revision on trial; None while no rollout runs.
        started_at: When the trial began, or began afresh after a step down.
        step_started_at: When its present step began.
        weight: The share of requests, in percent, that should reach the candidate; 0 where nobody can tell,
            since some reach it by another way, as copies or by a preview.
        weighed_at: Since when that is so.
        shadow: The candidate answers no users: it gets copies, or nothing yet.
        returned_at: When its traffic was returned to see whether stable recovers; 0 if it wasn't.
    """

    stable: str | None = None
    candidate: str | None = None
    started_at: float = 0.0
    step_started_at: float = 0.0
    weight: int = 0
    weighed_at: float = 0.0
    returned_at: float = 0.0
    shadow: bool = False

    @classmethod
    def of(cls, status: ModelDeploymentStatus) -> Self:
        """The roles that stand in the status."""
        stable = status.stable.revision if status.stable else None
        candidate, changed = status.candidate, status.traffic_changed_at
        if candidate is None:
            return cls(stable)
        return cls(
            stable,
            candidate.revision,
            candidate.judged_since.timestamp(),
            candidate.step_started_at.timestamp(),
            0 if candidate.mirror or candidate.preview else candidate.weight,
            changed.timestamp() if changed else 0.0,
            candidate.returned_at.timestamp() if candidate.returned_at else 0.0,
            candidate.weight == 0,
        )

    @property
    def subject(self) -> str | None:
        """The revision that a verdict speaks of: the candidate, else stable."""
        return self.candidate or self.stable

    @property
    def revisions(self) -> tuple[str, ...]:
        """The revisions that are looked at, stable first."""
        return tuple(dict.fromkeys(revision for revision in (self.stable, self.candidate) if revision))
