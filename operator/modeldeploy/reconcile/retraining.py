"""Runs the triggers of episodes, and says beforehand what is wrong with them.

A trigger is run in the background: a service that is slow to answer delays nobody's traffic. What came of it
is kept until a look has written it down. A process that dies before that leads to one more run, of the same
Job or under the same key.
"""

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from modeldeploy.adapters.clock import Clock
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import (
    AlreadyExists,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    NotLeader,
    Terminating,
)
from modeldeploy.adapters.kube.resources import JOB, SECRET
from modeldeploy.adapters.webhook import Answer, Webhook
from modeldeploy.api.v1alpha1.episode import Episode
from modeldeploy.api.v1alpha1.retraining import Trigger, WebhookTrigger
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core.decision import Run
from modeldeploy.core.naming import digest
from modeldeploy.core.snapshot import Attempt
from modeldeploy.reconcile.admission import REFUSAL_PAUSE
from modeldeploy.render.meta import Owner, is_owned
from modeldeploy.render.retraining import TEMPLATE, cloud_event, job, problems

logger = logging.getLogger(__name__)

KEY = "key"
"""The key of a Secret that signs."""
_PROBE = Episode(
    id="00000000-000000", started_at=datetime(1970, 1, 1, tzinfo=UTC), revision="none", model_version="none"
)
"""Stands for an episode when the API server is asked whether it would take a Job."""


@dataclass(frozen=True, slots=True)
class _Checked:
    """What the API server said of a template, and when it is worth asking again; None for never."""

    template: str
    message: str | None
    until: datetime | None


@dataclass(slots=True)
class _Attempted:
    """One attempt at a trigger: under way, or with what came of it."""

    run: Run
    task: asyncio.Task[None]
    attempt: Attempt | None = None


