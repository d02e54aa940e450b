"""Differences of cumulative counters, pod by pod.

`increase()` is not used: it extrapolates, and it loses the first event of every new series.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from modeldeploy.core.judgement.table import Row, Table

Parts = Mapping[str, float]
"""Counts by part, e.g. by class of status or by upper edge of a bucket."""

FORGET_AFTER = 600.0
"""Seconds after which a pod that was not seen again is forgotten; names of pods don't come back."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod's counters as last seen: the time, and by revision its parts."""

    seen_at: float
    counts: Mapping[str, Parts]


class Seen(Mapping[str, Pod]):
    """Pods as a table showed them, spelled out when somebody asks; and those that were seen before it.

    Args:
        table: What was seen last.
        at: When.
        absent: Pods that are not in it.
    """

    __slots__ = ("absent", "at", "table")

    def __init__(self, table: Table, at: float, absent: Mapping[str, Pod]) -> None:
        self.table = table
        self.at = at
        self.absent = absent

    def __getitem__(self, name: str) -> Pod:
        return self._spelled[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._spelled)

    def __len__(self) -> int:
        return len(self._spelled)

    @property
    def _spelled(self) -> Mapping[str, Pod]:
        pods = {name: Pod(self.at, seen) for name, seen in _by_pod(self.table).items()}
        return {**self.absent, **pods}


@dataclass(frozen=True, slots=True)
class Increments:
    """What was counted since the last look.

    Attributes:
        by_revision: The growth of each part, summed over the revision's pods, zero where it didn't grow.
        present: Revisions that had any series, growing or not.
    """

    by_revision: Mapping[str, Parts] = field(default_factory=dict)
    present: frozenset[str] = frozenset()


def difference(
    pods: Mapping[str, Pod], rows: Iterable[Row], at: float, apart: float = 0.0
) -> tuple[Mapping[str, Pod], Increments]:
    """The counters as they stand now, and what was added since.

    A pod that is first seen gives the level from which its growth is counted. A series (or a revision on a
    router) that appears on a pod seen before was born since then, so all of it is growth. A count that fell
    was reset with its pod's container: all of that pod's counts are growth. A pod that is missing adds
    nothing now, and what it counted meanwhile when it is back.

    Args:
        pods: As last seen.
        rows: The counters now.
        at: Now, in seconds since 1970.
        apart: Seconds between looks; a pod is not forgotten for want of a look.
    """
    patience = max(FORGET_AFTER, 2.0 * apart)
    if isinstance(pods, Seen) and isinstance(rows, Table) and at - pods.at <= patience:
        columns = rows.growth(pods.table)
        if columns is not None:
            return Seen(rows, at, _recent(pods.absent, at, patience)), Increments(
                columns, rows.layout.revisions
            )
    now = _by_pod(rows)
    grown: dict[str, dict[str, float]] = {}
    kept = _recent(pods, at, patience)
    absent = {name: pod for name, pod in kept.items() if name not in now}
    is_whole = isinstance(rows, Table)
    for name, seen in now.items():
        counts: Mapping[str, Parts] = seen
        before = kept.get(name)
        if before is not None:
            for revision, parts in counts.items():
                _add_growth(grown.setdefault(revision, {}), before.counts.get(revision, {}), parts)
            counts = {**before.counts, **seen}  # a revision without series may come back
            is_whole = is_whole and len(counts) == len(seen)
        kept[name] = Pod(at, counts)
    increments = Increments(grown, frozenset(revision for seen in now.values() for revision in seen))
    if is_whole and isinstance(rows, Table):
        return Seen(rows, at, absent), increments
    return kept, increments


def _by_pod(rows: Iterable[Row]) -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        found.setdefault(row.pod, {}).setdefault(row.revision, {})[row.part] = row.value
    return found


def _recent(pods: Mapping[str, Pod], at: float, patience: float) -> dict[str, Pod]:
    return {name: pod for name, pod in pods.items() if at - pod.seen_at <= patience}


def _add_growth(grown: dict[str, float], before: Parts, now: Parts) -> None:
    was_reset = any(value < before.get(part, 0.0) for part, value in now.items())
    for part, value in now.items():
        grown[part] = grown.get(part, 0.0) + (value if was_reset else value - before.get(part, 0.0))
