"""What a metric was good for, in one sentence: which to keep, which to prune."""

from collections.abc import Sequence

from modeldeploy.api.quantity import spell_duration
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core.backtest.replay import Course, Firing

FAR = 0.5
"""Share of its bound below which a metric was never near it."""

_SILENT = {Verdict.NO_DATA, Verdict.ERROR, Verdict.NOT_APPLICABLE}


def hint(courses: Sequence[Course], index: int) -> str:
    """What to make of one of the metrics, which stand in spec's order."""
    return _fired(courses, index) if courses[index].firings else _never(courses[index])


def _never(course: Course) -> str:
    seen = {verdict for verdict, count in course.verdicts.items() if count}
    if seen and seen <= _SILENT:
        failed = course.failure.partition(": ")[2]
        if failed:
            return f"never had data ({failed}); see that the model exports it, or leave it out"
        return "never applied: it compares a candidate with stable, and none was on trial"
    if course.closest is None:
        few = "; too few requests to tell" if Verdict.PASS not in seen else ""
        return f"never fired{few}"
    reached = f"{100 * course.closest:.0f}%"
    if course.closest < FAR:
        return f"never fired; never even near its bound (at most {reached} of it)"
    if course.closest <= 1.0:
        return f"never fired; came as near as {reached} of its bound"
    return f"never fired, though its value reached {reached} of the bound: never long enough to be sure"


def _fired(courses: Sequence[Course], index: int) -> str:
    course = courses[index]
    earlier = []
    for place, other in enumerate(courses):
        lags = _lags(course, other) if place != index else None
        # Of two that always fire at the same look, one must stay: the first.
        if lags and (max(lags) > 0.0 or place < index or _lags(other, course) is None):
            earlier.append((max(lags), other.planned.metric.name))
    if earlier:
        late, name = max(earlier, key=lambda entry: entry[0])
        by = f", {spell_duration(late)} later than it" if late else ", at the same look"
        return f"fired only together with {name}{by}"
    others = [other for place, other in enumerate(courses) if place != index]
    alone = not any(_meets(firing, other) for firing in course.firings for other in others)
    return "fired when nothing else did" if alone else "fired first, or alone"


def _lags(course: Course, other: Course) -> list[float] | None:
    """Seconds by which each firing came after one of the other's about the same; None if any had none."""
    lags = []
    for firing in course.firings:
        beside = [
            (firing.begin - one.begin).total_seconds()
            for one in other.firings
            if one.begin <= firing.begin and _is_same_trouble(firing, one)
        ]
        if not beside:
            return None
        lags.append(max(beside))
    return lags


def _is_same_trouble(firing: Firing, one: Firing) -> bool:
    """Firings in one trial are about its candidate; after the rollout they must overlap."""
    if firing.roles != one.roles:
        return False
    return firing.roles.candidate is not None or one.end >= firing.begin


def _meets(firing: Firing, other: Course) -> bool:
    return any(_is_same_trouble(one, firing) or _is_same_trouble(firing, one) for one in other.firings)
