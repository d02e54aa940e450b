"""Latency from a histogram's buckets: cumulative counts by upper edge, in milliseconds, infinity for all."""

import math
from collections.abc import Iterable, Mapping

from modeldeploy.core.judgement.counters import Parts

Buckets = Mapping[float, float]

ENOUGH = 20.0
"""Observations below which a quantile of stable's says nothing."""


def buckets(parts: Parts) -> Buckets:
    """Counts by edge, of a family's counts by the label `le`."""
    return {float(part): count for part, count in parts.items() if part}


def total(counts: Buckets) -> float:
    """All observations."""
    return counts.get(math.inf, 0.0)


def bracket(edges: Iterable[float], bound: float) -> tuple[float, float]:
    """The edges at or next below and at or next above a bound; an infinity where there is none."""
    known = sorted(edges)
    below = max((edge for edge in known if edge <= bound), default=-math.inf)
    return below, min((edge for edge in known if edge >= bound), default=math.inf)


def beyond(counts: Buckets, edge: float) -> float:
    """Observations above an edge: none above infinity, all above minus infinity."""
    return max(0.0, total(counts) - counts.get(edge, 0.0))


def faded(profile: Buckets, counts: Buckets, keep: float) -> Buckets:
    """A histogram of late: what was there, less its age, and what came."""
    return {edge: profile.get(edge, 0.0) * keep + counts.get(edge, 0.0) for edge in {**profile, **counts}}


def quantile(profile: Buckets, share: float) -> float | None:
    """A quantile, linear within its bucket as in `histogram_quantile`.

    Above the last finite edge it is that edge; None if there are no observations.
    """
    rank = share * total(profile)
    if rank <= 0.0:
        return None
    below, counted = 0.0, 0.0
    for edge, count in sorted(profile.items()):
        if edge == math.inf:
            break
        if count >= rank:
            return below + (edge - below) * (rank - counted) / max(count - counted, 1e-12)
        below, counted = edge, count
    return below or None


def compared_edges(profile: Buckets, share: float, ratio: float) -> tuple[float, float] | None:
    """The edges beyond which stable's and the candidate's tails are compared; None with too little to tell.

    Stable's edge u is the last one at or below its quantile, the candidate's the first at or above ratio·u.
    If the candidate's latencies are at most `ratio` times stable's, its share beyond its edge is at most
    stable's beyond u.
    """
    known = sorted(edge for edge in profile if edge != math.inf)
    if total(profile) < ENOUGH or not known:
        return None
    value = quantile(profile, share) or known[0]
    at_stable = max((edge for edge in known if edge <= value), default=known[0])
    at_candidate = min((edge for edge in known if edge >= ratio * at_stable), default=None)
    return None if at_candidate is None else (at_stable, at_candidate)
