"""What the version before was asked, learned from the past as an operator would have kept it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.drift import ReferenceSource
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core import judgement
from modeldeploy.core.drift.buckets import Histogram
from modeldeploy.core.drift.clumps import NEIGHBOURS, Clumps
from modeldeploy.core.drift.reference import Reference, Trouble
from modeldeploy.core.drift.window import Window, Windows
from modeldeploy.core.judgement import Answer, Counters, Query, References, Roles
from modeldeploy.core.judgement.counters import Pod, difference

_FIRST = Trouble("", "no version was replaced in this time, so there is no previous one to compare with")


@dataclass
class Previous:
    """Follows stable, and keeps what it was asked until it is replaced.

    Attributes:
        spec: Which histograms, and how far back.
        kept: The reference of every metric that is compared with the previous version.
    """

    spec: ModelDeploymentSpec
    kept: Reference | Trouble = _FIRST
    _stable: str | None = None
    _pods: dict[str, Mapping[str, Pod]] = field(default_factory=dict)
    _windows: dict[str, Window] = field(default_factory=dict)
    _clumps: dict[str, Clumps] = field(default_factory=dict)

    def look(self, at: float, answers: Mapping[Query, Answer], roles: Roles) -> None:
        """Take in one tick; ticks come in their order, times are in seconds since 1970."""
        if roles.stable != self._stable:
            if self._stable is not None:
                self.kept = self._snapshot()
            self._stable = roles.stable
            self._windows.clear()
            self._clumps.clear()
        long = judgement.windows(self.spec).reference
        interval = seconds(self.spec.monitoring.interval)
        for name, query in judgement.snapshot_queries(self.spec).items():
            answer = answers.get(query)
            rows = answer.rows if isinstance(answer, Counters) else ()
            self._pods[name], grown = difference(self._pods.get(name, {}), rows, at, interval)
            seen = judgement.histogram(grown.by_revision.get(self._stable or "", {}))
            window = self._windows.get(name, Window())
            self._windows[name] = window.after(seen, Histogram(), at, Windows(long, long))
            self._clumps[name] = self._clumps.get(name, Clumps()).after(
                seen, at, max(NEIGHBOURS, 2.0 * interval)
            )

    @property
    def references(self) -> References:
        """By name of the metric."""
        return {
            metric.name: self.kept
            for metric in self.spec.monitoring.metrics
            if metric.drift and metric.drift.reference.source is ReferenceSource.PREVIOUS
        }

    def _snapshot(self) -> Reference:
        return Reference(
            {
                name: (window.whole[0], self._clumps[name].known or 1.0)
                for name, window in self._windows.items()
                if window.bins
            }
        )
