"""What a metrics store keeps of the past of drift's windows, for when nobody looked.

A window of a day isn't read at the resolution of live looks: an hour apart (2.5 minutes for a window of an
hour) is enough for counts, and only the last ten minutes are read at every tick, which say how values clump.
What a pod counted between its birth and the first of these looks is lost.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from modeldeploy.adapters import history
from modeldeploy.adapters.history import Ticket
from modeldeploy.adapters.prometheus import Prometheus
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core import judgement
from modeldeploy.core.drift.buckets import Histogram
from modeldeploy.core.drift.clumps import NEIGHBOURS, Clumps
from modeldeploy.core.drift.reference import Reference
from modeldeploy.core.judgement import Counters, Evidence, Query, QueryFailed, References, Roles
from modeldeploy.core.judgement.counters import Pod, difference
from modeldeploy.core.judgement.sources import Family

SNAPSHOT_LOOKS = 84
"""In which the span of a snapshot is read: two hours apart in a week."""
FINE_LOOKS = 60
"""More at its end, which say how values clump."""


async def read(
    server: Prometheus,
    who: Ticket,
    spec: ModelDeploymentSpec,
    roles: Roles,
    at: datetime,
    references: References,
) -> Evidence | QueryFailed:
    """The evidence on every drift as it would be had there been looks within all of its window up to `at`."""
    evidence = Evidence()
    parts = judgement.history_steps(spec, at.timestamp())
    for start, end, step in parts:
        asked = judgement.history_spec(spec, step)
        every = judgement.queries(asked, who.namespace, who.name, roles)
        queries = [query for query in every if query.family is not Family.REQUESTS]
        evidence = judgement.without_clumps(evidence)
        first, last = (datetime.fromtimestamp(moment, UTC) for moment in (start, end))
        async for moment in history.spaced(server, who, queries, first, last, step):
            if isinstance(moment, QueryFailed):
                return moment
            evidence = judgement.advance(
                evidence,
                asked,
                namespace=who.namespace,
                name=who.name,
                roles=roles,
                answers=moment.answers,
                at=moment.at,
                references=references,
            )
            await asyncio.sleep(0)
    return evidence


async def snapshot(
    server: Prometheus, who: Ticket, queries: Mapping[str, Query], revision: str, at: datetime, span: float
) -> Reference | QueryFailed:
    """What a revision was asked, and answered, in the `span` seconds before a time.

    Args:
        server: The metrics store.
        who: The object.
        queries: By name of the histogram that they are for.
        revision: Whose values.
        at: The end.
        span: Seconds.
    """
    found: dict[str, Histogram] = {}
    clumps: dict[str, Clumps] = {}
    step = span / SNAPSHOT_LOOKS
    fine = min(10.0, step / FINE_LOOKS)
    begin, middle = at - timedelta(seconds=span), at - timedelta(seconds=fine * FINE_LOOKS)
    for start, end, apart in ((begin, middle, step), (middle, at, fine)):
        pods: dict[str, Mapping[str, Pod]] = {}
        async for moment in history.spaced(server, who, tuple(queries.values()), start, end, apart):
            if isinstance(moment, QueryFailed):
                return moment
            for name, query in queries.items():
                answer = moment.answers.get(query)
                rows = answer.rows if isinstance(answer, Counters) else ()
                now = moment.at.timestamp()
                pods[name], grown = difference(pods.get(name, {}), rows, now, apart)
                seen = judgement.histogram(grown.by_revision.get(revision, {}))
                found[name] = found.get(name, Histogram()).plus(seen)
                if apart == fine:
                    clumps[name] = clumps.get(name, Clumps()).after(seen, now, NEIGHBOURS)
            await asyncio.sleep(0)
    return Reference(
        {
            name: (histogram, clumps.get(name, Clumps()).known or 1.0)
            for name, histogram in found.items()
            if histogram.n
        }
    )
