"""The API server as the tests of killed operators see it: requests, and one watch of a kind for all runs."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp

from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.config import api_client, configuration
from modeldeploy.adapters.kube.resources import RESOURCES, Object

Heard = Callable[[str, Object], None]
"""Takes an event's type (ADDED, MODIFIED, DELETED) and its object."""

OURS = "app.kubernetes.io/managed-by=modeldeploy"


class World:
    """A cluster whose pods and ModelDeployments are watched once, whoever wants to know.

    Attributes:
        kube: The API server, as its administrator.
        failure: Why nothing is heard of it any more.
    """

    def __init__(self, kube: Kube, session: aiohttp.ClientSession, server: str) -> None:
        self.kube = kube
        self.failure: str | None = None
        self._session = session
        self._server = server
        self._listeners: dict[tuple[str, str], list[Heard]] = {}

    def hear(self, kind: str, namespace: str, heard: Heard) -> None:
        """Tell of every event of a kind in a namespace from now on."""
        self._listeners.setdefault((kind, namespace), []).append(heard)

    def forget(self, namespace: str) -> None:
        for key in [key for key in self._listeners if key[1] == namespace]:
            del self._listeners[key]

    async def token(self, namespace: str, account: str, audience: str) -> str:
        """A service account's token, as the kubelet asks for one."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": 3600},
        }
        async with self._session.post(f"{self._server}{path}", json=body) as answer:
            answer.raise_for_status()
            return str((await answer.json())["status"]["token"])

    async def watch(self, kind: str, selector: str = "") -> None:
        """Watch a kind in all namespaces for as long as the task lives."""
        path = f"{self._server}{RESOURCES[kind].path()}"
        version = ""
        while True:
            asked = {"watch": "1", "labelSelector": selector, "resourceVersion": version}
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self._session.get(path, params=asked, timeout=_ENDLESS) as answer:
                    answer.raise_for_status()
                    async for line in answer.content:
                        event = json.loads(line)
                        version = event["object"].get("metadata", {}).get("resourceVersion", "")
                        self._tell(kind, event["type"], event["object"])
            await asyncio.sleep(0.1)

    def ended(self, watch: "asyncio.Task[None]") -> None:
        if not watch.cancelled():
            self.failure = f"a watch has ended: {watch.exception()!r}"

    def _tell(self, kind: str, event: str, obj: Object) -> None:
        namespace = obj.get("metadata", {}).get("namespace", "")
        for heard in self._listeners.get((kind, namespace), ()):
            heard(event, obj)


_ENDLESS = aiohttp.ClientTimeout(total=None, sock_connect=10)


@contextlib.asynccontextmanager
async def world(kubeconfig: Path) -> AsyncIterator[World]:
    """The cluster of a kubeconfig, watched."""
    found = await configuration(kubeconfig)
    context = ssl.create_default_context(cafile=found.ssl_ca_cert)
    context.load_cert_chain(found.cert_file, found.key_file)
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    kube = Kube(await api_client(kubeconfig), timeout=30)
    async with aiohttp.ClientSession(connector=connector, read_bufsize=2**22) as session:
        made = World(kube, session, found.host)
        watches = [
            asyncio.create_task(made.watch("Pod", OURS)),
            asyncio.create_task(made.watch("ModelDeployment")),
        ]
        for task in watches:
            task.add_done_callback(made.ended)
        try:
            yield made
        finally:
            await cancelled(*watches)
            await kube.close()


async def cancelled(*tasks: "asyncio.Task[Any]") -> None:
    """End tasks and wait for their end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def until(look: Callable[[], object], what: Callable[[], str] | str, seconds: float = 60.0) -> None:
    """Wait for something that tells nobody when it comes."""
    try:
        async with asyncio.timeout(seconds):
            while not look():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    except TimeoutError:
        missing = what if isinstance(what, str) else what()
        raise AssertionError(f"not within {seconds:g} s: {missing}") from None
