"""Asks for many objects at once: what many want to know is asked once per tick, in one question."""

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from modeldeploy.adapters.prometheus import Prometheus, Result
from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core import judgement
from modeldeploy.core.judgement import Answer, Evidence, NoData, Query, QueryFailed, Roles

HISTORY = 3600.0
"""Seconds before a trial that a replay begins: what the dispersion remembers."""

_POINTS = 240
"""Points per series in one range. Prometheus would give 11,000, but what a large answer takes while it is
read stays with the process."""

Shares = Mapping[tuple[str, str], Answer]
"""A family's answer by (namespace, name)."""
Questions = tuple[Query, ...]
"""What goes to a server in one expression: families' questions, or a user's own one."""
Found = Mapping[Query, Shares | Answer]


def tick(at: datetime, interval: str) -> datetime:
    """The tick at or before a time: ticks are multiples of the interval since 1970, for all objects alike."""
    span = seconds(interval)
    return datetime.fromtimestamp(math.floor(at.timestamp() / span + 1e-6) * span, UTC)


def next_tick(at: datetime, interval: str) -> datetime:
    """The first tick after a time."""
    return tick(at, interval) + timedelta(seconds=seconds(interval))


@dataclass(frozen=True, slots=True)
class Ticket:
    """Whom a question is asked for: an object's namespace, its name and the metrics store that it names."""

    namespace: str
    name: str
    url: str | None = None


