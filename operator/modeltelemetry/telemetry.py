"""All metrics of one model server."""

import re
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from modeltelemetry.metrics import Buckets, Families
from modeltelemetry.recorder import Recorder

DEFAULT_EVENTS = ("redo", "typed", "clicked", "accepted")
DEFAULT_CODES = (200, 400, 404, 413, 422, 429, 499, 500, 503)
MAX_LABEL_VALUES = 64

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


class Telemetry:
    """All metrics of one model server. Every known label set exists from the start, at zero.

    Args:
        modules: the pipeline's parts, one for a plain model, e.g. ``("detector", "recogniser")``.
        events: what users can report about an answer; no other event is counted.
        classes: what outputs can be, for their balance; others count as ``other``.
        codes: HTTP statuses that exist at zero from the start; others appear when they first happen.
        buckets: bounds of the histograms.

    Raises:
        ValueError: a name that is not lower case letters, digits, ``_`` and ``-``, no module at all, a list
            too long to be a label's values, or buckets that do not rise.
    """

    def __init__(
        self,
        modules: Sequence[str],
        *,
        events: Sequence[str] = DEFAULT_EVENTS,
        classes: Sequence[str] = (),
        codes: Sequence[int] = DEFAULT_CODES,
        buckets: Buckets | None = None,
    ) -> None:
        _check_names("modules", modules, at_least=1)
        _check_names("events", events, at_least=0)
        _check_names("classes", classes, at_least=0)
        self._registry = CollectorRegistry()
        # Memory and CPU seconds of the process, on Linux; elsewhere it exports nothing.
        ProcessCollector(registry=self._registry)
        families = Families(self._registry, buckets or Buckets())
        self._modules = {name: Recorder(families, name, codes, classes) for name in modules}
        self._events = {name: families.feedback.labels(name) for name in events}

    @property
    def events(self) -> tuple[str, ...]:
        """The events that are counted, in the order given."""
        return tuple(self._events)

    def module(self, name: str) -> Recorder:
        """The recorder of one module.

        Raises:
            KeyError: no such module.
        """
        try:
            return self._modules[name]
        except KeyError:
            raise KeyError(f"no module {name!r}: this server has {', '.join(self._modules)}") from None

    def feedback(self, event: str) -> None:
        """Count one event.

        Raises:
            KeyError: the event isn't one of :attr:`events`.
        """
        self._events[event].inc()

    def register(self, collector: Collector) -> None:
        """Export a collector of the model's own beside these metrics.

        Raises:
            ValueError: its name is taken.
        """
        self._registry.register(collector)

    def exposition(self) -> bytes:
        """All metrics in the Prometheus text format, version 0.0.4."""
        return generate_latest(_WithoutCreated(self._registry))


class _WithoutCreated(Collector):
    """A registry less its ``_created`` series, which would nearly double what Prometheus has to keep."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            created = metric.name + "_created"
            metric.samples = [sample for sample in metric.samples if sample.name != created]
            yield metric


def _check_names(what: str, names: Sequence[str], *, at_least: int) -> None:
    if isinstance(names, str):
        raise ValueError(f"{what}: a list of names, not the one name {names!r}")  # noqa: TRY004 - one kind to catch
    if not at_least <= len(names) <= MAX_LABEL_VALUES:
        raise ValueError(f"{what}: {at_least} to {MAX_LABEL_VALUES} names, not {len(names)}")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{what}: {name!r} must be of a-z, 0-9, _ and -, starting with a letter")
