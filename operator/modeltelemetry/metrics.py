"""The metric families a model exports, and the buckets of their histograms.

================================== ========= ============ ==================================================
metric                             type      labels       meaning
================================== ========= ============ ==================================================
``model_requests_total``           counter   module, code requests answered, by HTTP status
``model_request_duration_seconds`` histogram module       from a request's head to its answer's last byte
``model_inflight_requests``        gauge     module       requests that are being answered
``model_input_size``               histogram module       length of a request's input, in the model's unit
``model_input_volume``             histogram module       signal level of an input, e.g. loudness of audio
``model_input_brightness``         histogram module       mean brightness of an image, 0 black to 1 white
``model_input_values_total``       counter   module       input values received, missing ones included
``model_input_missing_total``      counter   module       input values that were missing
``model_output_values_total``      counter   module       outputs asked for, null ones included
``model_output_null_total``        counter   module       outputs that were null
``model_output_confidence``        histogram module       confidence in an output that is not null
``model_output_class_total``       counter   module, class outputs by class, of the classes that are named
``model_labelled_total``           counter   module       answers whose true label has come in
``model_labelled_correct_total``   counter   module       those of them that were right
``model_feedback_total``           counter   event        what users did with an answer
``model_telemetry_rejected_total`` counter   module       observations left out: NaN or infinite
================================== ========= ============ ==================================================

Ratios have their denominators beside them: the null ratio is ``model_output_null_total`` over
``model_output_values_total`` and the missing ratio is ``model_input_missing_total`` over
``model_input_values_total``. Neither is divided by requests, since a request may carry many inputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_TENTHS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class Buckets:
    """Upper bounds of the histograms, rising; ``+Inf`` is added.

    A bound that a metric is judged by belongs among them (300 ms is), and so do bounds inside the range where
    the model's own inputs lie: drift is invisible while nearly all inputs fall into one bucket.

    Args:
        duration: seconds.
        size: the model's own unit of length: images, tokens, seconds of audio.
        volume: the model's own unit of signal level.
        brightness: 0 (black) to 1 (white).
        confidence: 0 to 1.
    """

    duration: Sequence[float] = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30)
    size: Sequence[float] = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
    volume: Sequence[float] = _TENTHS
    brightness: Sequence[float] = _TENTHS
    confidence: Sequence[float] = (*_TENTHS, 0.95, 0.99)


class Families:
    """The families, registered; labels as above."""

    def __init__(self, registry: CollectorRegistry, buckets: Buckets) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, ("module", *labels), registry=registry)

        def histogram(name: str, text: str, bounds: Sequence[float]) -> Histogram:
            return Histogram(name, text, ("module",), buckets=tuple(bounds), registry=registry)

        self.requests = counter("model_requests", "Requests answered, by HTTP status.", "code")
        self.duration = histogram(
            "model_request_duration_seconds",
            "From a request's head to its answer's last byte.",
            buckets.duration,
        )
        self.inflight = Gauge(
            "model_inflight_requests", "Requests that are being answered.", ("module",), registry=registry
        )
        self.size = histogram(
            "model_input_size", "Length of a request's input, in the model's unit.", buckets.size
        )
        self.volume = histogram("model_input_volume", "Signal level of an input.", buckets.volume)
        self.brightness = histogram(
            "model_input_brightness", "Mean brightness of an image.", buckets.brightness
        )
        self.values = counter("model_input_values", "Input values received, missing ones included.")
        self.missing = counter("model_input_missing", "Input values that were missing.")
        self.outputs = counter("model_output_values", "Outputs asked for, null ones included.")
        self.nulls = counter("model_output_null", "Outputs that were null.")
        self.confidence = histogram(
            "model_output_confidence", "Confidence in an output that is not null.", buckets.confidence
        )
        self.classes = counter("model_output_class", "Outputs by class.", "class")
        self.labelled = counter("model_labelled", "Answers whose true label has come in.")
        self.correct = counter("model_labelled_correct", "Answers that their label proved right.")
        self.rejected = counter("model_telemetry_rejected", "Observations left out: NaN or infinite.")
        self.feedback = Counter(
            "model_feedback", "What users did with an answer.", ("event",), registry=registry
        )
