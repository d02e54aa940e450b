"""What a metrics store keeps of the past: the answers that looks at its ticks would have been given."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from modeldeploy.adapters.endpoint import Endpoint
from modeldeploy.adapters.prometheus import Prometheus, Result
from modeldeploy.api.quantity import seconds
from modeldeploy.core import judgement
from modeldeploy.core.judgement import Answer, NoData, Query, QueryFailed

BEFORE = 3600.0
"""Seconds before a trial that a replay begins: what the dispersion remembers."""

_POINTS = 240
"""Points per series in one range. Prometheus would give 11,000, but what a large answer takes while it is
read stays with the process."""

Shares = Mapping[tuple[str, str], Answer]
"""A family's answer by (namespace, name)."""

NO_VECTOR = QueryFailed("the metrics store's answer is not a vector of numbers")


@dataclass(frozen=True, slots=True)
class Ticket:
    """Whom a question is asked for: an object's namespace, its name and the metrics store that it names."""

    namespace: str
    name: str
    store: Endpoint | None = None


class Moment(NamedTuple):
    """One tick of the past, and what would have been answered then."""

    at: datetime
    answers: Mapping[Query, Answer]


def tick(at: datetime, interval: str) -> datetime:
    """The tick at or before a time: ticks are multiples of the interval since 1970, for all objects alike."""
    span = seconds(interval)
    return datetime.fromtimestamp(math.floor(at.timestamp() / span + 1e-6) * span, UTC)


def next_tick(at: datetime, interval: str) -> datetime:
    """The first tick after a time."""
    return tick(at, interval) + timedelta(seconds=seconds(interval))


def ticks(start: datetime, end: datetime, step: float) -> Iterator[datetime]:
    """From `start` to `end`, both included, every `step` seconds."""
    count = round((end - start).total_seconds() / step)
    return (start + timedelta(seconds=step * index) for index in range(count + 1))


async def moments(
    server: Prometheus,
    who: Ticket,
    queries: Sequence[Query],
    start: datetime,
    end: datetime,
    interval: str,
) -> AsyncIterator[Moment | QueryFailed]:
    """The ticks from that of `start` to that of `end`, in their order; ends with why if one can't be had.

    The same questions as of live looks, but asked for one object alone and over ranges.
    """
    first, last = tick(start, interval), tick(end, interval)
    async for moment in spaced(server, who, queries, first, last, seconds(interval)):
        yield moment


async def spaced(
    server: Prometheus,
    who: Ticket,
    queries: Sequence[Query],
    start: datetime,
    end: datetime,
    step: float,
) -> AsyncIterator[Moment | QueryFailed]:
    """The moments from `start` on, `step` seconds apart, as far as they are not after `end`; as `moments`."""
    count = math.floor((end - start).total_seconds() / step + 1e-6)
    for first, last in _spans(start, start + timedelta(seconds=count * step), step):
        ranges = await asyncio.gather(
            *(
                server.query_range(
                    judgement.narrowed(query, who.namespace, who.name).expression, first, last, step
                )
                for query in queries
            )
        )
        failed = next((result for result in ranges if isinstance(result, QueryFailed)), None)
        if failed is not None:
            yield failed
            return
        by_time = [_by_time(result) for result in ranges if not isinstance(result, QueryFailed)]
        for at in ticks(first, last, step):
            yield Moment(
                at,
                {
                    query: part(read(query, found.get(_key(at), [])), who)
                    for query, found in zip(queries, by_time, strict=True)
                },
            )


def read(query: Query, result: Result) -> Shares | Answer:
    """An instant vector, understood; a family's by object."""
    try:
        return judgement.own(query, result) if query.family is None else judgement.share_out(query, result)
    except (KeyError, TypeError, ValueError, IndexError):
        return NO_VECTOR


def part(answer: Shares | Answer, who: Ticket) -> Answer:
    """One object's part of an answer."""
    if isinstance(answer, Mapping):
        return answer.get((who.namespace, who.name), NoData())
    return answer


def _spans(start: datetime, end: datetime, step: float) -> Iterator[tuple[datetime, datetime]]:
    while start <= end:
        last = min(end, start + timedelta(seconds=step * (_POINTS - 1)))
        yield start, last
        start = last + timedelta(seconds=step)


def _key(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _by_time(matrix: Result) -> dict[int, list[Any]]:
    """A matrix as instant vectors by time in milliseconds; a scalar's points as a vector without labels."""
    found: dict[int, list[Any]] = {}
    for series in matrix:
        for point in series.get("values", ()):
            vector = found.setdefault(round(float(point[0]) * 1000), [])
            vector.append({"metric": series["metric"], "value": point})
    return found
