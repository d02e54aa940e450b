"""What one look's counts say about the bounds."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from modeldeploy.core.judgement.dispersion import Dispersion
from modeldeploy.core.judgement.eprocess import BETTER, WORSE, Detector, Mixture, Product
from modeldeploy.core.judgement.likelihood import of_rate, of_ratio
from modeldeploy.core.judgement.plan import COMPARE, LEAST, Kind, Limit, Plan
from modeldeploy.core.judgement.roles import Roles
from modeldeploy.core.judgement.state import UNTRIED, Judged, Trial

RARE = 0.01
"""A candidate whose events are shown to be below this share passes a comparison: with hardly any event on
either side no ratio could ever be told."""

SMALLEST_DETECTABLE = 0.002
"""A bound of 0% is passed when events are shown to be rarer than this."""

RUN_LENGTH = 90 * 86400.0
"""Seconds on average between false alarms on one bound, once no rollout runs."""


class Look(NamedTuple):
    """What one look yields on one revision and metric.

    `events` are counted against the bounds, `lower` at the bucket edge below a latency's bound, `compared` in
    the comparison with stable; either is None where it doesn't apply.
    """

    events: float = 0.0
    requests: float = 0.0
    lower: float | None = None
    compared: float | None = None


NOTHING = Look()
"""No request since the last look."""


def dispersion(judged: Judged, roles: Roles) -> float | None:
    """The larger of what stable's and the candidate's own looks show; None if neither has shown enough.

    A candidate has had few looks, so beside stable's its own count only as far as they surely show clumps.
    """
    stable, candidate = (
        track.spread if revision is not None and (track := judged.tracks.get(revision)) else Dispersion()
        for revision in (roles.stable, roles.candidate)
    )
    known = stable.known
    return candidate.known if known is None else max(known, candidate.shown or 1.0)


def weigh(planned: Plan, judged: Judged, looks: Mapping[str, Look], roles: Roles, interval: float) -> Judged:
    """The look's log likelihood ratios, folded into the evidence.

    They are divided by the dispersion as it was known before this look. While it isn't, absolute bounds are
    tested as if events came one by one (the user named the bound; a single clump can't break it, see
    `eventful`), and a comparison, too, but then it blames nobody, and starts afresh once clumps are known.
    """
    known = dispersion(judged, roles)
    phi = known or 1.0
    learned = known is not None and not judged.dispersed
    candidate = looks.get(roles.candidate or "", NOTHING)
    stable = looks.get(roles.stable or "", NOTHING)
    trials, watches = dict(judged.trials), dict(judged.watches)
    for limit in planned.limits:
        if roles.candidate is not None:
            trials[limit.name] = _try_limit(
                trials.get(limit.name, UNTRIED), planned, limit, (candidate, stable), phi, interval
            )
        if stable.requests:
            ratios = of_rate(limit.events(stable.events, stable.requests), stable.requests, limit.rate, WORSE)
            watch = watches.get(limit.name, Detector())
            watches[limit.name] = watch.after(ratios, phi, RUN_LENGTH / interval)
    for name in planned.comparisons if roles.candidate is not None else ():
        trial = UNTRIED if learned and phi > 1.0 else trials.get(name, UNTRIED)
        # That the candidate has too few is that stable has too many beside it.
        sides = (stable, candidate) if name == LEAST else (candidate, stable)
        trials[name] = _try_ratio(trial, planned, name, sides, phi, interval)
    return replace(
        judged,
        trials=trials,
        watches=watches,
        dispersed=known is not None,
        eventful=judged.eventful + (1 if _has_events(planned, candidate) else 0),
    )


def _has_events(planned: Plan, look: Look) -> bool:
    return any(limit.events(look.events, look.requests) > 0 for limit in planned.limits)


def _try_limit(
    trial: Trial, planned: Plan, limit: Limit, looks: tuple[Look, Look], phi: float, interval: float
) -> Trial:
    candidate, stable = looks
    if not candidate.requests:
        return trial
    asked, events = candidate.requests, limit.events(candidate.events, candidate.requests)
    ratios = of_rate(events, asked, limit.rate, WORSE)
    broken = trial.broken.after(ratios, phi, interval)
    stretch = trial.stretch.after((events, asked), ratios, phi, interval)
    beside, worse, lower = trial.stable, trial.worse, trial.lower
    # Stable is heard about the same looks only: before, a node busy with starting pods may have slowed it.
    if stable.requests:
        other = limit.events(stable.events, stable.requests)
        beside = (beside or Mixture()).after(
            of_rate(other, stable.requests, limit.rate, WORSE), phi, interval
        )
        ratios = of_ratio((events, asked), (other, stable.requests), 1.0, WORSE)
        worse = (worse or Mixture()).after(ratios, phi, interval)
    if candidate.lower is not None:
        events = limit.events(candidate.lower, asked)
        lower = (lower or Mixture()).after(of_rate(events, asked, limit.rate, WORSE), phi, interval)
    excluded = detectable(limit.rate, planned.detect)
    kept = trial.kept.after(of_rate(events, asked, excluded, BETTER), phi)
    return Trial(broken, kept, beside, worse, lower, stretch=stretch)


def detectable(rate: float, times: float) -> float:
    """The rate that a pass excludes: so many times the bound's odds."""
    if rate >= 1.0:
        return 1.0
    if rate <= 0.0:
        return SMALLEST_DETECTABLE
    odds = times * rate / (1.0 - rate)
    return odds / (1.0 + odds)


def _try_ratio(
    trial: Trial, planned: Plan, name: str, sides: tuple[Look, Look], phi: float, interval: float
) -> Trial:
    candidate, stable = sides
    if not candidate.requests or candidate.compared is None:
        return trial
    rare = (trial.rare or Product()).after(of_rate(candidate.compared, candidate.requests, RARE, BETTER), phi)
    if not stable.requests or stable.compared is None:
        return replace(trial, rare=rare)
    ratio = compared_ratio(planned, name)
    mine, theirs = (candidate.compared, candidate.requests), (stable.compared, stable.requests)
    before = trial.compared
    return Trial(
        trial.broken.after(of_ratio(mine, theirs, ratio, WORSE), phi, interval),
        trial.kept.after(of_ratio(mine, theirs, planned.detect * ratio, BETTER), phi),
        rare=rare,
        compared=(before[0] + mine[0], before[1] + mine[1], before[2] + theirs[0], before[3] + theirs[1]),
    )


def compared_ratio(planned: Plan, name: str = COMPARE) -> float:
    """The ratio of rates that a comparison is held against.

    A latency's stands in the edges already, so that its tails are compared one to one.
    """
    if name == LEAST:
        return 1.0 / planned.least if planned.least else 1.0
    return 1.0 if planned.kind is Kind.LATENCY else planned.ratio or 1.0
