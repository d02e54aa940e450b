"""`drift` of a metric: how far its values may move from a reference."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from modeldeploy.api.v1alpha1 import rules
from modeldeploy.api.v1alpha1.base import Part, Rule
from modeldeploy.api.v1alpha1.text import KEY_PATTERN, LongName


class ExpectedChange(StrEnum):
    """How quickly the world that a model serves is expected to move, which sets the windows of drift."""

    SLOW = "Slow"
    FAST = "Fast"


class Statistic(StrEnum):
    """How the distance between two distributions is measured."""

    PSI = "PSI"
    JENSEN_SHANNON = "JensenShannon"
    KOLMOGOROV_SMIRNOV = "KolmogorovSmirnov"
    MEAN_SHIFT = "MeanShift"


class ReferenceSource(StrEnum):
    """What values are compared with."""

    TRAINING = "Training"
    STABLE = "Stable"
    PREVIOUS = "Previous"
    LAST_WEEK = "LastWeek"


class ReferenceFile(Part):
    """A file that a training job exported, kept in a ConfigMap of the object's namespace."""

    name: LongName = Field(description="Name of the ConfigMap.")
    key: Annotated[str, StringConstraints(pattern=KEY_PATTERN, max_length=253)] = Field(
        default="reference.json",
        description="Its key that holds the file, as `modeltelemetry.Reference` writes it.",
    )


class Reference(Part):
    """What values are compared with."""

    rules: ClassVar[tuple[Rule, ...]] = rules.REFERENCE

    source: ReferenceSource = Field(
        description="Training: the file in `configMap`. Stable: what stable gets, and gives, at the same "
        "time, while a rollout runs. Previous: what the stable version before this one had when it was "
        "replaced. LastWeek: the same time a week ago; outputs only of the same version.",
    )
    config_map: ReferenceFile | None = Field(
        default=None,
        description="Where the file of a training job is. It is read when spec names it; to change the "
        "reference, make another ConfigMap and name that.",
    )


class Drift(Part):
    """How far the distribution of a metric's values may move."""

    rules: ClassVar[tuple[Rule, ...]] = rules.DRIFT

    statistic: Statistic = Field(
        default=Statistic.PSI,
        description="PSI: population stability index. JensenShannon: distance to base 2, 0 to 1. "
        "KolmogorovSmirnov: largest difference of the cumulated shares, 0 to 1. MeanShift: difference of "
        "the means in standard deviations of the reference. Each less what chance alone gives at the count.",
    )
    warn: Annotated[float, Field(ge=0.0, le=100.0)] | None = Field(
        default=None, description="From here on it is told, and nothing else; e.g. 0.1 for PSI."
    )
    fail: Annotated[float, Field(ge=0.0, le=100.0)] = Field(
        description="From here on it is a breach, e.g. 0.25 for PSI. Both bounds must be reached beyond "
        "chance, too, however often one looks."
    )
    reference: Reference = Field(
        default_factory=lambda: Reference(source=ReferenceSource.PREVIOUS),
        description="What values are compared with. Defaults to source Previous.",
    )
