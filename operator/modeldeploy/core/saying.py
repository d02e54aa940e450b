"""Words about one thing that several messages share, and the form of all of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from modeldeploy.api.v1alpha1.status import (
    MetricStatus,
    ModelDeploymentStatus,
    Phase,
    Stable,
    Verdict,
)
from modeldeploy.core.snapshot import Snapshot, Workload
from modeldeploy.core.traffic import INCUMBENT


@dataclass(frozen=True, slots=True)
class State:
    """Where the object stands.

    Attributes:
        phase: In one word.
        reason: Why, in one word.
        message: Why, in a sentence.
        ready: The revision in spec serves, and every router knows it.
        stalled: Nothing will change until somebody edits something.
        paused: A step waits for a human.
    """

    phase: Phase
    reason: str
    message: str
    ready: bool = False
    stalled: bool = False
    paused: bool = False


def serving(stable: Stable, snapshot: Snapshot) -> str:
    """What users get meanwhile."""
    workload = snapshot.observed.workloads.get(stable.revision)
    name = "the incumbent" if stable.revision == INCUMBENT else f"version {stable.model_version}"
    if workload and workload.ready:
        return f"{name} serves"
    if stable.revision == INCUMBENT:
        return f"{name} should serve, but has no ready endpoint"
    return f"{name} should serve, but {awaited(workload)}"


def awaited(workload: Workload | None) -> str:
    """What a workload's pods have come to so far."""
    if workload is None:
        return "its Deployment is being created"
    count = f"{workload.ready} of {workload.wanted} pods are ready"
    return f"{count}, {workload.awaiting}" if workload.awaiting else count


def unanswered(status: ModelDeploymentStatus) -> list[MetricStatus]:
    """The metrics whose question gets no usable answer, with what was said when that began."""
    return [entry for entry in status.metrics if entry.verdict is Verdict.ERROR]


def told(metrics: Iterable[MetricStatus]) -> str:
    """The metrics as they were recorded: numbers that merely move change no message."""
    return "; ".join(entry.message or f"{entry.name} is beyond its bound" for entry in metrics)
