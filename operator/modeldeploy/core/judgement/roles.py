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
        started_at: When the trial began.
        step_started_at: When its present step began.
    """

    stable: str | None = None
    candidate: str | None = None
    started_at: float = 0.0
    step_started_at: float = 0.0

    @classmethod
    def of(cls, status: ModelDeploymentStatus) -> Self:
        """The roles that stand in the status."""
        stable = status.stable.revision if status.stable else None
        if status.candidate is None:
            return cls(stable)
        return cls(
            stable,
            status.candidate.revision,
            status.candidate.started_at.timestamp(),
            status.candidate.step_started_at.timestamp(),
        )

    @property
    def subject(self) -> str | None:
        """The revision that a verdict speaks of: the candidate, else stable."""
        return self.candidate or self.stable

    @property
    def revisions(self) -> tuple[str, ...]:
        """The revisions that are looked at, stable first."""
        return tuple(dict.fromkeys(revision for revision in (self.stable, self.candidate) if revision))
