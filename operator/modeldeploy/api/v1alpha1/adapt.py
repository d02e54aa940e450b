"""`spec.adapt`: more pods, where that is what lacks."""

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from modeldeploy.api.quantity import Duration
from modeldeploy.api.v1alpha1 import rules
from modeldeploy.api.v1alpha1.base import Part, Rule


class AdaptMode(StrEnum):
    """Who acts when capacity lacks."""

    SUGGEST = "Suggest"
    AUTOMATIC = "Automatic"


class Adapt(Part):
    """What follows when latency or load breaches after a rollout, with inputs and outputs as before."""

    mode: AdaptMode = Field(
        default=AdaptMode.SUGGEST,
        description="Suggest: the condition CapacityShort says what to change. Automatic: the bounds of "
        "`spec.server.replicas` are raised by half, up to `maxReplicas`, instead of a flag or a rollback; "
        "until these bounds are edited, `status.adaptation` holds what is raised.",
    )
    max_replicas: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Pods of a revision at most, whatever is suggested or raised. Required by Automatic.",
    )
    cooldown: Duration = Field(
        default="10m", description="Time between two raises: pods must start and metrics must tell."
    )

    rules: ClassVar[tuple[Rule, ...]] = rules.ADAPT
