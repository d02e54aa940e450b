"""Follows the ModelDeployment in a thread of its own and remembers when what was seen."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldeploy.cli.connection import connect
from modeldeploy.cli.look import Look, read
from modeldeploy.cli.source import Change, Changed, Deleted, Lost, Told, follow


@dataclass(frozen=True, slots=True)
class Seen:
    """The object as it was first seen at a time (seconds since 1970)."""

    at: float
    look: Look


class Observer:
    """What has been seen of an object so far; its attributes can be read from any thread.

    Args:
        kubeconfig: How to reach the cluster.
        namespace: The object's.
        name: The object's.

    Attributes:
        events: Events about it, the latest last.
        notice: What is wrong with the connection, or empty.
    """

    def __init__(self, kubeconfig: Path, namespace: str, name: str) -> None:
        self.events: list[Mapping[str, Any]] = []
        self.notice = ""
        self._kubeconfig, self._namespace, self._name = kubeconfig, namespace, name
        self._seen: deque[Seen] = deque(maxlen=10_000)
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)
        self._thread.start()

    @property
    def look(self) -> Look | None:
        """The object as it was last seen."""
        return self._seen[-1].look if self._seen else None

    def seen(self) -> list[Seen]:
        """Everything so far, the earliest first."""
        return list(self._seen)

    def since(self, look: Look | None) -> list[Seen]:
        """What was seen after a look; everything for None."""
        seen = self.seen()
        known = next((index for index in reversed(range(len(seen))) if seen[index].look is look), -1)
        return seen[known + 1 :]

    def version_of(self, revision: str) -> str:
        """The model version of a revision that was seen, else the revision."""
        for seen in reversed(self.seen()):
            for share in seen.look.shares:
                if share.revision == revision:
                    return share.version
        return revision

    def stop(self) -> None:
        """See nothing more."""
        if self._task is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(5)

    def _run(self) -> None:
        self._task = self._loop.create_task(self._follow())
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        except Exception as error:
            self.notice = f"nothing is seen any more: {error}"
            raise

    async def _follow(self) -> None:
        connection = await connect(kubeconfig=self._kubeconfig, namespace=self._namespace)
        try:
            async with aclosing(follow(connection.api, self._namespace, self._name)) as changes:
                async for change in changes:
                    self._take(change)
        finally:
            await connection.api.close()

    def _take(self, change: Change) -> None:
        self.notice = ""
        match change:
            case Changed(obj):
                self._seen.append(Seen(time.time(), read(obj)))
            case Told(event):
                self.events.append(event)
            case Deleted():
                self.notice = "the object was deleted"
            case Lost(reason):
                self.notice = f"the API server doesn't answer: {reason}"
