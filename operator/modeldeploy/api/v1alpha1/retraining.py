"""`spec.retraining`: what becomes of a model that no longer fits the world, once its rollout is over."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints

from modeldeploy.api.quantity import Duration
from modeldeploy.api.v1alpha1 import rules
from modeldeploy.api.v1alpha1.base import Part, Rule
from modeldeploy.api.v1alpha1.text import EPISODE_PATTERN, HOOK_PATTERN, LongName


class RetrainingMode(StrEnum):
    """Who acts when retraining is recommended."""

    MANUAL = "Manual"
    AUTOMATIC = "Automatic"


class JobTrigger(Part):
    """A Job that retrains."""

    template: dict[str, Any] = Field(
        description="A JobTemplateSpec: `metadata` (`name`, which begins the Jobs' names, `labels`, "
        "`annotations`) and `spec`, a JobSpec. Every container gets the variables MODELDEPLOY_NAME, "
        "_NAMESPACE, _EPISODE, _REVISION, _MODEL_VERSION, _METRICS (JSON), _DATA_FROM and _DATA_TO; "
        "`restartPolicy` is Never unless given. No access to the host: hostNetwork, hostPID, hostIPC, "
        "hostPath, hostPort and privileged containers are refused.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )


class ObjectTrigger(Part):
    """An object of another controller that retrains: an Argo Workflow, a Tekton or Kubeflow PipelineRun."""

    template: dict[str, Any] = Field(
        description="The object: `apiVersion`, `kind`, `metadata` (`name`, which begins the objects' names, "
        "`labels`, `annotations`) and whatever else it consists of. In its texts `$(MODELDEPLOY_EPISODE)` "
        "and the other variables of a Job's containers are replaced. Its kind must be in the chart value "
        "`retraining.objects`.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )


class WebhookTrigger(Part):
    """A service of yours that is told to retrain."""

    url: Annotated[str, StringConstraints(pattern=HOOK_PATTERN, max_length=512)] = Field(
        description="Where a CloudEvent (1.0, structured JSON) is posted, until the answer is 2xx. Its host "
        "must be on the operator's allow-list (chart value `retraining.allowedHosts`). The same episode "
        "may arrive more than once, always with the same event id and Idempotency-Key."
    )
    secret_name: LongName | None = Field(
        default=None,
        description="A Secret of this namespace. Its key `key` signs the body: header X-Hub-Signature-256, "
        "`sha256=` and the HMAC-SHA256 in hexadecimal. Its name must be in the chart value "
        "`retraining.secretNames`.",
    )


class Trigger(Part):
    """What is run, once per episode."""

    rules: ClassVar[tuple[Rule, ...]] = rules.TRIGGER

    job: JobTrigger | None = Field(
        default=None, description="Make a Job; needs the chart value `retraining.jobs`."
    )
    webhook: WebhookTrigger | None = Field(default=None, description="Tell a service.")
    object_: ObjectTrigger | None = Field(
        default=None,
        alias="object",
        description="Make an object of another controller; needs the chart value `retraining.objects`.",
    )


class Retraining(Part):
    """Episodes of recommended retraining: what begins one, and what ends it.

    An episode begins when `onBreach.afterRollout: FlagRetraining` flags, and ends when a newer revision is
    promoted, when a human acknowledges it, or when its metrics pass and none has breached for `cooldown`.
    """

    mode: RetrainingMode = Field(
        default=RetrainingMode.MANUAL,
        description="Manual: the condition RetrainingRecommended waits for people. Automatic: the trigger is "
        "run, once per episode. A trigger that can't be run is told by the condition RetrainingReady, and "
        "holds no rollout.",
    )
    cooldown: Duration = Field(
        default="24h",
        description="After an episode has ended none begins for this long; one whose breach is gone for this "
        "long ends.",
    )
    acknowledge: Annotated[str, StringConstraints(pattern=EPISODE_PATTERN, max_length=15)] | None = Field(
        default=None,
        description="End this episode (`status.retraining.episode.id`) without a new version; any other id "
        "means nothing, so one that is left here does no harm. The annotation `modeldeploy.dev/acknowledge` "
        "does the same.",
    )
    trigger: Trigger | None = Field(
        default=None, description="What Automatic runs; checked, but not run, in Manual."
    )

    rules: ClassVar[tuple[Rule, ...]] = rules.RETRAINING