class Retrainer:
    """Runs triggers.

    Args:
        kube: The API server.
        webhook: Calls services.
        secrets: Names of the Secrets that may be read.
        clock: The time.
        wake: Called when there is something to learn.
    """

    def __init__(
        self,
        kube: Kube,
        webhook: Webhook,
        secrets: Iterable[str],
        clock: Clock,
        wake: Callable[[Owner], None],
    ) -> None:
        self._kube = kube
        self._webhook = webhook
        self._secrets = frozenset(secrets)
        self._clock = clock
        self._wake = wake
        self._checked: dict[str, _Checked] = {}
        self._attempted: dict[str, _Attempted] = {}

    async def complaint(
        self, of: Owner, spec: ModelDeploymentSpec | None
    ) -> tuple[str | None, datetime | None]:
        """What is wrong with a trigger, in sentences that name field and mend; and when to ask again."""
        trigger = spec.retraining.trigger if spec and spec.retraining else None
        if trigger is None:
            return None, None
        if trigger.webhook:
            return self._of_webhook(trigger.webhook), None
        if trigger.job is None:
            return None, None
        found = problems(trigger.job.template)
        if found:
            return "; ".join(found), None
        return await self._asked(of, trigger.job.template)

    def start(self, of: Owner, spec: ModelDeploymentSpec, run: Run) -> None:
        """Run a trigger in the background, unless this very attempt was begun before."""
        trigger = spec.retraining.trigger if spec.retraining else None
        known = self._attempted.get(of.uid)
        if trigger is None or (known and _same(known.run, run)):
            return
        task = asyncio.get_running_loop().create_task(self._try(of, trigger, run))
        self._attempted[of.uid] = _Attempted(run, task)

    def attempt(self, of: Owner) -> Attempt | None:
        """What came of the last attempt; None while it is under way, or if there was none."""
        known = self._attempted.get(of.uid)
        return known.attempt if known else None

    def forget(self, uid: str) -> None:
        """The object is gone."""
        self._checked.pop(uid, None)
        known = self._attempted.pop(uid, None)
        if known:
            known.task.cancel()

    def forget_all(self) -> None:
        """Stop running anything: another replica leads."""
        for uid in [*self._attempted, *self._checked]:
            self.forget(uid)

    def _of_webhook(self, webhook: WebhookTrigger) -> str | None:
        complaints = [self._webhook.complaint(webhook.url)]
        if webhook.secret_name and webhook.secret_name not in self._secrets:
            complaints.append(_unreadable(webhook.secret_name))
        return "; ".join(filter(None, complaints)) or None

    async def _asked(self, of: Owner, template: Mapping[str, Any]) -> tuple[str | None, datetime | None]:
        """What the API server says of a Job: asked once of each template, again of a refused one."""
        now, name = self._clock.now(), digest(template, 16)
        known = self._checked.get(of.uid)
        if known is None or known.template != name or (known.until and known.until <= now):
            self._checked[of.uid] = known = await self._answer(of, template, name, now + REFUSAL_PAUSE)
        return known.message, known.until

    async def _answer(self, of: Owner, template: Mapping[str, Any], name: str, again: datetime) -> _Checked:
        try:
            await self._kube.create(job(of, _PROBE, template), dry_run=True)
        except (Terminating, NotLeader):
            raise
        except Invalid as error:
            told = "; ".join(str(cause) for cause in error.causes) or error.message
            return _Checked(name, f"{TEMPLATE}: the API server refuses it: {told}", again)
        except Forbidden as error:
            # A quota that is used up today says nothing against the spec.
            message = None if "quota" in error.message else _forbidden(error)
            return _Checked(name, message, again)
        except KubeError as error:  # whatever it is, it is no fault of the template
            logger.warning("%s/%s: its Job can't be checked: %s", of.namespace, of.name, error)
            return _Checked(name, None, again)
        return _Checked(name, None, None)

    async def _try(self, of: Owner, trigger: Trigger, run: Run) -> None:
        try:
            answer = await self._act(of, trigger, run.episode)
        except NotLeader:
            self._attempted.pop(of.uid, None)
            return
        except KubeError as error:
            answer = Answer(taken=False, message=error.message)
        except Exception:
            logger.exception("%s/%s: its trigger can't be run", of.namespace, of.name)
            answer = Answer(taken=False, message="it can't be run; the operator's log says why")
        known = self._attempted.get(of.uid)
        if known is None or known.run is not run:
            return
        known.attempt = Attempt(
            episode=run.episode.id,
            number=run.attempt,
            what="Job" if trigger.job else "Webhook",
            done=answer.taken,
            message=answer.message,
            at=self._clock.now(),
        )
        self._wake(of)

    async def _act(self, of: Owner, trigger: Trigger, episode: Episode) -> Answer:
        if trigger.job:
            return await self._make(job(of, episode, trigger.job.template))
        if trigger.webhook:
            return await self._call(of, trigger.webhook, episode)
        return Answer(taken=False, message="spec.retraining.trigger is empty; add job or webhook")

    async def _make(self, wanted: Mapping[str, Any]) -> Answer:
        meta = wanted["metadata"]
        namespace, name = meta["namespace"], meta["name"]
        try:
            await self._kube.create(dict(wanted))
        except AlreadyExists:
            found = await self._kube.get(JOB, namespace, name)
            owner = meta["ownerReferences"][0]
            if not is_owned(found["metadata"], Owner(namespace, owner["name"], owner["uid"])):
                return Answer(
                    taken=False,
                    message=f"Job {name} is in the way: it exists and is not modeldeploy's; delete it",
                )
        except Terminating:
            raise
        except Forbidden as error:
            return Answer(taken=False, message=_forbidden(error))
        return Answer(taken=True, message=f"Job {name} is made")

    async def _call(self, of: Owner, webhook: WebhookTrigger, episode: Episode) -> Answer:
        secret = None
        if webhook.secret_name:
            found = await self._secret(of.namespace, webhook.secret_name)
            if isinstance(found, str):
                return Answer(taken=False, message=found)
            secret = found
        if not self._kube.may_write():
            raise NotLeader("the webhook is not called: this replica doesn't lead")
        return await self._webhook.post(webhook.url, cloud_event(of, episode), secret)

    async def _secret(self, namespace: str, name: str) -> bytes | str:
        """The key of a Secret, or what is wrong with it."""
        if name not in self._secrets:
            return _unreadable(name)
        try:
            data = (await self._kube.get(SECRET, namespace, name)).get("data") or {}
            key = base64.b64decode(data.get(KEY) or "", validate=True)
        except NotFound:
            return f"there is no Secret {name}; create it with a key `{KEY}`"
        except Terminating:
            raise
        except Forbidden:
            return _unreadable(name)
        except binascii.Error:
            key = b""
        return key or f"Secret {name} has no key `{KEY}`; add it"


def _same(one: Run, other: Run) -> bool:
    return (one.episode.id, one.attempt) == (other.episode.id, other.attempt)


def _unreadable(name: str) -> str:
    return (
        f"spec.retraining.trigger.webhook.secretName: the operator may not read Secret {name}; "
        "add it to the chart value retraining.secretNames"
    )


def _forbidden(error: Forbidden) -> str:
    return (
        f"spec.retraining.trigger.job: the operator may not make it ({error.message}); "
        "if that is for want of a right, set the chart value retraining.jobs to true"
    )
