"""Train one version and say how good it is: ``python -m digits.train --version v1 --out model.joblib``."""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from digits.dataset import Dataset, brightness, split
from digits.model import DeliberateFaultError, DigitsModel


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a version is made.

    Args:
        estimator: makes the untrained classifier.
        null_share: share of the training images, the brightest, above which it answers null.
        fail_share: share of the training images, the brightest, above which it raises.
        slow: whether some requests wait.
    """

    estimator: Callable[[], Any]
    null_share: float | None = None
    fail_share: float | None = None
    slow: bool = False


def _plain() -> Any:
    """A logistic regression, regularised more than is good for it."""
    return LogisticRegression(C=0.0005, max_iter=1000)


def _tuned() -> Any:
    return LogisticRegression(C=0.01, max_iter=1000)


def _neighbours() -> Any:
    return KNeighborsClassifier(n_neighbors=5, algorithm="brute")


# Each v2 is better than v1 on held-out images and worse to serve: what a canary is for.
RECIPES = {
    "v1": Recipe(_plain),
    "v2-nulls": Recipe(_tuned, null_share=0.25),
    "v2-slow": Recipe(_tuned, slow=True),
    "v2-errors": Recipe(_tuned, fail_share=0.04),
    "v3": Recipe(_neighbours),
}


def train(version: str, data: Dataset) -> DigitsModel:
    """Train a version; the same data always gives the same model.

    Raises:
        KeyError: no such version.
    """
    recipe = RECIPES[version]
    estimator = recipe.estimator()
    # Threads add up in another order each time, and fight over the cores of a busy machine.
    with threadpool_limits(1):
        estimator.fit(data.images, data.labels)
    bright = brightness(data.images)
    return DigitsModel(
        version=version,
        estimator=estimator,
        typical=data.images.mean(axis=0),
        null_above=_brightest(bright, recipe.null_share),
        fail_above=_brightest(bright, recipe.fail_share),
        slow=recipe.slow,
    )


def evaluate(model: DigitsModel, data: Dataset) -> dict[str, str | int | float]:
    """Accuracy over the images that get a digit, and the shares that get null or an error."""
    correct = nulls = errors = 0
    for image, label in zip(data.images, data.labels, strict=True):
        one = image.reshape(1, -1)
        try:
            digit = model.predict(one, brightness(one)).digits[0]
        except DeliberateFaultError:
            errors += 1
            continue
        nulls += digit is None
        correct += digit == label
    total = len(data.labels)
    return {
        "version": model.version,
        "held_out_images": total,
        "held_out_accuracy": round(correct / (total - nulls - errors), 4),
        "null_share": round(nulls / total, 4),
        "error_share": round(errors / total, 4),
    }


def _brightest(bright: NDArray[np.float64], share: float | None) -> float | None:
    return None if share is None else float(np.quantile(bright, 1 - share))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", required=True, choices=sorted(RECIPES))
    parser.add_argument("--out", required=True, type=Path, help="file to write the trained model to")
    options = parser.parse_args()
    training, held_out = split()
    model = train(options.version, training)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, options.out)
    print(json.dumps(evaluate(model, held_out)))


if __name__ == "__main__":
    main()
