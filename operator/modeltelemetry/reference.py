"""What a training job exports, so that drift can be measured from what the model was trained on.

The same buckets as the server's, over the values of the training (or, better, held-out) data::

    reference = Reference(buckets=Buckets(size=(10, 20, 40, 80, 160)))
    for example in examples:
        reference.inputs(size=len(example.tokens))
    for answer in model.predict(held_out):
        reference.outputs(confidence=[answer.confidence])
    reference.write("reference.json")

``kubectl create configmap recogniser-training --from-file=reference.json`` brings it to the cluster.
"""

import json
import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from modeltelemetry.metrics import Buckets

FORMAT = "modeldeploy.dev/reference.v1"


class Reference:
    """Histograms of the values that a model was trained on, in the buckets of its server.

    Args:
        buckets: bounds of the histograms: the server's own.

    Raises:
        ValueError: buckets that do not rise.
    """

    def __init__(self, buckets: Buckets | None = None) -> None:
        chosen = buckets or Buckets()
        self._histograms = {
            "model_input_size": _Histogram(chosen.size),
            "model_input_volume": _Histogram(chosen.volume),
            "model_input_brightness": _Histogram(chosen.brightness),
            "model_output_confidence": _Histogram(chosen.confidence),
        }

    def inputs(
        self,
        *,
        size: float | None = None,
        volume: Iterable[float] = (),
        brightness: Iterable[float] = (),
    ) -> None:
        """Count one input, as :meth:`Recorder.inputs` does. What is not finite is left out."""
        self._histograms["model_input_size"].observe(() if size is None else (size,))
        self._histograms["model_input_volume"].observe(volume)
        self._histograms["model_input_brightness"].observe(brightness)

    def outputs(self, *, confidence: Iterable[float] = ()) -> None:
        """Count the confidence in each output that isn't null, as :meth:`Recorder.outputs` does."""
        self._histograms["model_output_confidence"].observe(confidence)

    def text(self) -> str:
        """The file: JSON with a histogram for all that was counted.

        Raises:
            ValueError: nothing was counted.
        """
        found = {name: one.content() for name, one in self._histograms.items() if sum(one.counts)}
        if not found:
            raise ValueError("nothing was counted; call inputs() or outputs() for the training's examples")
        return json.dumps({"format": FORMAT, "histograms": found}, indent=1, sort_keys=True) + "\n"

    def write(self, path: str | Path) -> None:
        """Write the file.

        Raises:
            ValueError: nothing was counted.
            OSError: it can't be written.
        """
        Path(path).write_text(self.text(), encoding="utf-8")


class _Histogram:
    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = [float(bound) for bound in bounds if not math.isinf(bound)]
        if not self._bounds or self._bounds != sorted(set(self._bounds)):
            raise ValueError(f"buckets must rise: {list(bounds)}")
        self.counts = [0] * (len(self._bounds) + 1)
        self._total = 0.0

    def observe(self, values: Iterable[float]) -> None:
        for value in values:
            if math.isfinite(value):
                self.counts[bisect_left(self._bounds, value)] += 1
                self._total += value

    def content(self) -> dict[str, Any]:
        edges = [*(repr(bound) for bound in self._bounds), "+Inf"]
        return {"le": edges, "counts": self.counts, "sum": self._total}
