"""How far one histogram is from another, and how much of that is chance.

Chance makes a distance of two samples of the very same distribution, the more the smaller they are. With
w = 1/n + 1/m the mean of

- PSI is (B - 1)·w over B buckets (Yurdakul, Naranjo, "Statistical properties of the population stability
  index", Journal of Risk Model Validation 2020: PSI/w is asymptotically χ² with B - 1 degrees of freedom);
- the Jensen-Shannon divergence is an eighth of that in nats, since both are quadratic near 0 (Lin,
  "Divergence measures based on the Shannon entropy", IEEE Transactions on Information Theory 1991);
- the square of Kolmogorov-Smirnov's D is at most π²/12·w, the second moment of Kolmogorov's distribution
  (Marsaglia, Tsang, Wang, "Evaluating Kolmogorov's distribution", Journal of Statistical Software 2003);
- the square of the standardised difference of means is w (Hedges, Olkin, "Statistical methods for
  meta-analysis", 1985, chapter 5).

It is taken off before a distance is compared with anything.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from modeldeploy.api.v1alpha1.drift import Statistic
from modeldeploy.core.drift.buckets import Histogram

CONTINUITY = 0.5
"""Added to each count: an empty bucket would make PSI infinite, whatever else there is."""

_KOLMOGOROV = math.pi**2 / 12.0


def raw(statistic: Statistic, current: Histogram, reference: Histogram) -> float:
    """The distance as it is; both histograms have the same edges and some observations.

    PSI 0 and up, Jensen-Shannon's distance to base 2 and Kolmogorov-Smirnov's D 0 to 1, the shift of the mean
    in standard deviations of the reference, with its sign.
    """
    if statistic is Statistic.MEAN_SHIFT:
        spread = reference.deviation
        if current.total is None or reference.total is None:  # one way or the other, of both
            current, reference = replace(current, total=None), replace(reference, total=None)
        return (current.mean - reference.mean) / spread if spread else 0.0
    if statistic is Statistic.KOLMOGOROV_SMIRNOV:
        return kolmogorov_smirnov(shares(current.counts), shares(reference.counts))
    kept = [pair for pair in zip(current.counts, reference.counts, strict=True) if any(pair)]
    mine, theirs = [pair[0] for pair in kept], [pair[1] for pair in kept]
    if statistic is Statistic.JENSEN_SHANNON:
        return jensen_shannon(shares(mine), shares(theirs))
    return psi(shares(mine, CONTINUITY), shares(theirs, CONTINUITY))


def effect(statistic: Statistic, current: Histogram, reference: Histogram) -> float:
    """The distance less what chance alone gives, 0 and up, in the same unit.

    Args:
        statistic: Which one.
        current: What is seen; counts of independent observations.
        reference: What it is compared with, likewise.
    """
    found, weight = raw(statistic, current, reference), 1.0 / current.n + 1.0 / reference.n
    used = sum(1 for pair in zip(current.counts, reference.counts, strict=True) if any(pair))
    if statistic is Statistic.PSI:
        return max(0.0, found - (used - 1) * weight)
    if statistic is Statistic.JENSEN_SHANNON:
        return math.sqrt(max(0.0, found**2 - (used - 1) * weight / (8.0 * math.log(2.0))))
    chance = _KOLMOGOROV if statistic is Statistic.KOLMOGOROV_SMIRNOV else 1.0
    return math.sqrt(max(0.0, found**2 - chance * weight))


def as_psi(statistic: Statistic, size: float) -> float:
    """The PSI of a change that is `size` by a statistic, at least (near 0): what evidence grows by.

    Jensen-Shannon as above. A change of D moves shares of at least D both ways, and PSI ≥ 4·D² by Pinsker's
    inequality in both directions; a shift of normal values by d deviations has PSI d².
    """
    if statistic is Statistic.PSI:
        return size
    if statistic is Statistic.JENSEN_SHANNON:
        return 8.0 * math.log(2.0) * size**2
    return 4.0 * size**2 if statistic is Statistic.KOLMOGOROV_SMIRNOV else size**2


def shares(counts: Sequence[float], added: float = 0.0) -> list[float]:
    """Counts as shares of them all, `added` to each before."""
    whole = sum(counts) + added * len(counts)
    return [(count + added) / whole for count in counts]


def psi(current: Sequence[float], reference: Sequence[float]) -> float:
    """Σ (p - q)·ln(p/q) over shares above 0 (Siddiqi, "Credit risk scorecards", 2006; Jeffreys 1946)."""
    return sum((p - q) * math.log(p / q) for p, q in zip(current, reference, strict=True))


def jensen_shannon(current: Sequence[float], reference: Sequence[float]) -> float:
    """The Jensen-Shannon distance, the root of the divergence to base 2: 0 for the same, 1 for disjoint."""
    divergence = 0.0
    for p, q in zip(current, reference, strict=True):
        middle = (p + q) / 2.0
        divergence += sum(share * math.log2(share / middle) for share in (p, q) if share > 0.0) / 2.0
    return math.sqrt(max(0.0, divergence))


def kolmogorov_smirnov(current: Sequence[float], reference: Sequence[float]) -> float:
    """The largest difference of the cumulated shares at a bucket's edge; that between edges may be larger."""
    difference, largest = 0.0, 0.0
    for p, q in zip(current, reference, strict=True):
        difference += p - q
        largest = max(largest, abs(difference))
    return largest
