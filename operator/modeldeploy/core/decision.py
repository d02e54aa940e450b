"""What is to be done: a value, carried out by the shell."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from modeldeploy.api.v1alpha1.episode import Episode
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus


class Severity(StrEnum):
    """The type of a Kubernetes Event."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth telling, once, when it happens."""

    severity: Severity
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Run:
    """An episode's trigger is to be run.

    Attributes:
        episode: The episode; its id, with the object's UID, is the key under which this is done once.
        attempt: Which attempt this is, from 1.
    """

    episode: Episode
    attempt: int


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state, and what follows from it.

    Attributes:
        status: Written first, guarded by resourceVersion; traffic weights stand in it.
        sizes: Revisions that run, with the pods that each has at least.
        leaving: Revisions that finish their last answers: nothing may scale them up, nor down yet.
        retired: Revisions whose pods may end now: no router sends them anything and their drain time is over.
        events: Told after the status is written.
        run: The trigger to run; its intent stands in the status. None for nothing.
        requeue_at: When to look again without being woken; None to wait for a change.
    """

    status: ModelDeploymentStatus
    sizes: Mapping[str, int]
    leaving: frozenset[str]
    retired: frozenset[str]
    events: tuple[Event, ...] = ()
    requeue_at: datetime | None = None
    run: Run | None = None

    @property
    def running(self) -> frozenset[str]:
        """Revisions whose pods must not end."""
        return self.leaving | self.sizes.keys()
