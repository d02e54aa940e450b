"""Counters of one object as a column of numbers: what is asked again and again has the same rows each time.

Differences of columns cost a tenth of differences row by row, which counts with a thousand objects.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from operator import add, itemgetter, sub
from typing import Any, NamedTuple, overload


class Row(NamedTuple):
    """One counter of one pod, as it stood at the time of the question."""

    revision: str
    pod: str
    part: str
    value: float


class _Growing(NamedTuple):
    """A revision's parts, and for each of its pods where their growth is found."""

    revision: str
    parts: tuple[str, ...]
    picks: tuple[Any, ...]


class Layout:
    """What stands in which line; the same object as long as nothing changes.

    Args:
        places: (revision, pod, part) of each line, each once.
    """

    def __init__(self, places: Sequence[tuple[str, str, str]]) -> None:
        self.places = tuple(places)

    @cached_property
    def revisions(self) -> frozenset[str]:
        """All that have any line."""
        return frozenset(revision for revision, _, _ in self.places)

    @cached_property
    def _growing(self) -> tuple[_Growing, ...]:
        lines: dict[str, dict[str, dict[str, int]]] = {}
        for index, (revision, pod, part) in enumerate(self.places):
            lines.setdefault(revision, {}).setdefault(pod, {})[part] = index
        found, nothing = [], len(self.places)  # behind the last line stands a zero
        for revision, pods in lines.items():
            parts = tuple(dict.fromkeys(part for own in pods.values() for part in own))
            # One zero more, so that a getter of a single line yields a tuple, too.
            picks = [
                itemgetter(*(own.get(part, nothing) for part in parts), nothing) for own in pods.values()
            ]
            found.append(_Growing(revision, parts, tuple(picks)))
        return tuple(found)

    def by_revision(self, grown: Sequence[float]) -> Mapping[str, Mapping[str, float]]:
        """The lines' growth, and a zero behind it, as that of each revision's parts over all its pods."""
        found = {}
        for revision, parts, picks in self._growing:
            total = picks[0](grown)
            for pick in picks[1:]:
                total = map(add, total, pick(grown))
            found[revision] = dict(zip(parts, total, strict=False))
        return found


class Table(Sequence[Row]):
    """Counters as they stood at one time: a layout, and the value of each line."""

    __slots__ = ("layout", "values")

    def __init__(self, layout: Layout, values: Sequence[float]) -> None:
        self.layout = layout
        self.values = values

    def growth(self, before: "Table") -> Mapping[str, Mapping[str, float]] | None:
        """By revision, how much each part grew since an earlier table.

        None if other lines stood in that, or a line fell: what that means is a question for each pod.
        """
        if before.layout is not self.layout:
            return None
        grown = [*map(sub, self.values, before.values), 0.0]
        return None if min(grown) < 0.0 else self.layout.by_revision(grown)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return tuple(self)[index]
        return Row(*self.layout.places[index], self.values[index])

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Row]:
        return (Row(*place, value) for place, value in zip(self.layout.places, self.values, strict=True))
