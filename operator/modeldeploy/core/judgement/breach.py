"""Whether a metric is beyond a bound, and who is: the candidate, stable, or both."""

from collections.abc import Mapping

from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.cause import Who
from modeldeploy.core.judgement.case import Case, number_of, says
from modeldeploy.core.judgement.plan import COMPARE, LEAST, Kind, Plan
from modeldeploy.core.judgement.state import UNSEEN, Trial
from modeldeploy.core.judgement.wording import percent

SUSPECT = 10.0
"""E-value from which stable, too, is suspected of being beyond a bound. Then the candidate is blamed only
when it is shown to be worse than stable."""

BURST = 2
"""Looks with events that it takes to break an absolute bound: one clump is one accident."""

UNDISPERSED = "DispersionUnknown: too little was seen of how events clump"
"""Why nobody is blamed yet."""


def breach(case: Case) -> Assessment | None:
    """The breach that the evidence shows; None while none is shown."""
    if case.planned.kind is Kind.COUNT:
        return _breach_of_count(case)
    if case.planned.kind in {Kind.MEAN, Kind.GAUGE}:
        return _breach_of_number(case)
    if case.roles.candidate is None:
        standing = [name for name, watch in case.judged.watches.items() if watch.standing]
        return says(case, Verdict.BREACH, case.said, Who.STABLE) if standing else None
    found = {name: _whose(case, name, trial) for name, trial in case.judged.trials.items()}
    who = _together(found)
    if who is None:
        return None
    why = _WHY.get(who, "")
    if who is Who.UNSURE:
        why = f"; {'too little is known' if case.judged.dispersed else UNDISPERSED} to blame the candidate"
    if case.metric.category is Category.INPUT:
        why = "; inputs never blame the candidate"
    return says(case, Verdict.BREACH, case.said + _surely(case) + why, who)


_WHY = {
    Who.WORSE: "; stable is beyond it, too, but less",
    Who.BOTH: "; so is stable",
}


def _together(found: Mapping[str, Who | None]) -> Who | None:
    """Who is beyond any of a metric's bounds: beyond `compare` as well as both beyond another is worse."""
    seen = set(found.values()) - {None}
    if Who.CANDIDATE in {found.get(COMPARE), found.get(LEAST)} and Who.BOTH in seen:
        return Who.WORSE
    return next((who for who in (Who.WORSE, Who.CANDIDATE, Who.BOTH, Who.UNSURE) if who in seen), None)


def _whose(case: Case, name: str, trial: Trial) -> Who | None:
    """Who is beyond a bound; None while it isn't shown to be broken."""
    if trial.broken.value < case.threshold:
        return None
    if name in case.planned.comparisons:
        return Who.CANDIDATE if case.judged.dispersed else Who.UNSURE
    if case.judged.eventful < BURST:
        return None
    stable = trial.stable.value if trial.stable else 0.0
    if stable < SUSPECT:
        return (
            Who.UNSURE if trial.stable is None and case.metric.category is Category.INPUT else Who.CANDIDATE
        )
    is_worse = case.judged.dispersed and trial.worse is not None and trial.worse.value >= case.threshold
    if is_worse:
        return Who.WORSE
    return Who.BOTH if stable >= case.threshold else Who.UNSURE


def _breach_of_number(case: Case) -> Assessment | None:
    value = number_of(case, case.subject)
    if value is None or (_is_within(case.planned, value) and not _is_apart(case, value)):
        return None
    said = f"{case.said}; Heuristic, a number without a count behind it"
    return says(case, Verdict.BREACH, said, _whose_number(case))


def _is_apart(case: Case, value: float) -> bool:
    """Whether a number is further from stable's than `compare` allows; not where stable has none."""
    if case.roles.candidate is None or not case.planned.comparisons:
        return False
    stable = number_of(case, case.judged.tracks.get(case.roles.stable or "", UNSEEN))
    if stable is None:
        return False
    most, least = case.planned.ratio, case.planned.least
    return (most is not None and value > most * stable) or (least is not None and value < least * stable)


def _breach_of_count(case: Case) -> Assessment | None:
    """Events that count by themselves, such as restarts: a hard bound, without any statistics."""
    high = case.planned.high
    if high is None or case.subject.recent.events <= high:
        return None
    stable = case.judged.tracks.get(case.roles.stable or "", UNSEEN)
    if case.roles.candidate is None:
        return says(case, Verdict.BREACH, case.said, Who.STABLE)
    who = Who.BOTH if stable.recent.events > high else Who.CANDIDATE
    return says(case, Verdict.BREACH, case.said + _WHY.get(who, ""), who)


def _whose_number(case: Case) -> Who:
    """Who is beyond a bound by a number alone, which may tell of inputs, and never blames a candidate."""
    if case.roles.candidate is None:
        return Who.STABLE
    beside = number_of(case, case.judged.tracks.get(case.roles.stable or "", UNSEEN))
    if case.metric.category is not Category.INPUT or beside is None:
        return Who.UNSURE
    return Who.CANDIDATE if _is_within(case.planned, beside) else Who.BOTH


def _is_within(planned: Plan, value: float) -> bool:
    low, high = planned.low, planned.high
    return (low is None or value >= low) and (high is None or value <= high)


def _surely(case: Case) -> str:
    """How far beyond a broken bound the candidate surely is: the end of a confidence sequence, in words.

    No less than the bound, which the test itself has disproved.
    """
    for limit in case.planned.limits:
        trial = case.judged.trials.get(limit.name)
        if trial is not None and trial.broken.value >= case.threshold:
            least = max(limit.rate, trial.stretch.least(case.threshold))
            above = " above it" if case.planned.kind is Kind.LATENCY else ""
            side = f"at most {percent(1.0 - least)}" if limit.name == "min" else f"at least {percent(least)}"
            return f", surely {side}{above}"
    return ""
