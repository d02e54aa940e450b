"""Runs the triggers of episodes.

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
from datetime import datetime
from typing import Any

from modeldeploy.adapters.clock import Clock
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import (
    AlreadyExists,
    Forbidden,
    KubeError,
    NotFound,
    NotLeader,
    Terminating,
)
from modeldeploy.adapters.kube.resources import SECRET, Resource
from modeldeploy.adapters.webhook import Answer, Webhook
from modeldeploy.api.v1alpha1.episode import Episode
from modeldeploy.api.v1alpha1.retraining import Trigger, WebhookTrigger
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core.decision import Run
from modeldeploy.core.retraining import made_by
from modeldeploy.core.snapshot import Attempt
from modeldeploy.reconcile.triggers import Triggers, forbidden, missing, unreadable
from modeldeploy.render.meta import Owner, is_owned
from modeldeploy.render.retraining import cloud_event

logger = logging.getLogger(__name__)

KEY = "key"
"""The key of a Secret that signs."""


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
        kinds: What may be made beside Jobs.
        clock: The time.
        wake: Called when there is something to learn.
    """

    def __init__(
        self,
        kube: Kube,
        webhook: Webhook,
        secrets: Iterable[str],
        kinds: Iterable[Resource],
        clock: Clock,
        wake: Callable[[Owner], None],
    ) -> None:
        self._kube = kube
        self._webhook = webhook
        self._triggers = Triggers(kube, webhook, secrets, kinds, clock)
        self._clock = clock
        self._wake = wake
        self._attempted: dict[str, _Attempted] = {}

    async def fault(
        self, of: Owner, spec: ModelDeploymentSpec | None, generation: int
    ) -> tuple[str | None, datetime | None]:
        """What is wrong with a trigger, in sentences that name field and mend; and when to ask again."""
        return await self._triggers.fault(of, spec, generation)

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
        self._triggers.forget(uid)
        known = self._attempted.pop(uid, None)
        if known:
            known.task.cancel()

    def forget_all(self) -> None:
        """Stop running anything: another replica leads."""
        for uid in [*self._attempted]:
            self.forget(uid)
        self._triggers.forget_all()

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
            what=made_by(trigger),
            done=answer.taken,
            message=answer.message,
            at=self._clock.now(),
        )
        self._wake(of)

    async def _act(self, of: Owner, trigger: Trigger, episode: Episode) -> Answer:
        if trigger.webhook:
            return await self._call(of, trigger.webhook, episode)
        made = self._triggers.wanted(of, episode, trigger)
        if made is None:
            return Answer(taken=False, message="spec.retraining.trigger may not be run, see RetrainingReady")
        return await self._make(made[0], made[1], trigger)

    async def _make(self, wanted: Mapping[str, Any], resource: Resource, trigger: Trigger) -> Answer:
        meta = wanted["metadata"]
        namespace, name, kind = meta["namespace"], meta["name"], resource.kind
        try:
            await self._kube.create(dict(wanted), resource=resource)
        except AlreadyExists:
            found = await self._kube.get(resource, namespace, name)
            owner = meta["ownerReferences"][0]
            if not is_owned(found["metadata"], Owner(namespace, owner["name"], owner["uid"])):
                return Answer(
                    taken=False,
                    message=f"{kind} {name} is in the way: it exists and is not modeldeploy's; delete it",
                )
        except Terminating:
            raise
        except Forbidden as error:
            return Answer(taken=False, message=forbidden(error, trigger))
        except NotFound:
            return Answer(taken=False, message=missing(resource))
        return Answer(taken=True, message=f"{kind} {name} is made")

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
        if name not in self._triggers.secrets:
            return unreadable(name)
        try:
            data = (await self._kube.get(SECRET, namespace, name)).get("data") or {}
            key = base64.b64decode(data.get(KEY) or "", validate=True)
        except NotFound:
            return f"there is no Secret {name}; create it with a key `{KEY}`"
        except Terminating:
            raise
        except Forbidden:
            return unreadable(name)
        except binascii.Error:
            key = b""
        return key or f"Secret {name} has no key `{KEY}`; add it"


def _same(one: Run, other: Run) -> bool:
    return (one.episode.id, one.attempt) == (other.episode.id, other.attempt)
