"""What a replay found, as plain facts: the table, the JSON and the picture all tell these."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, NamedTuple

from modeldeploy.adapters.history import Ticket
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core.backtest import Action, Course, Ended, Firing, Phase, hint, phase_at
from modeldeploy.core.judgement.plan import Kind
from modeldeploy.core.judgement.wording import bounds

UNITS = {Kind.SHARE: "fraction", Kind.LATENCY: "milliseconds"}
"""Of values; others are plain numbers."""


class Trial(NamedTuple):
    """A candidate's time, as far as it lies in the span."""

    stable: str
    candidate: str
    begin: datetime
    end: datetime
    ended: Ended


@dataclass(frozen=True, slots=True)
class Report:
    """One replay.

    Attributes:
        who: Whose past it was.
        source: Where it was read.
        begin: The first look that counts.
        end: The last one.
        interval: Between looks, as in spec.
        phases: Who was who.
        courses: By metric, in spec's order.
    """

    who: Ticket
    source: str
    begin: datetime
    end: datetime
    interval: str
    phases: tuple[Phase, ...]
    courses: tuple[Course, ...]

    @property
    def looks(self) -> int:
        """How many there were."""
        return len(self.courses[0].times)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials in the span, in their order."""
        found = []
        ends = [after.since for _, after in pairwise(self.phases)] + [self.end.timestamp()]
        for phase, end in zip(self.phases, ends, strict=True):
            last = min(end, self.end.timestamp())
            begin = max(phase.since, self.begin.timestamp())
            if phase.roles.candidate and phase.ended and last >= begin:
                found.append(
                    Trial(
                        phase.roles.stable or "",
                        phase.roles.candidate,
                        _utc(phase.since),
                        _utc(last),
                        phase.ended,
                    )
                )
        return tuple(found)

    @property
    def watched(self) -> str | None:
        """The revision that was watched after its rollout at the end of the span, or before any trial."""
        return self.phases[-1].roles.stable

    def since_start(self, firing: Firing) -> float:
        """Seconds from the begin of the trial to a firing; without one, of the watch or of the span."""
        begun = phase_at(self.phases, firing.begin.timestamp()).since
        if firing.roles.candidate is None:
            begun = max(begun, self.begin.timestamp())
        return firing.begin.timestamp() - begun

    def hint(self, course: Course) -> str:
        """What to make of a metric."""
        return hint(self.courses, self.courses.index(course))

    @property
    def first(self) -> tuple[datetime, Action, str] | None:
        """When the operator would first have moved traffic or paused, by which metric; None if never."""
        found = [
            (at, course.planned.metric.name, led_to.action)
            for course in self.courses
            for firing in course.firings
            for at, led_to in firing.done
            if led_to.action in (Action.ROLLBACK, Action.STEP_DOWN, Action.RETURN, Action.PAUSE)
        ]
        if not found:
            return None
        at, name, action = min(found, key=lambda entry: entry[0])
        return at, action, name


def facts(report: Report) -> dict[str, Any]:
    """Everything, for programs; times are ISO 8601 in UTC. docs/backtest.md explains the keys."""
    first = report.first
    return {
        "kind": "backtest",
        "namespace": report.who.namespace,
        "name": report.who.name,
        "source": report.source,
        "from": _iso(report.begin),
        "to": _iso(report.end),
        "interval": report.interval,
        "looks": report.looks,
        "stable": report.watched,
        "trials": [
            {
                "stable": trial.stable,
                "candidate": trial.candidate,
                "begin": _iso(trial.begin),
                "end": _iso(trial.end),
                "ended": str(trial.ended),
            }
            for trial in report.trials
        ],
        "firstAction": first and {"at": _iso(first[0]), "action": str(first[1]), "metric": first[2]},
        "metrics": [_metric(report, course) for course in report.courses],
    }


def _metric(report: Report, course: Course) -> Mapping[str, Any]:
    metric = course.planned.metric
    return {
        "name": metric.name,
        "category": str(metric.category),
        "bounds": bounds(metric),
        "unit": UNITS.get(course.planned.kind, "number"),
        "looks": {str(verdict): course.verdicts[verdict] for verdict in Verdict},
        "verdicts": [{"at": _iso(at), "verdict": str(verdict)} for at, verdict in course.stretches],
        "breaches": [_firing(report, firing) for firing in course.firings],
        "closest": None if course.closest is None else round(course.closest, 4),
        "hint": report.hint(course),
    }


def _firing(report: Report, firing: Firing) -> Mapping[str, Any]:
    return {
        "begin": _iso(firing.begin),
        "end": _iso(firing.end),
        "afterSeconds": round(report.since_start(firing), 3),
        "stable": firing.roles.stable,
        "candidate": firing.roles.candidate,
        "value": firing.value,
        "shown": firing.shown,
        "message": firing.message,
        "action": str(firing.gravest[1].action),
        "actions": [
            {"at": _iso(at), "action": str(led_to.action), "conditions": list(led_to.flags)}
            for at, led_to in firing.done
        ],
    }


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
