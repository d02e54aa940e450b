"""What a model server calls to record its work."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import Counter, Histogram

from modeltelemetry.metrics import Families

OTHER = "other"
"""The class of what is none of the classes named: it keeps the label bounded."""


class Recorder:
    """One module's metrics. Label sets are resolved here once, so recording looks nothing up.

    Safe to use from several threads.
    """

    __slots__ = (
        "_brightness",
        "_classes",
        "_codes",
        "_confidence",
        "_correct",
        "_duration",
        "_families",
        "_inflight",
        "_labelled",
        "_missing",
        "_name",
        "_nulls",
        "_outputs",
        "_rejected",
        "_size",
        "_values",
        "_volume",
    )

    def __init__(
        self, families: Families, name: str, codes: Sequence[int], classes: Sequence[str] = ()
    ) -> None:
        self._name = name
        self._families = families
        self._codes: dict[int, Counter] = {}
        for code in codes:
            self._code(code)
        self._duration = families.duration.labels(name)
        self._inflight = families.inflight.labels(name)
        self._size = families.size.labels(name)
        self._volume = families.volume.labels(name)
        self._brightness = families.brightness.labels(name)
        self._values = families.values.labels(name)
        self._missing = families.missing.labels(name)
        self._outputs = families.outputs.labels(name)
        self._nulls = families.nulls.labels(name)
        self._confidence = families.confidence.labels(name)
        self._rejected = families.rejected.labels(name)
        self._classes = {one: families.classes.labels(name, one) for one in (*classes, OTHER)}
        self._labelled = families.labelled.labels(name)
        self._correct = families.correct.labels(name)

    def started(self) -> None:
        """A request has come in. Each call is followed by one of :meth:`finished`."""
        self._inflight.inc()

    def finished(self, code: int, seconds: float) -> None:
        """A request has been answered.

        Args:
            code: HTTP status, 100 to 599.
            seconds: time since it came in.

        Raises:
            ValueError: not an HTTP status.
        """
        self._inflight.dec()
        (self._codes.get(code) or self._code(code)).inc()
        self._duration.observe(seconds)

    @contextmanager
    def track(self) -> Iterator[None]:
        """Count and time a step that is no HTTP request of its own, such as one module of a pipeline.

        It counts as code 200, or as 500 when the block raises.
        """
        self.started()
        start = perf_counter()
        code = 500
        try:
            yield
            code = 200
        finally:
            self.finished(code, perf_counter() - start)

    def inputs(
        self,
        *,
        size: float | None = None,
        volume: Iterable[float] = (),
        brightness: Iterable[float] = (),
        values: int = 0,
        missing: int = 0,
    ) -> None:
        """Record what a request asked about.

        Args:
            size: length of the whole input, in the model's own unit.
            volume: signal level of each input.
            brightness: mean brightness of each image, 0 to 1.
            values: input values received, missing ones included.
            missing: those of them that were missing.

        Raises:
            ValueError: ``missing`` isn't between 0 and ``values``. Nothing was recorded then.
        """
        _check_share("missing", missing, values)
        if size is not None:
            self._observe(self._size, (size,))
        self._observe(self._volume, volume)
        self._observe(self._brightness, brightness)
        self._values.inc(values)
        self._missing.inc(missing)

    def outputs(
        self,
        *,
        values: int,
        nulls: int = 0,
        confidence: Iterable[float] = (),
        classes: Iterable[str] = (),
    ) -> None:
        """Record what a request was answered.

        Args:
            values: outputs asked for: one for every input that the model had to say something about.
            nulls: those of them that were null (nothing recognised, an empty text, refused).
            confidence: the model's confidence in each of the others, 0 to 1.
            classes: the class of each of the others; one that the telemetry wasn't told counts as ``other``.

        Raises:
            ValueError: ``nulls`` isn't between 0 and ``values``. Nothing was recorded then.
        """
        _check_share("nulls", nulls, values)
        self._outputs.inc(values)
        self._nulls.inc(nulls)
        self._observe(self._confidence, confidence)
        for one in classes:
            self._classes.get(one, self._classes[OTHER]).inc()

    def labels(self, *, values: int, correct: int) -> None:
        """Record what true labels say of answers, whenever they come in.

        They are counted by the pod that records them, so record them at the version that answered.

        Args:
            values: answers whose true label has come in.
            correct: those of them that were right.

        Raises:
            ValueError: ``correct`` isn't between 0 and ``values``. Nothing was recorded then.
        """
        _check_share("correct", correct, values)
        self._labelled.inc(values)
        self._correct.inc(correct)

    def _observe(self, histogram: Histogram, numbers: Iterable[float]) -> None:
        for number in numbers:
            # One NaN would turn the histogram's sum into NaN until the pod ends.
            if math.isfinite(number):
                histogram.observe(float(number))
            else:
                self._rejected.inc()

    def _code(self, code: int) -> Counter:
        if not 100 <= code <= 599:  # noqa: PLR2004 - the range of HTTP statuses keeps the label bounded
            raise ValueError(f"{code} is no HTTP status: 100 to 599")
        child = self._codes[code] = self._families.requests.labels(self._name, str(code))
        return child


def _check_share(what: str, part: int, whole: int) -> None:
    if not 0 <= part <= whole:
        raise ValueError(f"{what} must be between 0 and values ({whole}), not {part}")
