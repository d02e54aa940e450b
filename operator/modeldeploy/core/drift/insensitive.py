"""Buckets that can't show a drift, and better ones."""

import math

from modeldeploy.core.drift.buckets import Histogram

MOST = 0.8
"""Share of observations in one bucket from which on drift is invisible: a length that grew by half gives PSI
0.17 on buckets that fit and 0.007 on those of a web server's latencies."""

PARTS = 8
"""Into which the crowded bucket should be split."""


def crowded(seen: Histogram) -> int | None:
    """The bucket that holds more than `MOST` of all; None if none does."""
    most = max(range(len(seen.counts)), key=lambda place: seen.counts[place], default=None)
    return most if most is not None and seen.counts[most] > MOST * seen.n else None


def advice(seen: Histogram, place: int) -> str:
    """Which bucket is crowded, and which edges would show what is in it."""
    lower = seen.edges[place - 1] if place else min(0.0, seen.edges[0])
    upper = seen.edges[place]
    share, where = seen.counts[place] / seen.n, f"{lower:g} to {upper:g}".replace("inf", "+Inf")
    if math.isinf(upper):
        upper = max(2.0 * lower, lower + 1.0) if seen.total is None else max(2.0 * seen.mean, lower + 1.0)
    if lower == upper:
        lower = upper - max(1.0, abs(upper))
    wanted = dict.fromkeys(f"{lower + (upper - lower) * part / PARTS:.3g}" for part in range(1, PARTS + 1))
    return (
        f"{100 * share:.0f}% fall into one bucket ({where}), where drift can't be seen; "
        f"export buckets within it, e.g. {', '.join(wanted)}"
    )
