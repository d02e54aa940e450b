"""Gauges of pods, and the time that anything is held against."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from modeldeploy.core.judgement.counters import Increments, Parts, Pod
from modeldeploy.core.judgement.plan import SECONDS
from modeldeploy.core.judgement.presets import LARGEST
from modeldeploy.core.judgement.sources import RESIDENT, WORKING_SET, Family
from modeldeploy.core.judgement.table import Row

LEVEL = "level"
"""The part that a gauge's value, times the seconds it stood, is kept under."""


def levels(family: Family, rows: Iterable[Row], seconds: float) -> Increments:
    """What stands now, times how long it is taken to have stood: its mean over time is a sum over a count.

    Args:
        family: One of `LEVELS`.
        rows: Of all pods.
        seconds: Since the last look.
    """
    pods: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        pods.setdefault(row.revision, {}).setdefault(row.pod, {})[row.part] = row.value
    found = {revision: _folded(family, list(mine.values()), seconds) for revision, mine in pods.items()}
    return Increments(found, frozenset(found))


def _folded(family: Family, pods: list[Mapping[str, float]], seconds: float) -> Parts:
    values = [_of_pod(family, parts) for parts in pods]
    if family in LARGEST:
        return {LEVEL: max(values) * seconds, SECONDS: seconds}
    return {LEVEL: sum(values) * seconds, SECONDS: len(values) * seconds}


def _of_pod(family: Family, parts: Mapping[str, float]) -> float:
    if family is Family.MEMORY:
        return parts.get(WORKING_SET, parts.get(RESIDENT, 0.0))
    if family is Family.GPU:  # of all GPUs of the pod
        return sum(parts.values()) / len(parts)
    return sum(parts.values())


def timed(grown: Increments, before: Mapping[str, Pod], after: Mapping[str, Pod]) -> Increments:
    """The same with the time that each revision's pods were counted over, summed over the pods."""
    spans: dict[str, float] = {}
    for name, pod in after.items():
        seen = before.get(name)
        if seen is None or pod.seen_at <= seen.seen_at:
            continue
        for revision in pod.counts:
            spans[revision] = spans.get(revision, 0.0) + pod.seen_at - seen.seen_at
    mine = grown.by_revision.items()
    found = {revision: {**parts, SECONDS: spans.get(revision, 0.0)} for revision, parts in mine}
    return replace(grown, by_revision=found)
