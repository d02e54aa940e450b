"""Series in a file, OpenMetrics or CSV, read as a metrics store would answer."""

import csv
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modeldeploy.adapters.history import Moment, Ticket, part, read, tick, ticks
from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.monitoring import Metric
from modeldeploy.core import judgement
from modeldeploy.core.judgement import Answer, NoData, Query, QueryFailed

LOOKBACK = 300.0
"""Seconds that a sample is good for, as in Prometheus."""

COLUMNS = ("time", "metric", "value", "modeldeploy_revision")
"""Without these a table of series says nothing. Each further column is a label."""

_PAIR = r"\s*(?P<key>[a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*\"(?P<text>(?:[^\"\\]|\\.)*)\"\s*(?:,|\Z|(?=\}))"
_PAIRS = re.sub(r"\?P<\w+>", "?:", _PAIR)
_SAMPLE = re.compile(
    rf"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{{(?P<labels>(?:{_PAIRS})*)\s*\}})?"
    r"[ \t]+(?P<value>\S+)(?:[ \t]+(?P<time>[^\s#]+))?[ \t]*(?:#.*)?"
)
_LABEL = re.compile(_PAIR)
_ESCAPED = re.compile(r"\\(.)")

Labels = tuple[tuple[str, str], ...]


class RecordingError(Exception):
    """The file can't be used; the message names the line or column, what is wrong, and the mend."""


@dataclass(slots=True)
class Series:
    """One series: its labels and name, rising times in seconds since 1970, and a value at each."""

    labels: Mapping[str, str]
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def at(self, moment: float) -> float | None:
        """The last value up to a time; None if it is older than `LOOKBACK` or NaN, which ends a series."""
        index = bisect_right(self.times, moment) - 1
        if index < 0 or moment - self.times[index] >= LOOKBACK or math.isnan(self.values[index]):
            return None
        return self.values[index]


class Recording:
    """All series of a file, asked like a metrics store.

    Args:
        path: A file that ends in `.csv`, or text in OpenMetrics' format with a time (in seconds) on each
            line.
        who: Whom it is asked about. Series without the labels `namespace` and `modeldeploy_name` are its own.

    Attributes:
        others: Objects whose series it holds besides, as `namespace/name`; they are left out.

    Raises:
        RecordingError: It can't be read.
    """

    def __init__(self, path: Path, who: Ticket) -> None:
        self._who = who
        self.others: set[str] = set()
        self._by_name: dict[str, dict[Labels, Series]] = {}
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = _table(file) if path.suffix.lower() == ".csv" else _openmetrics(file)
                for name, labels, at, value in rows:
                    self._add(name, labels, at, value)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise RecordingError(f"{path}: can't be read: {why}") from error
        except RecordingError as error:
            raise RecordingError(f"{path}: {error}") from error
        for series in self._all():
            _sort(series)

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """Its first and its last time; None if it is empty."""
        ends = [(series.times[0], series.times[-1]) for series in self._all()]
        if not ends:
            return None
        first, last = min(first for first, _ in ends), max(last for _, last in ends)
        return datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)

    def lacks(self, queries: Iterable[Query]) -> str | None:
        """Which label its series lack to answer a question about counters, in a sentence; None if none."""
        for query in queries:
            if query.family is None or "__name__" in query.source.labels:
                continue
            labels = query.source.labels
            for name in query.source.names:
                found = self._by_name.get(name, {}).values()
                if found and not any(series.labels.get(label) for series in found for label in labels):
                    needed = " or ".join(labels)
                    return f"series of {name} lack the label {needed}; add it (in a table: a column)"
        return None

    def moments(
        self,
        queries: Sequence[Query],
        own: Mapping[Query, tuple[Metric, str]],
        start: datetime,
        end: datetime,
        interval: str,
    ) -> Iterator[Moment]:
        """The ticks from that of `start` to that of `end`, as `history.moments` gives them.

        Args:
            queries: What is asked at each.
            own: Users' own queries, which a file can't evaluate: the metric, whose values stand in it as a
                series of the metric's name, and the revision.
            start: The first tick.
            end: The last one.
            interval: Between ticks.
        """
        for at in ticks(tick(start, interval), tick(end, interval), seconds(interval)):
            moment = at.timestamp() + 1e-6
            yield Moment(
                at,
                {
                    query: self._own(query, *own[query], moment)
                    if query in own
                    else self._counters(query, moment)
                    for query in queries
                },
            )

    def _counters(self, query: Query, moment: float) -> Answer:
        found: list[Any] = []
        label, pattern = query.source.unless or ("", "")
        for name in (*query.source.names, *query.source.outside):
            for series in self._by_name.get(name, {}).values():
                value = series.at(moment - query.ago)
                if label and re.fullmatch(pattern, series.labels.get(label, "")):
                    continue
                if value is not None:
                    found.append({"metric": series.labels, "value": [moment, value]})
        return part(read(query, found), self._who)

    def _own(self, query: Query, metric: Metric, revision: str, moment: float) -> Answer:
        name = f"{metric.name}_{query.part}" if query.part else metric.name
        mine = self._by_name.get(name) or self._by_name.get(name.replace("-", "_"))
        if not mine:
            return QueryFailed(f"a file can't evaluate its query; give its values as a series {name}")
        found = [
            {"metric": dict(labels), "value": [moment, value]}
            for labels, series in mine.items()
            if series.labels["modeldeploy_revision"] == revision and (value := series.at(moment)) is not None
        ]
        return judgement.own(query, found) if found else NoData("its series has no value")

    def _add(self, name: str, labels: Mapping[str, str], at: float, value: float) -> None:
        whole = {"namespace": self._who.namespace, "modeldeploy_name": self._who.name, **labels}
        name_of, revision = judgement.owner(whole)
        if not revision:
            return
        whole |= {"modeldeploy_name": name_of, "modeldeploy_revision": revision}
        owner = whole["namespace"], name_of
        if owner != (self._who.namespace, self._who.name):
            self.others.add("/".join(owner))
            return
        key = tuple(sorted(whole.items()))
        named = self._by_name.setdefault(name, {})
        if key not in named:
            named[key] = Series({"__name__": name, **whole})
        series = named[key]
        series.times.append(at)
        series.values.append(value)

    def _all(self) -> Iterator[Series]:
        return (series for named in self._by_name.values() for series in named.values())


