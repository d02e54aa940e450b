"""Events: what people see in `kubectl describe`. Losing one does no harm, so posting one never fails."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import KubeError
from modeldeploy.adapters.kube.resources import EVENT, Object

logger = logging.getLogger(__name__)

_LONGEST = 1024
"""Characters of an Event's message that the API server takes."""
_PENDING = 256
"""Events that may be on their way; further ones are dropped, since the API server doesn't keep up."""


class Recorder:
    """Posts Events in the background, those of one object in the order in which they were recorded.

    Args:
        kube: The API server.
        component: Who speaks, as shown under FROM.
        instance: Which process of it.
    """

    def __init__(self, kube: Kube, component: str, instance: str) -> None:
        self._kube = kube
        self._component = component
        self._instance = instance
        self._last: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def record(self, about: Mapping[str, Any], severity: str, reason: str, message: str) -> None:
        """Say something about an object.

        Args:
            about: The object, with apiVersion, kind, name, namespace and uid.
            severity: `Normal` or `Warning`.
            reason: One CamelCase word.
            message: A sentence; cut at 1,024 characters.
        """
        if len(self._tasks) >= _PENDING:
            logger.warning("Event %s about %s dropped: too many wait", reason, about["metadata"]["name"])
            return
        event = self._event(about, severity, reason, message)
        uid = about["metadata"].get("uid", "")
        task = asyncio.get_running_loop().create_task(self._post(event, self._last.get(uid)))
        self._last[uid] = task
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._done(uid, done))

    async def drain(self, grace: float = 5.0) -> None:
        """Wait until everything is posted, `grace` seconds at most."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()

    def _done(self, uid: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._last.get(uid) is task:
            del self._last[uid]

    async def _post(self, event: Object, previous: asyncio.Task[None] | None) -> None:
        if previous:
            await asyncio.wait([previous])
        try:
            await self._kube.create(event)
        except KubeError as error:
            logger.warning("Event %s not posted: %s", event["reason"], error)

    def _event(self, about: Mapping[str, Any], severity: str, reason: str, message: str) -> Object:
        meta = about["metadata"]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"generateName": f"{meta['name']}.", "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "namespace": meta["namespace"],
                "name": meta["name"],
                "uid": meta.get("uid", ""),
                "resourceVersion": meta.get("resourceVersion", ""),
            },
            "type": severity,
            "reason": reason,
            "message": message if len(message) <= _LONGEST else message[: _LONGEST - 1] + "…",
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
        }
