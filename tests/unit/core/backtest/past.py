"""A simulated rollout as a metrics store would have kept it, beside the verdicts of live looks at it."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from typing import NamedTuple

from modeldeploy.core.assessment import Assessment
from modeldeploy.core.judgement import Answer, Counters, Query, Roles
from modeldeploy.core.judgement.sources import SOURCES
from unit.core.judgement.simulation import World, when

NAMESPACE, NAME = "ns", "digits"


class Sample(NamedTuple):
    """One value of one series; the time is in seconds since 1970."""

    name: str
    labels: dict[str, str]
    value: float
    at: float


def samples(at: float, answers: Mapping[Query, Answer], name: str = NAME) -> Iterator[Sample]:
    """The series that a look's answers come from, as the router and telemetry name them."""
    for query, answer in answers.items():
        source = SOURCES[query.family] if query.family else None
        for row in answer.rows if source and isinstance(answer, Counters) else ():
            assert source is not None
            label = source.labels[0]
            metric = row.part if label == "__name__" else source.names[0]
            labels = {"namespace": NAMESPACE, "modeldeploy_name": name}
            labels |= {"modeldeploy_revision": row.revision, "pod": row.pod}
            if label != "__name__":
                labels[label] = row.part
            yield Sample(metric, labels, row.value, when(at).timestamp())


def openmetrics(found: Iterable[Sample]) -> str:
    """Samples as promtool reads them: those of a metric together."""
    lines = []
    for name, labels, value, at in found:
        written = ",".join(f'{key}="{text}"' for key, text in labels.items())
        lines.append(f"{name}{{{written}}} {value} {at}")
    return "\n".join([*sorted(lines, key=lambda line: line.partition("{")[0]), "# EOF", ""])


@dataclass
class Past(World):
    """Keeps what it answered."""

    kept: list[tuple[float, dict[Query, Answer]]] = field(default_factory=list)

    def answers(self, queries: tuple[Query, ...]) -> dict[Query, Answer]:
        found = super().answers(queries)
        self.kept.append((0.0, found))
        return found

    def look(self, at: float, roles: Roles) -> None:
        super().look(at, roles)
        self.kept[-1] = (at, self.kept[-1][1])

    def live(self, seconds: float) -> list[tuple[float, tuple[Assessment, ...]]]:
        """The verdicts of every look at the trial, from its begin."""
        return list(self.run(seconds))

    def samples(self) -> Iterator[Sample]:
        for at, answers in self.kept:
            yield from samples(at, answers)

    def openmetrics(self) -> str:
        return openmetrics(self.samples())

    def table(self) -> str:
        found = list(self.samples())
        columns = dict.fromkeys(key for sample in found for key in sample.labels)
        out = StringIO()
        writer = csv.DictWriter(out, ["time", "metric", "value", *columns], lineterminator="\n")
        writer.writeheader()
        for name, labels, value, at in found:
            writer.writerow({"time": at, "metric": name, "value": value, **labels})
        return out.getvalue()
