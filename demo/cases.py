"""The versions that are rolled out, and by what a bad one shows itself in Prometheus."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
NAME = "digits"
FIRST, BETTER = "v1", "v3"
SLOW_MS = "300"
"""The bound on p95 in the manifests, as the router's histogram spells it."""

Series = Mapping[str, Any]
"""One series of a range: `metric` (labels) and `values`, a list of [seconds since 1970, text]."""


@dataclass(frozen=True, slots=True)
class Case:
    """A bad version.

    Attributes:
        version: Its model version.
        fault: What is wrong with it, in words.
        selector: The counters that show it, without the labels of the object and the revision.
        first_bad: The time of the first scrape that shows it, from the series of these counters.
        errors: Whether requests fail on purpose.
    """

    version: str
    fault: str
    selector: str
    first_bad: Callable[[Sequence[Series]], float | None]
    errors: bool = False


def first_counted(series: Sequence[Series]) -> float | None:
    """When one of the counters was first seen above 0."""
    times = (float(at) for each in series for at, value in each["values"] if float(value) > 0)
    return min(times, default=None)


def first_beyond(series: Sequence[Series]) -> float | None:
    """When a histogram was first seen to hold an answer slower than `SLOW_MS`; series of two `le` a pod."""
    scraped: dict[tuple[str, float], dict[str, float]] = {}
    for each in series:
        for at, value in each["values"]:
            scraped.setdefault((each["metric"].get("pod", ""), float(at)), {})[each["metric"]["le"]] = float(
                value
            )
    times = (at for (_, at), by_edge in scraped.items() if by_edge.get("+Inf", 0) > by_edge.get(SLOW_MS, 0))
    return min(times, default=None)


CASES = {
    "nulls": Case(
        "v2-nulls",
        "gives no answer for a quarter of the images",
        '__name__="model_output_null_total"',
        first_counted,
    ),
    "slow": Case(
        "v2-slow",
        "lets three requests in ten wait for over 350 ms",
        f'__name__="envoy_cluster_upstream_rq_time_bucket",le=~"{SLOW_MS}|[+]Inf"',
        first_beyond,
    ),
    "errors": Case(
        "v2-errors",
        "fails one request in ten with a 500",
        '__name__="envoy_cluster_upstream_rq_xx",envoy_response_code_class="5"',
        first_counted,
        errors=True,
    ),
}


def manifest(version: str, image: str) -> dict[str, Any]:
    """The ModelDeployment of a version as it stands in examples/digits, with this cluster's image."""
    text = (REPOSITORY / "examples" / "digits" / f"{version}.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    loaded["spec"]["server"]["image"] = image
    return loaded
