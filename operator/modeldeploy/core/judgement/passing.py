"""When a metric passes: the candidate is shown not to be at what its metric wants excluded.

A pass is evidence of its own, an e-process against e.g. twice the bound, rather than the absence of a breach
after as many requests as a given power takes. It keeps its promise however often one looks, and a candidate
far from its bound passes sooner: with `max: 1%`, seven tests and no errors after 183 requests; 80% power
takes 3,200. `evidence: NonInferior` is the same against the bound itself.
"""

from modeldeploy.api.v1alpha1.monitoring import Proof
from modeldeploy.core.judgement.eprocess import BETTER, LIKELY
from modeldeploy.core.judgement.likelihood import gains_of_rate, gains_of_ratio, samples_needed
from modeldeploy.core.judgement.plan import Limit, Plan
from modeldeploy.core.judgement.state import UNTRIED, Judged, Track, Trial
from modeldeploy.core.judgement.weigh import RARE, compared_ratio, detectable
from modeldeploy.core.judgement.wording import noun, number

FALSE_PASS = 0.05
"""Chance that a candidate at what a pass must exclude passes."""


def lack(planned: Plan, judged: Judged, track: Track, phi: float, *, compared: bool) -> str | None:
    """What is still needed for a pass, in words; None if nothing is.

    Args:
        planned: The metric.
        judged: The evidence on it.
        track: The candidate's counts.
        phi: The dispersion, by which evidence is divided.
        compared: Whether there is anything to compare with.
    """
    for limit in planned.limits:
        if judged.trials.get(limit.name, UNTRIED).kept.value < 1.0 / FALSE_PASS:
            return _needed(planned, track.requests, _of_limit(planned, track, limit), phi, "the bound")
    for name in planned.comparisons if compared else ():
        trial = judged.trials.get(name, UNTRIED)
        rare = trial.rare.value if trial.rare and _takes_rare(planned) else 0.0
        if max(trial.kept.value, rare) < 1.0 / FALSE_PASS:
            return _needed(planned, trial.compared[1], _of_comparison(planned, name, trial), phi, "stable")
    return None


def _takes_rare(planned: Plan) -> bool:
    return planned.metric.evidence is not Proof.NON_INFERIOR


def _of_limit(planned: Plan, track: Track, limit: Limit) -> int | None:
    """Requests at which a pass is expected, at the rate seen so far."""
    rate = limit.events(track.events, track.requests) / track.requests if track.requests else 0.0
    excluded = detectable(limit.rate, planned.detect)
    return samples_needed(gains_of_rate(rate, excluded, BETTER), LIKELY, FALSE_PASS)


def _of_comparison(planned: Plan, name: str, trial: Trial) -> int | None:
    """The same of a comparison, at both rates and at the share of requests seen so far."""
    events, requests, others, asked = trial.compared
    if not requests or not asked:
        return None
    ratio = planned.detect * compared_ratio(planned, name)
    gains = gains_of_ratio((events, requests), (others, asked), ratio, BETTER)
    found = [samples_needed(gains, LIKELY, FALSE_PASS)]
    if _takes_rare(planned):
        rare = gains_of_rate(events / requests, RARE, BETTER)
        found.append(samples_needed(rare, LIKELY, FALSE_PASS))
    return min((needed for needed in found if needed is not None), default=None)


def _needed(planned: Plan, counted: float, needed: int | None, phi: float, beside: str) -> str:
    if beside == "stable" and not counted:
        return f"no {noun(planned)} yet to compare"
    wanted = None if needed is None else round(needed * phi)
    if wanted is None or counted >= wanted:
        return f"too close to {beside} to tell yet"
    return f"{number(counted)} of {number(wanted)} {noun(planned)} needed"
