"""Looks at the metrics at every tick, in the background: a slow metrics store delays nothing else.

While nothing is on trial a look that changes no verdict wakes nobody, so a healthy object costs its share of
the questions and no reconcile.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from modeldeploy.adapters.clock import Clock, Timer
from modeldeploy.adapters.endpoint import Endpoint
from modeldeploy.adapters.history import BEFORE, Ticket, next_tick, tick
from modeldeploy.adapters.sampler import Sampler
from modeldeploy.adapters.stores import FIELD
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus, Verdict
from modeldeploy.core import judgement
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.judgement import Evidence, QueryFailed, References, Roles
from modeldeploy.render.meta import Owner

logger = logging.getLogger(__name__)

PROMETHEUS_URL = f"{FIELD}.url"


class Assessed(NamedTuple):
    """What is known at the moment.

    Attributes:
        assessments: One per metric; empty before the first look.
        answered: Requests that the candidate has answered in the step under way.
        off_weight: Why they are no fair sample, in words; None while they may be.
    """

    assessments: tuple[Assessment, ...] = ()
    answered: int = 0
    off_weight: str | None = None


@dataclass(slots=True)
class _Watch:
    """One object that is looked at.

    Attributes:
        of: The object.
        spec: Its metrics, as of the last reconcile.
        roles: Who is on trial, as of the last reconcile.
        since: When the evidence begins, in seconds since 1970; infinity when it must be rebuilt.
        evidence: As of the last look.
        references: Of drift, as of the last reconcile.
        told: The verdicts that the last reconcile saw.
    """

    of: Owner
    spec: ModelDeploymentSpec
    roles: Roles
    since: float
    evidence: Evidence = field(default_factory=Evidence)
    references: References = field(default_factory=dict)
    told: tuple[object, ...] = ()
    timer: Timer | None = None
    task: asyncio.Task[None] | None = None


class Judge:
    """Keeps the evidence of every object that has metrics and something to judge.

    Args:
        sampler: Answers questions.
        clock: Time and timers.
        wake: Called when a look may change a decision.
    """

    def __init__(self, sampler: Sampler, clock: Clock, wake: Callable[[Owner], None]) -> None:
        self._sampler = sampler
        self._clock = clock
        self._wake = wake
        self._watches: dict[str, _Watch] = {}
        self._turn = asyncio.Lock()

    def complaint(self, spec: ModelDeploymentSpec | None) -> str | None:
        """What can't be asked of a metrics store, in sentences that name field and mend; None if all can."""
        if spec is None or not _asks(spec):
            return None
        found = [*judgement.problems(spec)]
        # One complaint about a URL is enough, and where it holds credentials that one doesn't repeat it.
        if not any(one.startswith(PROMETHEUS_URL) for one in found):
            found.append(self._sampler.complaint(_store(spec)) or "")
        return "; ".join(filter(None, found)) or None

    def look(
        self,
        of: Owner,
        spec: ModelDeploymentSpec,
        status: ModelDeploymentStatus,
        references: References,
        now: datetime,
    ) -> Assessed:
        """What is known of an object's metrics, and keep looking."""
        roles = Roles.of(status)
        if roles.stable is None or not _asks(spec):
            self.forget(of.uid)
            return Assessed()
        watch = self._watches.get(of.uid)
        if watch is None:
            watch = self._watches[of.uid] = _Watch(of, spec, roles, now.timestamp())
            if roles.candidate is None and _has_breach(status):
                watch.since = float("inf")  # what was told before the restart must not be forgotten
        elif watch.spec.monitoring.interval != spec.monitoring.interval and watch.timer:
            watch.timer.cancel()
            watch.timer = None
        watch.spec, watch.roles, watch.references = spec, roles, references
        if watch.timer is None and watch.task is None:
            self._arm(watch, now)
        finding = Assessed(
            judgement.assess(watch.evidence, spec, roles, now),
            judgement.requests(watch.evidence, roles),
            judgement.off_weight(watch.evidence, roles),
        )
        watch.told = _verdicts(finding.assessments)
        return finding

    def forget(self, uid: str) -> None:
        """Stop looking at an object."""
        watch = self._watches.pop(uid, None)
        if watch and watch.timer:
            watch.timer.cancel()
        if watch and watch.task:
            watch.task.cancel()

    def forget_all(self) -> None:
        """Stop looking at anything: another replica leads."""
        for uid in list(self._watches):
            self.forget(uid)

    async def stop(self) -> None:
        """Stop for good."""
        self.forget_all()
        self._sampler.close()

    def _arm(self, watch: _Watch, now: datetime) -> None:
        due = next_tick(now, watch.spec.monitoring.interval)
        delay = (due - now).total_seconds()
        watch.timer = self._clock.call_at(self._clock.monotonic() + delay, lambda: self._begin(watch))

    def _begin(self, watch: _Watch) -> None:
        watch.timer = None
        watch.task = asyncio.get_running_loop().create_task(self._look(watch))

    async def _look(self, watch: _Watch) -> None:
        at = tick(self._clock.now(), watch.spec.monitoring.interval)
        try:
            watch.evidence = await self._advanced(watch, at)
        except Exception:
            logger.exception("%s/%s: its metrics can't be judged", watch.of.namespace, watch.of.name)
        watch.task = None
        if self._watches.get(watch.of.uid) is not watch:
            return
        now = self._clock.now()
        self._arm(watch, now)
        if watch.roles.candidate or self._has_news(watch, now):
            self._wake(watch.of)

    def _has_news(self, watch: _Watch, now: datetime) -> bool:
        return _verdicts(judgement.assess(watch.evidence, watch.spec, watch.roles, now)) != watch.told

    async def _advanced(self, watch: _Watch, at: datetime) -> Evidence:
        spec, roles, of = watch.spec, watch.roles, watch.of
        who = Ticket(of.namespace, of.name, _store(spec))
        needed = roles.started_at - BEFORE if roles.candidate else at.timestamp()
        if needed < watch.since:
            rebuilt = await self._sampler.rebuild(who, spec, roles, at, watch.references)
            if not isinstance(rebuilt, QueryFailed):
                watch.since = needed
                return await self._with_windows(watch, who, rebuilt, at)
        queries = judgement.queries(spec, of.namespace, of.name, roles)
        answers = await self._sampler.ask(who, queries, at)
        # An answer is many objects': one after the other, and the event loop has its turn in between.
        async with self._turn:
            evidence = judgement.advance(
                watch.evidence,
                spec,
                namespace=of.namespace,
                name=of.name,
                roles=roles,
                answers=answers,
                at=at,
                references=watch.references,
            )
        return await self._with_windows(watch, who, evidence, at)

    async def _with_windows(self, watch: _Watch, who: Ticket, evidence: Evidence, at: datetime) -> Evidence:
        """The same with the windows of drift read from history, where they reach back to before any look."""
        if not judgement.lacks_history(evidence, watch.spec, at.timestamp()):
            return evidence
        read = await self._sampler.windows(who, watch.spec, watch.roles, at, watch.references)
        return (
            evidence if isinstance(read, QueryFailed) else judgement.with_history(evidence, read, watch.spec)
        )


def _store(spec: ModelDeploymentSpec) -> Endpoint | None:
    return Endpoint.of(spec.monitoring.prometheus)


def _asks(spec: ModelDeploymentSpec) -> bool:
    return bool(spec.monitoring.metrics) or any(step.min_requests for step in spec.rollout.steps or ())


def _has_breach(status: ModelDeploymentStatus) -> bool:
    return any(entry.verdict is Verdict.BREACH for entry in status.metrics)


def _verdicts(assessments: tuple[Assessment, ...]) -> tuple[object, ...]:
    return tuple(entry.gist for entry in assessments)
