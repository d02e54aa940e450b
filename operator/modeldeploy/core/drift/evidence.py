"""Evidence that two histograms are not samples of one distribution, good at any time one looks.

Universal inference (Wasserman, Ramdas, Balakrishnan, "Universal inference", PNAS 2020, section 8): of two
samples x and c the ratio

    E = D(x)·D(c) / sup_p p(x)·p(c),  D(x) = ∫ p(x) dJeffreys(p)

is at most what it would be with the true p in the denominator, and that has expectation 1 at every time,
since D is a probability of what was seen so far. So E is an e-process for the hypothesis that both are
samples of *some* one distribution over the buckets, which nobody need know; a reference of any size is a
sample like the other. The supremum is at the pooled shares. D is the Dirichlet mixture of Krichevsky and
Trofimov ("The performance of universal encoding", IEEE Transactions on Information Theory 1981); Lindon and
Malek ("Anytime-valid inference for multinomial count data", NeurIPS 2022) test a known p the same way.

A change may begin at any time, so an E is begun with every bin of the window:

- *Without an end* their sum is an e-detector (Shin, Ramdas, Rinaldo, New England Journal of Statistics in
  Data Science 2024): while nothing changes it reaches c not before c bins have begun, on average.
- *In a trial* their mean with weights that sum to 1 is an e-process again, and reaches 1/alpha with
  probability at most alpha over the whole trial (Ville).

Terms that have left the window are left out, which only lowers both.
"""

import math
from collections.abc import Sequence

_LARGEST = 700.0


def mixture(counts: Sequence[float]) -> float:
    """The log of D for a sample with these counts: Jeffreys' prior puts half an observation into each bucket.

    Counts may be fractions (of observations that come in clumps).
    """
    half = len(counts) / 2.0
    found = math.lgamma(half) - math.lgamma(sum(counts) + half) - len(counts) * math.lgamma(0.5)
    return found + sum(math.lgamma(count + 0.5) for count in counts)


def log_e(current: Sequence[float], reference: Sequence[float]) -> float:
    """The log of E for two samples, by bucket. Buckets that both leave empty don't count."""
    kept = [pair for pair in zip(current, reference, strict=True) if any(pair)]
    if len(kept) < 2:  # noqa: PLR2004 - one bucket is always the same as itself
        return 0.0
    mine, theirs = [pair[0] for pair in kept], [pair[1] for pair in kept]
    whole = sum(mine) + sum(theirs)
    pooled = sum((p + q) * math.log((p + q) / whole) for p, q in kept)
    return mixture(mine) + mixture(theirs) - pooled


def detector(log_values: Sequence[float]) -> float:
    """The e-detector of processes begun with each bin of the window."""
    return sum(math.exp(min(value, _LARGEST)) for value in log_values)


def process(log_values: Sequence[float], first: int) -> float:
    """The e-process of a trial: begun with its `first` bin (counted from 1) and each after it.

    The s-th bin of the trial has the weight 1/(s·(s + 1)); these sum to 1 over all s.
    """
    weighted = (
        math.exp(min(value, _LARGEST)) / (number * (number + 1))
        for number, value in enumerate(log_values, first)
    )
    return sum(weighted)


def needed(psi: float, buckets: int, reference: float, threshold: float) -> int | None:
    """Observations with which a change of this PSI is expected to reach a threshold; None for never.

    ln E grows by PSI/2 times the harmonic sum of both samples, less what the mixtures cost:
    (B - 1)/2·ln(n/2π) each, to within a constant (Xie, Barron, "Asymptotic minimax regret", IEEE Transactions
    on Information Theory 2000).

    Args:
        psi: The change to be found.
        buckets: B, those that are used.
        reference: Observations of the reference; infinity if it grows along.
        threshold: Of the e-value.
    """
    for step in range(1, _STEPS):
        n = _RATIO**step
        other = n if math.isinf(reference) else reference
        gain = psi / 2.0 * n * other / (n + other)
        if gain - _cost(n, buckets) - _cost(other, buckets) >= math.log(threshold):
            return math.ceil(n)
    return None


_RATIO, _STEPS = 1.05, 400


def _cost(n: float, buckets: int) -> float:
    if buckets < 2:  # noqa: PLR2004 - nothing to learn of one bucket
        return 0.0
    constant = buckets * math.lgamma(0.5) - math.lgamma(buckets / 2.0)
    return max(0.0, (buckets - 1) / 2.0 * math.log(n / (2.0 * math.pi)) + constant)
