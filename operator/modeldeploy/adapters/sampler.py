"""Asks for many objects at once: what many want to know is asked once per tick, in one question."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from weakref import WeakValueDictionary

from modeldeploy.adapters import drift_history, history
from modeldeploy.adapters.directory import Directory, Owner, Shared
from modeldeploy.adapters.endpoint import Endpoint
from modeldeploy.adapters.history import BEFORE, NO_VECTOR, Ticket
from modeldeploy.adapters.prometheus import Prometheus
from modeldeploy.adapters.replies import Body
from modeldeploy.adapters.stores import Stores
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core import judgement
from modeldeploy.core.drift.reference import Reference
from modeldeploy.core.judgement import (
    Answer,
    Counters,
    Evidence,
    NoData,
    Query,
    QueryFailed,
    References,
    Roles,
)

Found = Mapping[Query, Mapping[Owner, Counters] | QueryFailed]

_KEPT = timedelta(seconds=61)
"""After this nobody asks for it any more; longer than most intervals."""
_LATE = 0.1
"""Seconds that a look waits for users' own queries once all else is known."""
_FRESH = timedelta(seconds=31)
"""How old an answer may be that stands for one that is late."""
_LONGEST = 15.0
"""Seconds that a look waits for own queries where nothing at all is known of one."""
_AT_ONCE = 2
"""Own queries of one object that are asked at the same time."""


