"""Asks for many objects at once: what many want to know is asked once per tick, in one question."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from modeldeploy.adapters import drift_history, history
from modeldeploy.adapters.endpoint import Endpoint
from modeldeploy.adapters.history import BEFORE, NO_VECTOR, Shares, Ticket
from modeldeploy.adapters.prometheus import Prometheus
from modeldeploy.adapters.stores import Stores
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core import judgement
from modeldeploy.core.drift.reference import Reference
from modeldeploy.core.judgement import Answer, Evidence, Query, QueryFailed, References, Roles

Questions = tuple[Query, ...]
"""What goes to a server in one expression: families' questions, or a user's own one."""
Found = Mapping[Query, Shares | Answer]


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
        self._latest: dict[tuple[Prometheus, Questions], tuple[datetime, asyncio.Task[Found]]] = {}

    def complaint(self, named: Endpoint | None) -> str | None:
        """Why an object's metrics store may not be asked, in a sentence with the mend; None if it may."""
        return self._stores.complaint(named)

    async def ask(self, who: Ticket, queries: Iterable[Query], at: datetime) -> dict[Query, Answer]:
        """The answers about a tick, each object's own part of them. Never raises."""
        wanted = tuple(queries)
        complaint = self.complaint(who.store)
        if complaint is not None:
            return dict.fromkeys(wanted, QueryFailed(complaint))
        server = self._stores.client(who.namespace, who.store)
        tasks = [self._asked(server, questions, at) for questions in _grouped(wanted)]
        # Shielded: what one object no longer waits for is still another's answer.
        found = await asyncio.gather(*(asyncio.shield(task) for task in tasks))
        known = {query: answer for answers in found for query, answer in answers.items()}
        return {query: history.part(known[query], who) for query in wanted}

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
        for _, task in self._latest.values():
            task.cancel()
        self._stores.close()

    def _asked(self, server: Prometheus, questions: Questions, at: datetime) -> asyncio.Task[Found]:
        latest = self._latest.get((server, questions))
        if latest is not None and latest[0] == at:
            return latest[1]
        task = asyncio.create_task(self._answer(server, questions, at))
        if latest is None or latest[0] < at:
            self._latest[server, questions] = (at, task)
            self._forget(at)
        return task

    def _forget(self, at: datetime) -> None:
        """Let go of answers that nobody asks for any more: revisions and objects come and go."""
        old = [key for key, (then, task) in self._latest.items() if task.done() and at - then > _KEPT]
        for key in old:
            del self._latest[key]

    async def _answer(self, server: Prometheus, questions: Questions, at: datetime) -> Found:
        result = await server.query(judgement.together(questions), at, own=not questions[0].family)
        if isinstance(result, QueryFailed):
            return dict.fromkeys(questions, result)
        try:
            parts = judgement.apart(questions, result)
        except (KeyError, TypeError):
            return dict.fromkeys(questions, NO_VECTOR)
        return {query: history.read(query, part) for query, part in parts.items()}


_KEPT = timedelta(minutes=1)


def _grouped(queries: Sequence[Query]) -> list[Questions]:
    """All families about one time in one, in an order of their own: objects with the same share an answer."""
    families = sorted((query for query in queries if query.family), key=lambda query: str(query.family))
    times = dict.fromkeys(query.ago for query in families)
    groups: list[Questions] = [tuple(query for query in families if query.ago == ago) for ago in times]
    return groups + [(query,) for query in queries if not query.family]
