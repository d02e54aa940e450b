"""The classifier as it is served, with the faults of the versions that have one."""

import random
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float64]

# The share of v2-slow's requests that wait, and for how many seconds: a lookup in a store far away.
SLOW_SHARE = 0.3
SLOW_SECONDS = (0.35, 0.6)


class Estimator(Protocol):
    """What is used of a scikit-learn classifier."""

    def predict_proba(self, images: Images) -> NDArray[np.float64]:
        """Probability of each digit; shape [N, 10]."""
        ...


class DeliberateFaultError(Exception):
    """The fault that v2-errors is made to have."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer per image; ``digits`` and ``confidence`` are None together."""

    digits: list[int | None]
    confidence: list[float | None]

    @property
    def nulls(self) -> int:
        """How many images got no digit."""
        return self.digits.count(None)


@dataclass(frozen=True, slots=True)
class DigitsModel:
    """A trained version.

    Args:
        version: its name, e.g. ``v1``.
        estimator: the trained classifier.
        typical: mean of each pixel over the training set, put in place of missing pixels; shape [64].
        null_above: images brighter than this (0 to 1) get no digit. A release added a check against
            overexposed scans, with a limit taken from other cameras.
        fail_above: images brighter than this raise. A release replaced the brightness correction by one
            with a lookup table that ends too early.
        slow: some requests wait. A release looks something up in a store far away.
    """

    version: str
    estimator: Estimator
    typical: NDArray[np.float64]
    null_above: float | None = None
    fail_above: float | None = None
    slow: bool = False

    def complete(self, images: Images) -> Images:
        """The images with missing pixels (NaN) replaced by typical ones; shape [N, 64]."""
        return np.where(np.isnan(images), self.typical, images)

    def predict(self, images: Images, brightness: NDArray[np.float64]) -> Prediction:
        """Classify complete images.

        Args:
            images: pixels 0 to 16 without NaN, shape [N, 64].
            brightness: mean brightness of each, 0 to 1, shape [N].

        Raises:
            DeliberateFaultError: in ``v2-errors`` only, for images that are too bright for it.
        """
        if self.fail_above is not None and bool((brightness > self.fail_above).any()):
            raise DeliberateFaultError(f"no entry in the table for brightness {brightness.max():.3f}")
        probabilities = self.estimator.predict_proba(images)
        digits: list[int | None] = [int(digit) for digit in probabilities.argmax(axis=1)]
        confidence: list[float | None] = [round(float(p), 4) for p in probabilities.max(axis=1)]
        if self.null_above is not None:
            for i in np.flatnonzero(brightness > self.null_above):
                digits[i] = confidence[i] = None
        return Prediction(digits, confidence)

    def wait_seconds(self) -> float:
        """How long the next request has to wait; 0 but in ``v2-slow``."""
        if not self.slow or random.random() >= SLOW_SHARE:
            return 0.0
        return random.uniform(*SLOW_SECONDS)