class Sampler:
    """Answers the judgement's questions.

    Questions are asked about the tick itself, not about some time before it: numerator and denominator are in
    one query's answer, from one scrape of each pod, so that nothing is gained by waiting until all pods have
    been scraped once more; a pod whose scrape is late adds its counts at the next look. A scrape that ends
    while it is being asked may be in one answer and not in another; its counts are then in the next one.

    Args:
        stores: The metrics stores that may be asked.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._directories: dict[tuple[Prometheus, float], Directory] = {}
        self._wanted: dict[Prometheus, dict[Query, datetime]] = {}
        self._shared: dict[tuple[Prometheus, datetime], dict[Query, asyncio.Task[Found]]] = {}
        self._own: dict[tuple[Prometheus, Query], _Asked] = {}
        self._turns: WeakValueDictionary[Ticket, asyncio.Semaphore] = WeakValueDictionary()

    def complaint(self, named: Endpoint | None) -> str | None:
        """Why an object's metrics store may not be asked, in a sentence with the mend; None if it may."""
        return self._stores.complaint(named)

    async def ask(self, who: Ticket, queries: Iterable[Query], at: datetime) -> dict[Query, Answer]:
        """The answers about a tick, each object's own part of them. Never raises.

        What all wait for is waited for. A query of the user's own that takes longer is answered as it was at
        the look before, so that it doesn't hold up what is known already.
        """
        wanted = tuple(queries)
        complaint = self.complaint(who.store)
        if complaint is not None:
            return dict.fromkeys(wanted, QueryFailed(complaint))
        server = self._stores.client(who.namespace, who.store)
        shared = self._asked_together(server, [query for query in wanted if query.family], at)
        own = {query: self._asked(server, query, who, at) for query in wanted if not query.family}
        # Waited for, not cancelled with: what one object no longer waits for is still another's answer.
        if shared:
            await asyncio.wait(shared.values())
        if own:
            known = all(asked.before(at) for asked in own.values())
            await asyncio.wait([asked.task for asked in own.values()], timeout=_LATE if known else _LONGEST)
        found = {query: _of(task.result().get(query), who) for query, task in shared.items()}
        return found | {query: asked.answer(at) for query, asked in own.items()}

    async def rebuild(
        self,
        who: Ticket,
        spec: ModelDeploymentSpec,
        roles: Roles,
        now: datetime,
        references: References = MappingProxyType({}),
    ) -> Evidence | QueryFailed:
        """The evidence as it would be had this process looked at every tick up to `now`, after a restart.

        Replays the hour before the trial (or before now, if none runs) and the trial, at the same ticks and
        through the same steps as live looks.
        """
        server = self._opened(who)
        if isinstance(server, QueryFailed):
            return server
        begun = roles.started_at if roles.candidate else now.timestamp()
        start = datetime.fromtimestamp(begun - BEFORE, UTC)
        evidence = Evidence()
        queries = judgement.queries(spec, who.namespace, who.name, roles)
        async for moment in history.moments(server, who, queries, start, now, spec.monitoring.interval):
            if isinstance(moment, QueryFailed):
                return moment
            at, answers = moment
            then = roles if at.timestamp() >= roles.started_at else Roles(roles.stable)
            evidence = judgement.advance(
                evidence,
                spec,
                namespace=who.namespace,
                name=who.name,
                roles=then,
                answers=answers,
                at=at,
                references=references,
            )
            await asyncio.sleep(0)  # others have their turn: an hour of ticks takes most of a second
        return evidence

    async def windows(
        self, who: Ticket, spec: ModelDeploymentSpec, roles: Roles, at: datetime, references: References
    ) -> Evidence | QueryFailed:
        """The evidence on drift alone, from all of its window up to `at`; see `drift_history`."""
        server = self._opened(who)
        if isinstance(server, QueryFailed):
            return server
        return await drift_history.read(server, who, spec, roles, at, references)

    async def snapshot(
        self, who: Ticket, queries: Mapping[str, Query], revision: str, at: datetime, span: float
    ) -> Reference | QueryFailed:
        """What a revision was asked in the `span` seconds before a time; see `drift_history`."""
        server = self._opened(who)
        if isinstance(server, QueryFailed):
            return server
        return await drift_history.snapshot(server, who, queries, revision, at, span)

    def _opened(self, who: Ticket) -> Prometheus | QueryFailed:
        complaint = self.complaint(who.store)
        return QueryFailed(complaint) if complaint else self._stores.client(who.namespace, who.store)

    def close(self) -> None:
        """Stop asking; questions under way are given up."""
        for tick in self._shared.values():
            for task in tick.values():
                task.cancel()
        for asked in self._own.values():
            asked.task.cancel()
        self._stores.close()

    def _asked_together(
        self, server: Prometheus, families: Sequence[Query], at: datetime
    ) -> dict[Query, asyncio.Task[Found]]:
        """Families' answers: all that anybody has asked for lately is in the first question about a tick."""
        is_first = (server, at) not in self._shared
        if is_first:
            self._forget(at)
        tick = self._shared.setdefault((server, at), {})
        wanted = self._wanted.setdefault(server, {})
        asked = {query for query in (*families, *(wanted if is_first else ())) if query not in tick}
        for ago in {query.ago for query in asked}:
            then = (query for query in asked if query.ago == ago)
            questions = sorted(then, key=lambda query: query.expression)
            tick |= dict.fromkeys(questions, asyncio.create_task(self._answer(server, questions, at)))
        wanted |= dict.fromkeys(families, at)
        return {query: tick[query] for query in families}

    async def _answer(self, server: Prometheus, questions: Sequence[Query], at: datetime) -> Found:
        # Series of another time have the same labels and other values.
        directory = self._directories.setdefault((server, questions[0].ago), Directory())

        def read(body: Body) -> Shared | QueryFailed:
            try:
                return directory.share(questions, body)
            except (ValueError, LookupError, TypeError):
                return NO_VECTOR

        found = await server.query_shared(judgement.together(questions), at, read)
        return dict.fromkeys(questions, found) if isinstance(found, QueryFailed) else found

    def _asked(self, server: Prometheus, query: Query, who: Ticket, at: datetime) -> "_Asked":
        """A user's own question: one at a time, and not again about the same tick."""
        known = self._own.get((server, query))
        if known is not None and (known.at >= at or not known.task.done()):
            return known
        turn = self._turns.setdefault(who, asyncio.Semaphore(_AT_ONCE))
        task = asyncio.create_task(_single(server, query, turn, at))
        self._own[server, query] = made = _Asked(at, task, known)
        if known is not None:
            known.last = None
        return made

    def _forget(self, at: datetime) -> None:
        """Let go of what nobody asks for any more: revisions and objects come and go."""
        self._shared = {key: tick for key, tick in self._shared.items() if at - key[1] <= _KEPT}
        self._own = {
            key: one for key, one in self._own.items() if at - one.at <= _KEPT or not one.task.done()
        }
        lately = {
            server: {query: then for query, then in wanted.items() if at - then <= _KEPT}
            for server, wanted in self._wanted.items()
        }
        self._wanted = {server: wanted for server, wanted in lately.items() if wanted}
        asked = {(server, query.ago) for server, wanted in self._wanted.items() for query in wanted}
        self._directories = {key: one for key, one in self._directories.items() if key in asked}


@dataclass(slots=True)
class _Asked:
    """A user's own question about a tick, and the one before it."""

    at: datetime
    task: "asyncio.Task[Answer]"
    last: "_Asked | None"

    def before(self, at: datetime) -> Answer | None:
        """The latest answer that is there, if it is young enough to stand for one about `at`."""
        found = self if self.task.done() else self.last
        return found.task.result() if found and at - found.at <= _FRESH else None

    def answer(self, at: datetime) -> Answer:
        """The best that there is."""
        return self.before(at) or QueryFailed(f"no answer within {_LONGEST:g}s; too many queries are slow")


async def _single(server: Prometheus, query: Query, turn: asyncio.Semaphore, at: datetime) -> Answer:
    async with turn:  # no object takes all of a server's threads
        result = await server.query(query.expression, at)
    if isinstance(result, QueryFailed):
        return result
    answer = history.read(query, result)
    return NO_VECTOR if isinstance(answer, Mapping) else answer


def _of(found: Mapping[Owner, Counters] | QueryFailed | None, who: Ticket) -> Answer:
    if isinstance(found, QueryFailed):
        return found
    return (found or {}).get((who.namespace, who.name)) or NoData()
