"""Log likelihood ratios of one look's counts, by effect."""

import math
from collections.abc import Sequence
from functools import lru_cache

_IMPOSSIBLE = 60.0


@lru_cache(maxsize=512)
def _coefficients(rate: float, effects: tuple[float, ...]) -> tuple[tuple[float, float], ...]:
    """Per effect, the log likelihood ratio of one event and of one request without."""
    if rate <= 0.0:  # an event is impossible under the bound, so one settles it
        return tuple((_IMPOSSIBLE, 0.0) for _ in effects)
    if rate >= 1.0:  # nothing can be beyond the bound
        return tuple((0.0, 0.0) for _ in effects)
    odds = rate / (1.0 - rate)
    found = []
    for effect in effects:
        other = odds * effect / (1.0 + odds * effect)
        found.append((math.log(other / rate), math.log((1.0 - other) / (1.0 - rate))))
    return tuple(found)


def of_rate(events: float, requests: float, rate: float, effects: tuple[float, ...]) -> list[float]:
    """Bernoulli requests, against the rate of a bound: odds of `effect` times the bound's.

    With effects above 1 each is the log increment of a supermartingale for every true rate up to `rate`, with
    effects below 1 for every true rate from `rate` on.

    Args:
        events: Requests with the event, 0 to `requests`.
        requests: All of them.
        rate: The bound, 0 to 1.
        effects: Odds relative to the bound's.
    """
    others = requests - events
    return [events * hit + others * miss for hit, miss in _coefficients(rate, effects)]


def gains_of_rate(rate: float, bound: float, effects: tuple[float, ...]) -> list[float]:
    """By effect, the log likelihood ratio of `of_rate` that one request is expected to give.

    Args:
        rate: The true (or observed) rate, 0 to 1.
        bound: The rate that the evidence is against.
        effects: As in `of_rate`.
    """
    return [rate * hit + (1.0 - rate) * miss for hit, miss in _coefficients(bound, effects)]


def of_ratio(
    candidate: tuple[float, float], stable: tuple[float, float], ratio: float, effects: Sequence[float]
) -> list[float]:
    """Candidate against stable, against a ratio of their rates.

    Given the events of both in one look, the candidate's are binomial with share θ·m·r/(1 + θ·m·r), where m
    is the bound on the ratio and r the ratio of requests *in that look*. Conditioning look by look keeps
    weights and loads that change from passing for a difference. (Conditional comparison of two Poisson rates:
    Przyborowski and Wilenski, Biometrika 1940.)

    Args:
        candidate: Events and requests of the candidate in this look.
        stable: The same of stable; both with requests.
        ratio: The bound m.
        effects: θ, relative to the bound.
    """
    base = ratio * candidate[1] / stable[1]
    found = []
    for effect in effects:
        miss = math.log((1.0 + base) / (1.0 + effect * base))
        found.append(candidate[0] * (math.log(effect) + miss) + stable[0] * miss)
    return found


def gains_of_ratio(
    candidate: tuple[float, float], stable: tuple[float, float], ratio: float, effects: Sequence[float]
) -> list[float]:
    """By effect, the log likelihood ratio of `of_ratio` that a request of the candidate is expected to give.

    Args:
        candidate: Events and requests of the candidate so far.
        stable: The same of stable, over the same looks.
        ratio: As in `of_ratio`.
        effects: As in `of_ratio`.
    """
    return [gain / candidate[1] for gain in of_ratio(candidate, stable, ratio, effects)]


def samples_needed(gains: Sequence[float], shares: Sequence[float], level: float) -> int | None:
    """Requests after which evidence is expected to reach 1/`level`; None for never.

    Found where Σ share·exp(n·gain) crosses 1/`level`; the e-value scatters around that.

    Args:
        gains: By effect, the log likelihood ratio that one request is expected to give.
        shares: By effect, its weight.
        level: 0.05 for a pass that a candidate beyond what it must exclude gets in at most 5%.
    """
    alone = [-math.log(level * share) / gain for gain, share in zip(gains, shares, strict=True) if gain > 0.0]
    if not alone:
        return None
    low, high = 0, math.ceil(min(alone))  # at `high` the best effect is enough by itself
    while high - low > 1:
        middle = (low + high) // 2
        if (
            sum(share * math.exp(middle * gain) for gain, share in zip(gains, shares, strict=True))
            < 1 / level
        ):
            low = middle
        else:
            high = middle
    return high


def least_rate(
    events: float, requests: float, weights: Sequence[float], effects: Sequence[float], threshold: float
) -> float:
    """The largest rate that the counts disprove: the lower end of a confidence sequence.

    The rates p whose evidence Σ weight·θ^k/(1 + (θ - 1)·p)^n has not reached `threshold` are, at all times
    together, a confidence set of level 1 - 1/`threshold` (duality of tests and confidence sequences: Howard
    et al. 2021, section 2); the sum falls with p, so it is an interval that ends at 1.

    Args:
        events: k, those that were counted, each divided by the dispersion.
        requests: n, likewise.
        weights: By effect, the mass on it; at most 1 in all.
        effects: θ, all above 1.
        threshold: 1/alpha.
    """
    low, high = 0.0, 1.0
    terms = [
        (math.log(weight) + events * math.log(effect), effect - 1.0)
        for weight, effect in zip(weights, effects, strict=True)
    ]
    target = math.log(threshold)
    for _ in range(20):  # to within 1e-6
        middle = (low + high) / 2
        logs = [head - requests * math.log1p(slope * middle) for head, slope in terms]
        top = max(logs)
        if top + math.log(sum(math.exp(term - top) for term in logs)) >= target:
            low = middle
        else:
            high = middle
    return low
