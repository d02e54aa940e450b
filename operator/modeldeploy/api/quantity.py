"""Text with a unit, as users write it (`20m`, `300ms`, `1%`), and the numbers it stands for."""

import re
from functools import lru_cache
from typing import Annotated

from pydantic import Field, StringConstraints

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"Ki": 1024.0, "Mi": 1024.0**2, "Gi": 1024.0**3}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")

# Digits are bounded so that no sum of durations leaves the calendar.
DURATION_PATTERN = r"^([0-9]{1,5}(\.[0-9]{1,3})?(s|m|h|d)|[0-9]{1,8}ms)+$"
PERCENT_PATTERN = r"^[0-9]+(\.[0-9]+)?%$"
BOUND_PATTERN = r"^-?[0-9]+(\.[0-9]+)?(%|ms|s|m|Ki|Mi|Gi)?$"

Duration = Annotated[str, StringConstraints(pattern=DURATION_PATTERN, max_length=32)]
"""A time span such as `30s`, `20m`, `1h30m` or `7d`."""

Percent = Annotated[str, StringConstraints(pattern=PERCENT_PATTERN, max_length=16)]
"""A share of the whole such as `1%`."""

Bound = Annotated[int, Field()] | Annotated[str, StringConstraints(pattern=BOUND_PATTERN, max_length=32)]
"""A limit with its unit: `300ms`, `1%`, `2Gi`, or a plain number (a fraction is quoted: `"0.5"`)."""


@lru_cache(maxsize=4096)
def seconds(duration: str) -> float:
    """The length of a duration in seconds; `ValueError` if it isn't one."""
    if not re.fullmatch(DURATION_PATTERN, duration):
        msg = f"{duration!r} is not a duration such as 30s, 20m or 1h30m"
        raise ValueError(msg)
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(duration))


def fraction(percent: str) -> float:
    """The share that a percentage stands for, between 0 and 1 for `0%` to `100%`."""
    return float(percent.removesuffix("%")) / 100


def magnitude(bound: int | str) -> float:
    """A bound as a plain number: durations in seconds, percentages as fractions, memory in bytes."""
    text = str(bound)
    if text[-2:] in _BYTES:
        return float(text[:-2]) * _BYTES[text[-2:]]
    if text.endswith("%"):
        return fraction(text)
    if text[-1].isalpha():
        return seconds(text)
    return float(text)


def spell_duration(span: float) -> str:
    """A span of seconds as people write it: `45s`, `20m`, `1h30m`."""
    rest = max(0, round(span))
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2]) or "0s"
