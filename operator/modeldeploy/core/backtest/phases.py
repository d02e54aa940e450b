"""Who was stable and who was on trial when, learned from who answered requests."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from modeldeploy.core.judgement import Answer, Counters, Query, Roles
from modeldeploy.core.judgement.counters import Pod, difference
from modeldeploy.core.judgement.plan import share
from modeldeploy.core.judgement.sources import Family

QUIET = 600.0
"""Seconds without a request, of time in which others had some, after which a revision's part is over."""


class Counted(NamedTuple):
    """A look at which something was counted: its time in seconds since 1970, and how much by revision."""

    at: float
    requests: Mapping[str, float]


class Said(NamedTuple):
    """What the user says of the roles; None where it is to be learned."""

    stable: str | None = None
    candidate: str | None = None


class Ended(StrEnum):
    """How a trial ended, by what was seen afterwards."""

    PROMOTED = "Promoted"
    WITHDRAWN = "Withdrawn"
    SUPERSEDED = "Superseded"
    OPEN = "Open"
    """The data ends with it."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A time in which the roles stay the same.

    Attributes:
        since: When it begins, in seconds since 1970.
        roles: Who is who. A trial's `started_at` is the first look that counted a request of its candidate.
        ended: How a trial ended; None where there is none.
    """

    since: float
    roles: Roles
    ended: Ended | None = None


@dataclass
class Activity:
    """What each revision was asked, look by look."""

    counted: list[Counted] = field(default_factory=list)
    revisions: set[str] = field(default_factory=set)
    _pods: dict[Query, Mapping[str, Pod]] = field(default_factory=dict)

    def look(self, at: float, answers: Mapping[Query, Answer]) -> None:
        """Take in the counters at one tick; ticks come in their order."""
        requests: dict[str, float] = {}
        for query, answer in answers.items():
            rows = answer.rows if isinstance(answer, Counters) else ()
            self._pods[query], grown = difference(self._pods.get(query, {}), rows, at)
            self.revisions |= grown.present
            for revision, parts in grown.by_revision.items():
                is_asked = query.family is Family.REQUESTS
                count = share(Family.REQUESTS, parts)[1] if is_asked else sum(parts.values())
                requests[revision] = requests.get(revision, 0.0) + count
        if any(requests.values()):
            self.counted.append(Counted(at, {name: count for name, count in requests.items() if count}))


class _Run(NamedTuple):
    """A revision's time with requests, in seconds since 1970, first and last one included."""

    begin: float
    end: float


def phases(counted: Sequence[Counted], *, window: float, interval: float, said: Said) -> tuple[Phase, ...]:
    """The phases in their order; empty if nothing was counted and no stable revision is named.

    The revision that is asked first is stable; of several in the first `window`, the one that is asked most.
    Another one that is asked is the candidate, from its first to its last request. When it goes on alone it
    has been promoted, when stable goes on alone it has been withdrawn.

    Args:
        counted: In the order of time.
        window: Seconds.
        interval: Seconds between looks.
        said: Roles that need not be learned. They hold all the time.
    """
    runs = _runs(counted, max(1, round(QUIET / interval)), said)
    runs = {name: _open(mine, counted, round(window / interval)) for name, mine in runs.items()}
    stable = said.stable or _first(counted, window, said)
    if stable is None:
        return ()
    found = [Phase(float("-inf"), Roles(stable))]
    for at, _ in counted:
        active = {name: run for name, mine in runs.items() for run in mine if run.begin <= at <= run.end}
        over = {name for name, mine in runs.items() if name not in active and mine[0].end < at}
        roles = _roles(found[-1].roles, active, over, at, said)
        if roles != found[-1].roles:
            found.append(Phase(at, roles))
    return (*(_ended(one, after) for one, after in pairwise(found)), _last(found[-1]))


def _runs(counted: Sequence[Counted], quiet: int, said: Said) -> dict[str, list[_Run]]:
    """By revision; time in which nobody is asked anything is no gap."""
    found: dict[str, list[_Run]] = {}
    latest: dict[str, int] = {}
    for index, (at, requests) in enumerate(counted):
        for name in requests:
            mine = found.setdefault(name, [])
            if mine and (name in said or index - latest[name] <= quiet):
                mine[-1] = _Run(mine[-1].begin, at)
            else:
                mine.append(_Run(at, at))
            latest[name] = index
    return found


def _open(mine: list[_Run], counted: Sequence[Counted], looks: int) -> list[_Run]:
    """A silence over so many last looks of the data ends nothing: the next request may be near."""
    begun, last = mine[-1]
    if last < counted[-min(len(counted), looks + 1)].at:
        return mine
    return [*mine[:-1], _Run(begun, counted[-1].at)]


def _first(counted: Sequence[Counted], window: float, said: Said) -> str | None:
    totals: dict[str, float] = {}
    for at, requests in counted:
        if at > counted[0].at + window and totals:
            break
        for name, count in requests.items():
            if name != said.candidate:
                totals[name] = totals.get(name, 0.0) + count
    return max(sorted(totals), key=lambda name: totals[name], default=None)


def _roles(before: Roles, active: Mapping[str, _Run], over: Collection[str], at: float, said: Said) -> Roles:
    stable, candidate = before.stable, before.candidate
    is_replaced = said.stable is None and stable in over
    if is_replaced and candidate in active:
        stable = candidate
    newcomers = [name for name in active if name != stable]
    if is_replaced and stable not in active and newcomers:
        stable = max(newcomers, key=lambda name: (active[name].begin, name))
        newcomers.remove(stable)
    if said.candidate is not None:
        newcomers = [name for name in newcomers if name == said.candidate]
    if not newcomers:
        return Roles(stable)
    newest = max(newcomers, key=lambda name: (active[name].begin, name))
    if newest == candidate:
        return replace(before, stable=stable)
    return Roles(stable, newest, at, at)


def _ended(phase: Phase, after: Phase) -> Phase:
    candidate = phase.roles.candidate
    if candidate is None:
        return phase
    if after.roles.stable == candidate:
        return replace(phase, ended=Ended.PROMOTED)
    return replace(phase, ended=Ended.SUPERSEDED if after.roles.candidate else Ended.WITHDRAWN)


def _last(phase: Phase) -> Phase:
    return phase if phase.roles.candidate is None else replace(phase, ended=Ended.OPEN)


def phase_at(found: Sequence[Phase], at: float) -> Phase:
    """The phase that a time lies in."""
    return next(phase for phase in reversed(found) if phase.since <= at)
