"""The command from its arguments to what it writes."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import closing
from datetime import datetime, timedelta

from modeldeploy.adapters.history import BEFORE, Moment, tick
from modeldeploy.adapters.recording import Recording, RecordingError
from modeldeploy.api.quantity import seconds
from modeldeploy.cli.backtest import output
from modeldeploy.cli.backtest.inputs import Manifest, check_span, read_manifest, read_time
from modeldeploy.cli.backtest.problem import WrongInput
from modeldeploy.cli.backtest.report import Report
from modeldeploy.cli.backtest.source import File, Own, Source, Store
from modeldeploy.core import judgement
from modeldeploy.core.backtest import Activity, Phase, Replay, Said, phases
from modeldeploy.core.judgement import Counters, Query, Roles
from modeldeploy.core.judgement.presets import LEVELS, TIMED
from modeldeploy.core.judgement.queries import own_queries
from modeldeploy.core.judgement.sources import Family

LONG = 2000
"""Looks from which on progress is told."""
PARTS = 10


def run(options: argparse.Namespace, write: Callable[[str], None], now: datetime) -> int:
    """Replay and write what was found.

    Args:
        options: As `add_arguments` reads them.
        write: Takes what goes to standard output, line by line.
        now: The present time, for spans before it.

    Raises:
        WrongInput: Something given can't be used.
    """
    draw = output.prepared(options)
    manifest = read_manifest(options.filename, options.namespace, options.reference)
    begin, end, source = _opened(options, manifest, now)
    with closing(source):
        report = asyncio.run(_replayed(options, manifest, source, begin, end))
    draw(report, write)
    return 0


def _opened(
    options: argparse.Namespace, manifest: Manifest, now: datetime
) -> tuple[datetime, datetime, Source]:
    begin = read_time("--from", options.begin, now) if options.begin else None
    end = read_time("--to", options.end, now) if options.end else None
    interval = manifest.spec.monitoring.interval
    source: Source
    if options.data is None:
        named = manifest.who.store
        url = options.prometheus or (named.url if named else None)
        if url is None:
            raise WrongInput(
                "there is no past to read; name a metrics store (--prometheus) or a file (--data)"
            )
        if begin is None:
            raise WrongInput("--from is missing; say where the past begins, e.g. --from 6h")
        end = end or now
        check_span(begin, end, interval)
        source = Store(url, manifest.who, options.credentials)
    else:
        try:
            recording = Recording(options.data, manifest.who)
        except RecordingError as error:
            raise WrongInput(str(error)) from error
        source, span = File(recording, str(options.data)), recording.span
        if span is None:
            who = manifest.who
            raise WrongInput(f"{source.name}: no series of {who.namespace}/{who.name}; {source.absence}")
        begin, end = begin or span[0], end or span[1]
        check_span(begin, end, interval)
    return tick(begin, interval), tick(end, interval), source


async def _replayed(
    options: argparse.Namespace, manifest: Manifest, source: Source, begin: datetime, end: datetime
) -> Report:
    """Twice over the data: who was asked when, then what the metrics say."""
    who, spec = manifest.who, manifest.spec
    interval = spec.monitoring.interval
    start = begin - timedelta(seconds=BEFORE)
    start = tick(max(start, source.first or start), interval)
    looks = round((end - start).total_seconds() / seconds(interval)) + 1

    def past(queries: Iterable[Query], own: Own, doing: str = "judged") -> AsyncIterator[Moment]:
        return _told(source.moments(tuple(queries), own, start, end, interval), looks, doing)

    families = judgement.queries(spec, who.namespace, who.name, Roles())
    activity = await _activity(families, lambda queries: past(queries, {}, "searched for revisions"), begin)
    if activity is None and not (options.stable or options.revision):
        raise WrongInput(
            f"{source.name}: no series of {who.namespace}/{who.name} from {begin:%Y-%m-%dT%H:%M:%SZ} "
            f"to {end:%Y-%m-%dT%H:%M:%SZ}; {source.absence}"
        )
    found = _phases(options, manifest, activity or Activity())
    revisions = dict.fromkeys(name for phase in found for name in phase.roles.revisions)
    own = {
        query: (metric, name)
        for metric in spec.monitoring.metrics
        for name in revisions
        for query in own_queries(metric, who.namespace, who.name, name)
    }
    replay = Replay(spec, who.namespace, who.name, found, begin, manifest.references)
    async for at, answers in past(families, own):
        replay.look(at, answers)
    return Report(who, source.name, begin, end, interval, found, replay.courses)


async def _activity(
    families: Iterable[Query],
    past: Callable[[Iterable[Query]], AsyncIterator[Moment]],
    begin: datetime,
) -> Activity | None:
    """Who was asked when, by the count of requests, else by what else is counted; None without any series."""
    counts = [query for query in families if query.family is Family.REQUESTS]
    others = [
        query
        for query in families
        if query.family not in {None, Family.REQUESTS} | LEVELS | TIMED
        and not query.ago  # those move with nobody asking
    ]
    for queries in (counts, others):
        activity, seen = Activity(), False
        if not queries:
            continue
        async for at, answers in past(queries):
            activity.look(at.timestamp(), answers)
            seen |= at >= begin and any(isinstance(answer, Counters) for answer in answers.values())
        if seen:
            return activity
    return None


def _phases(options: argparse.Namespace, manifest: Manifest, activity: Activity) -> tuple[Phase, ...]:
    seen = sorted(activity.revisions)
    for option in ("revision", "stable", "candidate"):
        named = getattr(options, option)
        if named and seen and named not in seen:
            raise WrongInput(f"--{option}: {named} has no series; there are series of {', '.join(seen)}")
    if options.revision:
        if options.stable or options.candidate:
            raise WrongInput(
                "--revision watches one alone; leave out --stable and --candidate, or --revision"
            )
        return (Phase(float("-inf"), Roles(options.revision)),)
    if options.stable and options.stable == options.candidate:
        raise WrongInput(f"--candidate: {options.candidate} is --stable already; name another, or neither")
    monitoring = manifest.spec.monitoring
    said = Said(options.stable, options.candidate)
    window, interval = seconds(monitoring.window), seconds(monitoring.interval)
    found = phases(activity.counted, window=window, interval=interval, said=said)
    if found:
        return found
    if len(seen) == 1:  # it was there, and nobody asked it anything
        return (Phase(float("-inf"), Roles(seen[0])),)
    raise WrongInput(f"nobody asked any of {', '.join(seen)} anything; say which is meant with --revision")


async def _told(moments: AsyncIterator[Moment], looks: int, doing: str) -> AsyncIterator[Moment]:
    """The same moments; of many, it is told on standard error how far they are."""
    part = max(1, looks // PARTS)
    done = 0
    async for moment in moments:
        yield moment
        done += 1
        if looks >= LONG and done % part == 0:
            sys.stderr.write(
                f"{doing}: {100 * done // looks}% of {looks} looks, {moment.at:%Y-%m-%d %H:%M} UTC\n"
            )
            sys.stderr.flush()
