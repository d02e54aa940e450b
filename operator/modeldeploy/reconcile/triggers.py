"""What is wrong with a trigger of `spec.retraining`, known before an episode needs it.

Looked at when spec changes; what the API server refuses is asked for again after a pause, since rights,
policies and kinds come and go without a word to us. A fault holds no rollout.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from modeldeploy.adapters.clock import Clock
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import Forbidden, Invalid, KubeError, NotFound, NotLeader, Terminating
from modeldeploy.adapters.kube.resources import JOB, Resource
from modeldeploy.adapters.webhook import Webhook
from modeldeploy.api.v1alpha1.episode import Episode
from modeldeploy.api.v1alpha1.retraining import Trigger, WebhookTrigger
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.reconcile.admission import REFUSAL_PAUSE
from modeldeploy.render.meta import Owner
from modeldeploy.render.retraining import job, made_object
from modeldeploy.render.retraining_template import OBJECT_TEMPLATE, TEMPLATE, object_problems, problems

logger = logging.getLogger(__name__)

_PROBE = Episode(
    id="00000000-000000", started_at=datetime(1970, 1, 1, tzinfo=UTC), revision="none", model_version="none"
)
"""Stands for an episode when the API server is asked whether it would take an object."""


@dataclass(frozen=True, slots=True)
class _Checked:
    """What was found about a trigger, and when it is worth asking again; None for never."""

    generation: int
    trigger: Trigger
    fault: str | None
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        return self.until is None or now < self.until


class Triggers:
    """Knows what may be run.

    Args:
        kube: The API server.
        webhook: Knows which hosts may be called.
        secrets: Names of the Secrets that may be read.
        kinds: What may be made beside Jobs.
        clock: The time.
    """

    def __init__(
        self, kube: Kube, webhook: Webhook, secrets: Iterable[str], kinds: Iterable[Resource], clock: Clock
    ) -> None:
        self._kube = kube
        self._webhook = webhook
        self._clock = clock
        self._checked: dict[str, _Checked] = {}
        self.secrets = frozenset(secrets)
        self.kinds = {(one.api_version, one.kind): one for one in kinds}

    async def fault(
        self, of: Owner, spec: ModelDeploymentSpec | None, generation: int
    ) -> tuple[str | None, datetime | None]:
        """What is wrong with the trigger, in sentences that name field and mend; and when to ask again."""
        trigger = spec.retraining.trigger if spec and spec.retraining else None
        if trigger is None:
            self._checked.pop(of.uid, None)
            return None, None
        known, now = self._checked.get(of.uid), self._clock.now()
        if known is None or not known.holds(now):
            known = await self._check(of, trigger, generation)
        elif known.generation != generation:
            same = known.trigger == trigger
            known = (
                replace(known, generation=generation) if same else await self._check(of, trigger, generation)
            )
        self._checked[of.uid] = known
        return known.fault, known.until

    def forget(self, uid: str) -> None:
        """The object is gone."""
        self._checked.pop(uid, None)

    def forget_all(self) -> None:
        """Another replica leads."""
        self._checked.clear()

    def wanted(self, of: Owner, episode: Episode, trigger: Trigger) -> tuple[dict[str, Any], Resource] | None:
        """The object that a trigger makes, and what it belongs to; None if it makes none, or may not."""
        if trigger.job:
            return job(of, episode, trigger.job.template), JOB
        if trigger.object_:
            template = trigger.object_.template
            kind = self.kinds.get((str(template.get("apiVersion")), str(template.get("kind"))))
            return (made_object(of, episode, template), kind) if kind else None
        return None

    async def _check(self, of: Owner, trigger: Trigger, generation: int) -> _Checked:
        found = self._unasked(of, trigger)
        if found:
            return _Checked(generation, trigger, "; ".join(found))
        made = self.wanted(of, _PROBE, trigger)
        if made is None:
            return _Checked(generation, trigger, None)
        fault, settled = await self._answer(of, made[0], made[1], trigger)
        return _Checked(generation, trigger, fault, None if settled else self._clock.now() + REFUSAL_PAUSE)

    def _unasked(self, of: Owner, trigger: Trigger) -> list[str]:
        """What can be told without the API server."""
        if trigger.webhook:
            return self._of_webhook(trigger.webhook)
        if trigger.job:
            return [*problems(trigger.job.template)]
        if trigger.object_:
            return [*object_problems(trigger.object_.template, of.namespace, self.kinds)]
        return ["spec.retraining.trigger: is empty; add job, webhook or object"]

    def _of_webhook(self, webhook: WebhookTrigger) -> list[str]:
        complaint = self._webhook.complaint(webhook.url)
        found = [complaint] if complaint else []
        if webhook.secret_name and webhook.secret_name not in self.secrets:
            found.append(unreadable(webhook.secret_name))
        return found

    async def _answer(
        self, of: Owner, obj: Mapping[str, Any], resource: Resource, trigger: Trigger
    ) -> tuple[str | None, bool]:
        """What the API server says of an object, and whether that is its last word."""
        try:
            await self._kube.create(dict(obj), dry_run=True, resource=resource)
        except (Terminating, NotLeader):
            raise
        except Invalid as error:
            told = "; ".join(str(cause) for cause in error.causes) or error.message
            field = TEMPLATE if trigger.job else OBJECT_TEMPLATE
            return f"{field}: the API server refuses it: {told}", False
        except Forbidden as error:
            # A quota that is used up today says nothing against the spec.
            return None if "quota" in error.message else forbidden(error, trigger), False
        except NotFound:
            return missing(resource), False
        except KubeError as error:  # whatever it is, it is no fault of the template
            logger.warning("%s/%s: its trigger can't be checked: %s", of.namespace, of.name, error)
            return None, False
        return None, True


def unreadable(name: str) -> str:
    """A Secret that is out of reach, with the mend."""
    return (
        f"spec.retraining.trigger.webhook.secretName: the operator may not read Secret {name}; "
        "add it to the chart value retraining.secretNames"
    )


def forbidden(error: Forbidden, trigger: Trigger) -> str:
    """What may not be made, with the mend."""
    field, mend = "job", "set the chart value retraining.jobs to true"
    if trigger.object_:
        field, mend = "object", "see that the chart value retraining.objects names its resource"
    return (
        f"spec.retraining.trigger.{field}: the operator may not make it ({error.message}); "
        f"if that is for want of a right, {mend}"
    )


def missing(resource: Resource) -> str:
    """A kind that isn't there, with the mend."""
    return (
        f"{OBJECT_TEMPLATE}: the cluster keeps no {resource.plural} of {resource.api_version} in namespaces; "
        "install what defines them, or mend the chart value retraining.objects"
    )
