"""Who gets which requests, as the status says: what every provider renders from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus, PreviewRoute

INCUMBENT = "incumbent"
"""Stands for a revision's name where a Service of the user's own answers."""


def has_incumbent(spec: ModelDeploymentSpec) -> bool:
    """Whether spec names something of the user's own that answers today."""
    return spec.traffic.incumbent is not None or spec.adopt is not None


def shares(status: ModelDeploymentStatus) -> dict[str, int]:
    """The shares of requests that a status states, above zero, in percent, by revision."""
    tracks = (status.stable, status.candidate)
    return {track.revision: track.weight for track in tracks if track and track.weight}


@dataclass(frozen=True, slots=True)
class Split:
    """The decided traffic of one object.

    Attributes:
        stable: The revision that users can rely on, or `incumbent`; None before there is one.
        candidate: The revision on trial.
        weights: Shares of requests above 0, in percent, by revision.
        mirror: Share of requests that are copied to the candidate, in percent.
        preview: The way to the candidate for those who know it.
    """

    stable: str | None
    candidate: str | None
    weights: Mapping[str, int]
    mirror: int = 0
    preview: PreviewRoute | None = None

    @classmethod
    def of(cls, status: ModelDeploymentStatus) -> Self:
        """The traffic that a status states."""
        candidate = status.candidate
        return cls(
            stable=status.stable.revision if status.stable else None,
            candidate=candidate.revision if candidate else None,
            weights=shares(status),
            mirror=candidate.mirror if candidate else 0,
            preview=candidate.preview if candidate else None,
        )

    def routes_like(self, other: Self) -> bool:
        """Whether every request goes the same way as by the other."""
        mine = (self.weights, self._extras())
        return mine == (other.weights, other._extras())

    def _extras(self) -> tuple[object, ...]:
        return (self.candidate, self.mirror, self.preview) if self.mirror or self.preview else ()
