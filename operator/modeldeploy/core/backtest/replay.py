"""Looks at the past, one tick after the other, through the same judgement as live ones."""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType

from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core import judgement
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.backtest.consequence import Consequence, consequence
from modeldeploy.core.backtest.phases import Phase, phase_at
from modeldeploy.core.backtest.previous import Previous
from modeldeploy.core.cause import LATELY, Who
from modeldeploy.core.judgement import Answer, Evidence, Query, References, Roles
from modeldeploy.core.judgement.case import MEAN_SAMPLES
from modeldeploy.core.judgement.plan import Kind, Plan, plans
from modeldeploy.core.judgement.wording import measured

NOTHING = float("nan")


@dataclass(slots=True)
class Firing:
    """A stretch of looks, within one phase, at which a metric was in breach.

    Attributes:
        begin: The first of them.
        end: The last one so far.
        roles: Whom it was about.
        message: What was said at the first one, with value and bound.
        value: The subject's value then, as `measured` gives it; None without one.
        shown: The same with its unit.
        done: What it led to, each with the look from which on.
    """

    begin: datetime
    end: datetime
    roles: Roles
    message: str
    value: float | None
    shown: str | None
    done: list[tuple[datetime, Consequence]]

    @property
    def gravest(self) -> tuple[datetime, Consequence]:
        """The first of the gravest things that it led to."""
        order = list(type(self.done[0][1].action))
        return min(self.done, key=lambda entry: (order.index(entry[1].action), entry[0]))


@dataclass(slots=True)
class Course:
    """What one metric did over the whole time.

    Attributes:
        planned: The metric, understood.
        verdicts: Looks, by verdict.
        stretches: Verdicts with the first look of each stretch.
        firings: Breaches, in their order.
        closest: The largest share of its bound that a value reached with enough behind it; None for no value.
        failure: The last reason for `Error` or `NoData`.
        times: Of looks, in seconds since 1970.
        subject: The subject's value at each, NaN without one.
        stable: Stable's value at each, NaN without one and while no candidate is on trial.
    """

    planned: Plan
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    stretches: list[tuple[datetime, Verdict]] = field(default_factory=list)
    firings: list[Firing] = field(default_factory=list)
    closest: float | None = None
    failure: str = ""
    times: "array[float]" = field(default_factory=lambda: array("d"))
    subject: "array[float]" = field(default_factory=lambda: array("d"))
    stable: "array[float]" = field(default_factory=lambda: array("d"))


class Replay:
    """One object's past. Feed it every tick in its order, then read `courses`.

    Args:
        spec: The metrics and their bounds, and what a breach leads to.
        namespace: The object's.
        name: The object's.
        phases: Who was who.
        since: Looks before this time only gather evidence.
        references: Of drift from training, by name of the metric.
    """

    def __init__(
        self,
        spec: ModelDeploymentSpec,
        namespace: str,
        name: str,
        phases: Sequence[Phase],
        since: datetime,
        references: References = MappingProxyType({}),
    ) -> None:
        self.courses = tuple(Course(planned) for planned in plans(spec))
        self._spec, self._namespace, self._name = spec, namespace, name
        self._phases, self._since = phases, since
        self._evidence = Evidence()
        self._references, self._previous = references, Previous(spec)
        self._led_to = lru_cache(maxsize=4096)(self._ask)

    def look(self, at: datetime, answers: Mapping[Query, Answer]) -> tuple[Assessment, ...]:
        """Judge one tick; the verdicts, in spec's order."""
        roles = phase_at(self._phases, at.timestamp()).roles
        self._previous.look(at.timestamp(), answers, roles)
        self._evidence = judgement.advance(
            self._evidence,
            self._spec,
            namespace=self._namespace,
            name=self._name,
            roles=roles,
            answers=answers,
            at=at,
            references={**self._references, **self._previous.references},
        )
        found = judgement.assess(self._evidence, self._spec, roles, at)
        if at >= self._since:
            for course, assessment in zip(self.courses, found, strict=True):
                self._note(course, assessment, roles, at)
        return found

    def _note(self, course: Course, said: Assessment, roles: Roles, at: datetime) -> None:
        judged = self._evidence.judged(course.planned)
        tracks = judged.tracks
        value = measured(course.planned, tracks.get(roles.subject or ""))
        stable = measured(course.planned, tracks.get(roles.stable or "")) if roles.candidate else None
        if judged.drifting is not None:
            value = judged.drifting.measured.size
        if said.verdict in (Verdict.NO_DATA, Verdict.ERROR):  # what was measured before is no value of now
            value, course.failure = None, said.message
        course.times.append(at.timestamp())
        course.subject.append(NOTHING if value is None else value)
        course.stable.append(NOTHING if stable is None else stable)
        course.verdicts[said.verdict] += 1
        before = course.stretches[-1][1] if course.stretches else None
        if said.verdict is not before:
            course.stretches.append((at, said.verdict))
        if said.samples is None or said.samples >= MEAN_SAMPLES:
            near = closeness(course.planned, value, stable)
            course.closest = near if course.closest is None else max(near or 0.0, course.closest)
        if said.verdict is Verdict.BREACH:
            self._breach(course, said, roles, at, value, goes_on=before is Verdict.BREACH)

    def _breach(
        self,
        course: Course,
        said: Assessment,
        roles: Roles,
        at: datetime,
        value: float | None,
        *,
        goes_on: bool,
    ) -> None:
        lately = at.timestamp() <= roles.step_started_at + LATELY
        led_to = self._led_to(said.name, said.who, roles.candidate is not None, lately)
        if goes_on and course.firings[-1].roles == roles:
            firing = course.firings[-1]
            firing.end = at
            if firing.done[-1][1] != led_to:
                firing.done.append((at, led_to))
            return
        course.firings.append(Firing(at, at, roles, said.message, value, said.candidate, [(at, led_to)]))

    def _ask(self, name: str, who: Who, on_trial: bool, lately: bool) -> Consequence:  # noqa: FBT001 - a cache's key
        category = next(one.category for one in self._spec.monitoring.metrics if one.name == name)
        said = Assessment(name, category, Verdict.BREACH, who)
        return consequence(self._spec, said, self._since, on_trial=on_trial, lately=lately)


def closeness(planned: Plan, value: float | None, stable: float | None) -> float | None:
    """The largest share of any of its bounds that a value reaches, 1 at a bound; None without one.

    Of a `min` of a share, what lacks is what counts: 97% with `min: 95%` is at 0.6 of it. Of any other `min`
    twice the bound is 0 and nothing at all is 2.
    """
    if value is None:
        return None
    if planned.drift is not None:
        return value / planned.drift.fail
    low, high = planned.low, planned.high
    limits = planned.limits if planned.kind is Kind.SHARE else ()
    found = [limit.events(value, 1.0) / limit.rate for limit in limits if limit.rate > 0.0]
    if high is not None and high > 0.0:
        found.append(value / high)
    if low is not None and low > 0.0 and planned.kind is not Kind.LATENCY:
        found.append(max(0.0, 2.0 - value / low))
    if planned.ratio is not None and stable:
        found.append(value / (planned.ratio * stable))
    if planned.least is not None and stable and value:
        found.append(planned.least * stable / value)
    return max(found, default=None)
