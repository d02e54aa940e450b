"""One measured figure, and how it stands to its bar."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Figure:
    """A measured value; `baseline` and `bar` are None where there is none.

    The bar is the most that the value may be, or with `at_least` the least. Figures of one name are told
    apart by their keys, such as the provider that was measured.
    """

    name: str
    value: float
    unit: str
    bar: float | None = None
    baseline: float | None = None
    at_least: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the value keeps its bar."""
        if self.bar is None:
            return True
        return self.value >= self.bar if self.at_least else self.value <= self.bar

    def line(self) -> str:
        """The figure as one line of JSON."""
        figures = asdict(self)
        ratio = self.value / self.baseline if self.baseline else None
        rounded = {
            key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()
        }
        return json.dumps(
            {
                "name": self.name,
                **self.keys,
                **{key: rounded[key] for key in ("value", "unit", "baseline")},
                "ratio": None if ratio is None else round(ratio, 4),
                "bar": rounded["bar"],
                "ok": self.ok,
            }
        )


def quantile(values: list[float], share: float) -> float:
    """The smallest of the values that `share` of them don't exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
