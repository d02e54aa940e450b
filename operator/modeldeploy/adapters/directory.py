"""Whose is which series: learned from its labels once, then known by their text.

At every tick the same hundreds of thousands of series come with the same labels. To read them as JSON, and to
share them out label by label, would take seconds; here each costs one look-up of its labels' text. What is
kept are numbers and texts in few containers, which the garbage collector does not walk through.
"""

import json
import math
import threading
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from modeldeploy.adapters.replies import Body
from modeldeploy.core import judgement
from modeldeploy.core.judgement import Counters, Layout, Query, Row, Table

MISSES = 6
"""Ticks after which a series that is no longer there is forgotten."""

Owner = tuple[str, str]
Shared = Mapping[Query, Mapping[Owner, Counters]]


class _Block:
    """One object's lines of one family.

    Attributes:
        cells: Where in the column each line's value stands.
        missed: Ticks since all lines were there.
    """

    def __init__(self) -> None:
        self.cells: list[int] = []
        self.missed = 0
        self._places: list[tuple[str, str, str]] = []
        self._scales: list[float] = []
        self._pick: Any = None
        self._layout: Layout | None = None

    def add(self, cell: int, place: tuple[str, str, str], scale: float) -> None:
        self.cells.append(cell)
        self._places.append(place)
        self._scales.append(scale)
        self._pick = self._layout = None

    def counters(self, column: Sequence[float | None]) -> Counters | None:
        """What came at this tick; None for nothing."""
        if self._pick is None:
            self._prepare()
        values = self._pick(column)
        if self._layout is None:
            self.missed = self.missed + 1 if None in values else 0
            return self._by_row(values)
        try:
            if math.isfinite(sum(values)):
                self.missed = 0
                return Counters(Table(self._layout, values))
        except TypeError:  # a line is missing
            self.missed += 1
        return self._by_row(values)

    def _prepare(self) -> None:
        cells = self.cells
        # A getter of one cell would yield it bare.
        self._pick = itemgetter(*cells) if len(cells) > 1 else lambda column: (column[cells[0]],)
        # Where several series make one line, as codes of one class do, or values are scaled, it goes by row.
        is_plain = len(set(self._places)) == len(self._places) and set(self._scales) == {1.0}
        self._layout = Layout(self._places) if is_plain else None

    def _by_row(self, values: Sequence[float | None]) -> Counters | None:
        found: dict[tuple[str, str, str], float] = {}
        for place, scale, value in zip(self._places, self._scales, values, strict=True):
            if value is not None and math.isfinite(value):
                found[place] = found.get(place, 0.0) + value * scale
        return Counters(tuple(Row(*place, value) for place, value in found.items())) if found else None


class Directory:
    """Shares out one store's answers to families' questions, asked together."""

    def __init__(self) -> None:
        self._askers: dict[str, list[Query]] = {}
        self._blocks: dict[Query, dict[Owner, _Block]] = {}
        self._cells: dict[bytes, int] = {}
        self._texts: list[bytes] = []
        self._lock = threading.Lock()

    def share(self, questions: Sequence[Query], body: Body) -> Shared:
        """The answer by question and object, as `judgement.share_out` gives it.

        Raises:
            Unusable: It is no answer.
            ValueError, LookupError, TypeError: It is no vector of numbers.
        """
        with self._lock:  # a slow answer may meet the next one
            self._expect(questions)
            column: list[float | None] = [None] * len(self._texts)
            cell_of = self._cells.get
            for pieces, separator, rest in body.pieces():
                for piece in pieces:
                    text, _, value = piece.partition(separator)
                    cell = cell_of(text)
                    if cell is None:
                        cell = self._learned(text)
                        column.append(None)
                    column[cell] = float(value[:-rest])
            return {query: self._shared(self._blocks[query], column) for query in questions}

    def _expect(self, questions: Sequence[Query]) -> None:
        """Make ready for these. All is forgotten once most has gone, or a new one asks for known series."""
        new = [query for query in questions if query not in self._blocks]
        is_shared = any(name in self._askers for name in judgement.by_name(new))
        if is_shared or len(self._texts) > 2 * len(self._cells) + 1000:
            self._cells.clear()
            self._texts.clear()
            self._blocks = {query: {} for query in self._blocks}
        if new:
            self._blocks |= {query: {} for query in new}
            self._askers = judgement.by_name(self._blocks)

    def _shared(self, blocks: dict[Owner, _Block], column: list[float | None]) -> Mapping[Owner, Counters]:
        found, gone = {}, []
        for owner, block in blocks.items():
            counters = block.counters(column)
            if counters is not None:
                found[owner] = counters
            if block.missed >= MISSES:
                gone.append(owner)
        for owner in gone:  # what is left of it is learned anew
            for cell in blocks.pop(owner).cells:
                self._cells.pop(self._texts[cell], None)
        return found

    def _learned(self, text: bytes) -> int:
        labels = json.loads(text)
        cell = len(self._texts)
        for query in self._askers[labels["__name__"]]:
            owner, line, scale = judgement.place(query, labels)
            self._blocks[query].setdefault(owner, _Block()).add(cell, line, scale)
        self._texts.append(text)
        self._cells[text] = cell
        return cell
