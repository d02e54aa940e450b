"""`spec`: what the user asks for. Its parts stand in the modules of their names.

No field carries a default in the stored object: defaults live here, so that an upgrade of the operator never
changes what a user wrote, and with it the revision. The CRD states them in the descriptions.
"""

from typing import ClassVar

from pydantic import Field

from modeldeploy.api.v1alpha1 import rules
from modeldeploy.api.v1alpha1.adapt import Adapt
from modeldeploy.api.v1alpha1.base import Part, Rule
from modeldeploy.api.v1alpha1.monitoring import Monitoring, OnBreach
from modeldeploy.api.v1alpha1.retraining import Retraining
from modeldeploy.api.v1alpha1.rollout import Rollout
from modeldeploy.api.v1alpha1.server import Model, Server
from modeldeploy.api.v1alpha1.text import LongName
from modeldeploy.api.v1alpha1.traffic import Traffic


class Adopt(Part):
    """Plain manifests to take over without downtime: a Deployment, and the Service `<name>` before it."""

    deployment: LongName = Field(
        description="The Deployment that answers behind the Service `<name>` today. It becomes the first "
        "stable revision, `incumbent`; once its successor is promoted and `keepPrevious` is over it is "
        "scaled to 0 and left to you."
    )


class ModelDeploymentSpec(Part):
    """Which model version to serve, how to bring a new one in, what to watch, and what to do on a breach."""

    model: Model = Field(description="The model to serve.")
    server: Server = Field(description="The server that answers for the model.")
    traffic: Traffic = Field(default_factory=Traffic, description="How requests reach the pods.")
    rollout: Rollout = Field(default_factory=Rollout, description="How a new version is brought in.")
    monitoring: Monitoring = Field(default_factory=Monitoring, description="What is watched.")
    on_breach: OnBreach = Field(default_factory=OnBreach, description="What a breach leads to.")
    retraining: Retraining | None = Field(
        default=None,
        description="What follows when retraining is recommended. Without it the condition "
        "RetrainingRecommended stands while inputs or outputs breach, and nothing else happens.",
    )
    adapt: Adapt = Field(
        default_factory=Adapt, description="What follows when capacity lacks after a rollout."
    )
    adopt: Adopt | None = Field(default=None, description="Plain manifests to take over without downtime.")
    suspend: bool = Field(
        default=False,
        description="The operator changes nothing of this object any more, for better or worse: traffic and "
        "pods stay as they are.",
    )

    rules: ClassVar[tuple[Rule, ...]] = rules.SPEC
