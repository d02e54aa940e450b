"""What values are compared with, and the file that holds it.

The file is JSON, the same that `modeltelemetry.Reference` writes for a training job::

    {"format": "modeldeploy.dev/reference.v1",
     "histograms": {"model_input_size": {"le": ["1", "2", "+Inf"], "counts": [3, 7, 0], "sum": 15.5}}}

`le` are upper edges as in Prometheus, rising, the last `+Inf`; `counts` are observations in each bucket, not
cumulated; `sum` (of all observed values) may lack. `clumps` says how many observations are worth one, 1 if it
lacks.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from modeldeploy.core.drift.buckets import Histogram

FORMAT = "modeldeploy.dev/reference.v1"

Known = tuple[Histogram, float]
"""A histogram, and how many of its observations are worth one."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Histograms by the name of the metric, as it is exported."""

    histograms: Mapping[str, Known]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no reference.

    Attributes:
        reason: In one word; empty if that is nothing to mend, and time will tell.
        message: In a sentence with the mend, to follow the metric's name.
    """

    reason: str
    message: str


MISSING, UNREADABLE = "ReferenceMissing", "ReferenceUnreadable"


def dump(reference: Reference) -> str:
    """The file."""
    found: dict[str, Any] = {}
    for name, (histogram, clumps) in reference.histograms.items():
        edges = ["+Inf" if math.isinf(edge) else f"{edge:.12g}" for edge in histogram.edges]
        found[name] = {"le": edges, "counts": list(histogram.counts), "clumps": clumps}
        if histogram.total is not None:
            found[name]["sum"] = histogram.total
    return json.dumps({"format": FORMAT, "histograms": found}, sort_keys=True)


def load(text: str, where: str) -> Reference | Trouble:
    """The reference in a file, or what is wrong with it.

    Args:
        text: The file.
        where: It stands at, for people: `ConfigMap a, key b`.
    """
    try:
        content = json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        return _unreadable(where, f"is no JSON ({error})")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return _unreadable(where, f'is no reference: it lacks "format": "{FORMAT}"')
    named = content.get("histograms")
    if not isinstance(named, dict) or not named:
        return _unreadable(where, 'holds no "histograms"')
    found = {}
    for name, one in named.items():
        wrong = _fault(one)
        if wrong:
            return _unreadable(where, f"histogram {str(name)[:80]}: {wrong}")
        edges = tuple(float(edge) for edge in one["le"])
        counts = tuple(float(count) for count in one["counts"])
        total = float(one["sum"]) if "sum" in one else None
        found[name] = Histogram(edges, counts, total), float(one.get("clumps", 1.0))
    return Reference(found)


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _unreadable(where: str, what: str) -> Trouble:
    return Trouble(UNREADABLE, f"{where} {what[:300]}; export it with modeltelemetry.Reference")


def _fault(one: Any) -> str | None:
    if not isinstance(one, dict):
        return "is no object with le and counts"
    edges, counts = one.get("le"), one.get("counts")
    checks: tuple[tuple[Callable[[], bool], str], ...] = (
        (lambda: isinstance(edges, list) and isinstance(counts, list), "le and counts must be lists"),
        (lambda: len(edges or ()) == len(counts or ()), "le and counts differ in length"),
        (lambda: all(_is_edge(edge) for edge in edges or ()), "le must hold numbers and +Inf"),
        (lambda: _rises(edges or ()), "le must rise, and end with +Inf"),
        (lambda: all(_is_count(count) for count in counts or ()), "counts must be numbers, 0 and up"),
        (lambda: sum(counts or ()) > 0, "counts are all 0"),
        (lambda: "sum" not in one or _is_number(one["sum"]), "sum must be a number"),
        (
            lambda: "clumps" not in one or (_is_number(one["clumps"]) and one["clumps"] >= 1),
            "clumps is below 1",
        ),
    )
    return next((wrong for is_well, wrong in checks if not is_well()), None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300  # noqa: PLR2004


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_edge(value: Any) -> bool:
    try:
        return isinstance(value, str | int | float) and not math.isnan(float(value))
    except ValueError:
        return False


def _rises(edges: Any) -> bool:
    numbers = [float(edge) for edge in edges]
    return bool(numbers) and numbers[-1] == math.inf and all(one < next_ for one, next_ in pairwise(numbers))