def _sort(series: Series) -> None:
    if any(after < before for before, after in zip(series.times, series.times[1:], strict=False)):
        order = sorted(range(len(series.times)), key=series.times.__getitem__)
        series.times = [series.times[index] for index in order]
        series.values = [series.values[index] for index in order]


def _table(lines: Iterable[str]) -> Iterator[tuple[str, Mapping[str, str], float, float]]:
    table = csv.DictReader(lines)
    present = [name.strip() for name in table.fieldnames or ()]
    missing = [name for name in COLUMNS if name not in present]
    if missing:
        raise RecordingError(
            f"lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
            f"name in its first line {', '.join(COLUMNS)} and a column for each further label"
        )
    table.fieldnames = present
    for row in table:
        line = table.line_num
        labels = {
            name: text
            for name, text in row.items()
            if text and name and name not in ("time", "metric", "value")
        }
        yield row["metric"] or "", labels, _time(row["time"], line), _number(row["value"], line)


def _openmetrics(lines: Iterable[str]) -> Iterator[tuple[str, Mapping[str, str], float, float]]:
    for line, text in enumerate(lines, 1):
        stripped = text.strip()
        if not stripped or stripped.startswith("#"):
            continue
        found = _SAMPLE.fullmatch(stripped)
        if found is None:
            raise RecordingError(
                f'line {line}: {stripped[:60]!r} is no sample; write name{{label="x"}} value time'
            )
        if found["time"] is None:
            raise RecordingError(f"line {line}: the sample has no time; add it in seconds since 1970")
        labels = {key: _ESCAPED.sub(_unescape, value) for key, value in _LABEL.findall(found["labels"] or "")}
        yield found["name"], labels, _time(found["time"], line), _number(found["value"], line)


def _unescape(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]


def _number(text: str | None, line: int) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise RecordingError(
            f"line {line}: the value {text or ''!r} is no number; write e.g. 412 or 0.5"
        ) from None


def _time(text: str | None, line: int) -> float:
    """Seconds since 1970, or ISO 8601 (UTC where no zone is named)."""
    try:
        number = float(text or "")
    except ValueError:
        pass
    else:
        if math.isfinite(number):
            return number
    try:
        at = datetime.fromisoformat((text or "").strip())
    except ValueError:
        raise RecordingError(
            f"line {line}: the time {text or ''!r} is no time; "
            "write 2026-11-22T12:00:00Z or seconds since 1970"
        ) from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