class Sampler:
    """Answers the judgement's questions.

    Questions are asked about the tick itself, not about some time before it: numerator and denominator are in
    one query's answer, from one scrape of each pod, so that nothing is gained by waiting until all pods have
    been scraped once more; a pod whose scrape is late adds its counts at the next look. A scrape that ends
    while it is being asked may be in one answer and not in another; its counts are then in the next one.

    Args:
        url: The operator's own metrics store; empty for none.
        allowed: Further ones that objects may name, without a slash at the end.
        connect: Makes the client of a server, from its URL.
    """

    def __init__(
        self,
        url: str,
        allowed: Iterable[str] = (),
        *,
        connect: Callable[[str], Prometheus] = Prometheus,
    ) -> None:
        self._url = url.rstrip("/")
        self._allowed = {self._url, *(item.rstrip("/") for item in allowed)} - {""}
        self._connect = connect
        self._servers: dict[str, Prometheus] = {}
        self._latest: dict[tuple[str, Questions], tuple[datetime, asyncio.Task[Found]]] = {}

    def complaint(self, url: str | None) -> str | None:
        """Why an object's metrics store may not be asked, in a sentence with the mend; None if it may."""
        if url is None:
            return None if self._url else "no metrics store is known; set the chart value prometheus.url"
        if url.rstrip("/") in self._allowed:
            return None
        return (
            f"spec.monitoring.prometheus.url: {url} is not on the operator's allow-list; "
            "add it to the chart value prometheus.allowedURLs"
        )

    async def ask(self, who: Ticket, queries: Iterable[Query], at: datetime) -> dict[Query, Answer]:
        """The answers about a tick, each object's own part of them. Never raises."""
        wanted = tuple(queries)
        complaint = self.complaint(who.url)
        if complaint is not None:
            return dict.fromkeys(wanted, QueryFailed(complaint))
        url = (who.url or self._url).rstrip("/")
        tasks = [self._asked(url, questions, at) for questions in _grouped(wanted)]
        # Shielded: what one object no longer waits for is still another's answer.
        found = await asyncio.gather(*(asyncio.shield(task) for task in tasks))
        known = {query: answer for answers in found for query, answer in answers.items()}
        return {query: _part(known[query], who) for query in wanted}

    async def rebuild(
        self, who: Ticket, spec: ModelDeploymentSpec, roles: Roles, now: datetime
    ) -> Evidence | QueryFailed:
        """The evidence as it would be had this process looked at every tick up to `now`, after a restart.

        Replays the hour before the trial (or before now, if none runs) and the trial, at the same ticks and
        through the same steps as live looks.
        """
        complaint = self.complaint(who.url)
        if complaint is not None:
            return QueryFailed(complaint)
        step, interval = seconds(spec.monitoring.interval), spec.monitoring.interval
        server = self._server((who.url or self._url).rstrip("/"))
        begun = roles.started_at if roles.candidate else now.timestamp()
        start, end = tick(datetime.fromtimestamp(begun - HISTORY, UTC), interval), tick(now, interval)
        evidence = Evidence()
        queries = judgement.queries(spec, who.namespace, who.name, roles)
        for first, last in _spans(start, end, step):
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
                return failed
            moments = [_by_time(result) for result in ranges if not isinstance(result, QueryFailed)]
            for at in _ticks(first, last, step):
                answers = {
                    query: _part(_read(query, moment.get(_key(at), [])), who)
                    for query, moment in zip(queries, moments, strict=True)
                }
                then = roles if at.timestamp() >= roles.started_at else Roles(roles.stable)
                evidence = judgement.advance(
                    evidence, spec, namespace=who.namespace, name=who.name, roles=then, answers=answers, at=at
                )
                await asyncio.sleep(0)  # others have their turn: an hour of ticks takes most of a second
        return evidence

    def close(self) -> None:
        """Stop asking; questions under way are given up."""
        for _, task in self._latest.values():
            task.cancel()
        for server in self._servers.values():
            server.close()

    def _asked(self, url: str, questions: Questions, at: datetime) -> asyncio.Task[Found]:
        latest = self._latest.get((url, questions))
        if latest is not None and latest[0] == at:
            return latest[1]
        task = asyncio.create_task(self._answer(url, questions, at))
        if latest is None or latest[0] < at:
            self._latest[url, questions] = (at, task)
            self._forget(at)
        return task

    def _forget(self, at: datetime) -> None:
        """Let go of answers that nobody asks for any more: revisions and objects come and go."""
        old = [key for key, (then, task) in self._latest.items() if task.done() and at - then > _KEPT]
        for key in old:
            del self._latest[key]

    async def _answer(self, url: str, questions: Questions, at: datetime) -> Found:
        result = await self._server(url).query(judgement.together(questions), at)
        if isinstance(result, QueryFailed):
            return dict.fromkeys(questions, result)
        try:
            parts = judgement.apart(questions, result)
        except (KeyError, TypeError):
            return dict.fromkeys(questions, _NO_VECTOR)
        return {query: _read(query, part) for query, part in parts.items()}

    def _server(self, url: str) -> Prometheus:
        if url not in self._servers:
            self._servers[url] = self._connect(url)
        return self._servers[url]


_KEPT = timedelta(minutes=1)
_NO_VECTOR = QueryFailed("the metrics store's answer is not a vector of numbers")


def _grouped(queries: Sequence[Query]) -> list[Questions]:
    """All families in one, in an order of their own: objects with the same families share an answer."""
    families = sorted((query for query in queries if query.family), key=lambda query: str(query.family))
    groups: list[Questions] = [tuple(families)] if families else []
    return groups + [(query,) for query in queries if not query.family]


def _read(query: Query, result: Result) -> Shares | Answer:
    try:
        return judgement.single(result) if query.family is None else judgement.share_out(query, result)
    except (KeyError, TypeError, ValueError, IndexError):
        return _NO_VECTOR


def _part(answer: Shares | Answer, who: Ticket) -> Answer:
    if isinstance(answer, Mapping):
        return answer.get((who.namespace, who.name), NoData())
    return answer


def _spans(start: datetime, end: datetime, step: float) -> Iterator[tuple[datetime, datetime]]:
    while start <= end:
        last = min(end, start + timedelta(seconds=step * (_POINTS - 1)))
        yield start, last
        start = last + timedelta(seconds=step)


def _ticks(start: datetime, end: datetime, step: float) -> Iterator[datetime]:
    count = round((end - start).total_seconds() / step)
    return (start + timedelta(seconds=step * index) for index in range(count + 1))


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
