"""Answers to users' own questions."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from modeldeploy.core.judgement.queries import Answer, Counters, NoData, Number, Query, QueryFailed
from modeldeploy.core.judgement.table import Row


def own(query: Query, result: Sequence[Any]) -> Answer:
    """The answer to a user's own question: counters for a ratio, else one number."""
    return counted(result) if query.part else single(result)


def counted(result: Sequence[Any]) -> Answer:
    """The answer to one half of a ratio: any number of counters, told apart by their labels.

    Those that aren't finite are left out, as if they hadn't been scraped.
    """
    if not result:
        return NoData()
    if not all(isinstance(item, Mapping) and "value" in item for item in result):
        return QueryFailed(
            "the query yields no counters; give them as they stand, e.g. sum by (pod) (x_total)"
        )
    rows = []
    for item in result:
        labels, value = dict(item["metric"]), float(item["value"][1])
        pod = labels.pop("pod", "")
        if math.isfinite(value):
            rows.append(Row("", pod, ",".join(f"{key}={labels[key]}" for key in sorted(labels)), value))
    return Counters(tuple(rows)) if rows else NoData("the query yields no finite number")


def single(result: Sequence[Any]) -> Answer:
    """The answer to a user's own query: one scalar, or a vector of one series."""
    if not result:
        return NoData()
    if isinstance(result[0], Mapping):
        if len(result) > 1:
            return QueryFailed(
                f"the query yields {len(result)} series where one is expected; aggregate with sum()"
            )
        if "value" not in result[0]:
            return QueryFailed(
                "the query yields a histogram where a number is expected; use histogram_quantile()"
            )
        result = result[0]["value"]
    value = float(result[1])
    return Number(value) if math.isfinite(value) else NoData(f"the query yields {result[1]}")
