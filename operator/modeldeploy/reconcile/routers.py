"""The routers of a namespace: their objects, and what they really serve."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp

from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import Terminating
from modeldeploy.core.naming import COMPONENT, MANAGED_BY
from modeldeploy.core.plan import Key
from modeldeploy.reconcile.apply import Applier
from modeldeploy.reconcile.observe import owner, ready_routers
from modeldeploy.render.traffic.model import GENERATION_HOST
from modeldeploy.render.traffic.router_objects import NAME, RouterSettings, router

logger = logging.getLogger(__name__)

Object = Mapping[str, Any]

ANSWER_SECONDS = 1.0


class RouterReconciler:
    """Keeps each namespace's router, which all its ModelDeployments own together."""

    def __init__(self, kube: Kube, cache: Cache, settings: RouterSettings) -> None:
        self._cache = cache
        self._applier = Applier(kube, cache)
        self._settings = settings
        self._settled: dict[str, dict[Key, str]] = {}

    async def reconcile(self, namespace: str) -> datetime | None:
        """One look. With the namespace's last ModelDeployment the garbage collector takes the router."""
        owners = [
            owner(obj)
            for obj in self._cache.objects("ModelDeployment", namespace)
            if not obj["metadata"].get("deletionTimestamp")
        ]
        if not owners:
            self._settled.pop(namespace, None)
            return None
        wanted = router(namespace, owners, self._settings)
        with contextlib.suppress(Terminating):
            await self._applier.carry_out(
                wanted,
                self._old_configurations(namespace, wanted),
                namespace=namespace,
                is_ours=_is_ours,
                settled=self._settled.setdefault(namespace, {}),
            )
        return None

    def _old_configurations(self, namespace: str, wanted: list[dict[str, Any]]) -> list[Object]:
        """Configurations that no pod mounts any more: the Deployment has rolled to the present one."""
        deployment = self._cache.get("Deployment", namespace, NAME)
        if deployment is None or not _has_rolled(deployment):
            return []
        names = {item["metadata"]["name"] for item in wanted}
        return [
            found
            for found in self._cache.objects("ConfigMap", namespace)
            if _is_ours(found) and found["metadata"]["name"] not in names
        ]


@dataclass(frozen=True, slots=True)
class Learnt:
    """What routers told.

    Attributes:
        changed: Something that wasn't known before.
        behind: A router doesn't serve the wanted generation yet.
    """

    changed: bool
    behind: bool


class RouterProbe:
    """Asks routers, at the listener that clients use, which traffic generation they serve.

    Args:
        cache: Knows the pods.
        session: An HTTP client.
    """

    def __init__(self, cache: Cache, session: aiohttp.ClientSession) -> None:
        self._cache = cache
        self._session = session

    async def ask(
        self, namespace: str, port: int, generation: int, serving: MutableMapping[str, int]
    ) -> Learnt:
        """Ask every ready router that isn't known to serve the generation.

        Args:
            namespace: The routers' namespace.
            port: The object's listener.
            generation: What they should serve.
            serving: By pod UID: what they were seen to serve; brought up to date.
        """
        pods = {
            pod["metadata"]["uid"]: pod["status"].get("podIP")
            for pod in ready_routers(self._cache, namespace)
        }
        before = dict(serving)
        for gone in serving.keys() - pods.keys():
            del serving[gone]
        late = [uid for uid in pods if serving.get(uid, -1) < generation]
        for uid, answer in zip(
            late, await asyncio.gather(*(self._one(pods[uid], port) for uid in late)), strict=True
        ):
            if answer is not None:
                serving[uid] = answer
        return Learnt(
            changed=before != serving, behind=any(serving.get(uid, -1) < generation for uid in pods)
        )

    async def _one(self, address: str | None, port: int) -> int | None:
        if not address:
            return None
        host = f"[{address}]" if ":" in address else address
        try:
            async with self._session.get(
                f"http://{host}:{port}/",
                headers={"Host": GENERATION_HOST},
                timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
            ) as response:
                return int(await response.text()) if response.ok else None
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None


def _is_ours(obj: Object) -> bool:
    labels = obj["metadata"].get("labels") or {}
    return bool(labels.get(MANAGED_BY) == "modeldeploy" and labels.get(COMPONENT) == "router")


def _has_rolled(deployment: Object) -> bool:
    status = deployment.get("status") or {}
    wanted = deployment["spec"].get("replicas", 1)
    seen = (status.get("observedGeneration"), status.get("updatedReplicas"), status.get("replicas"))
    return bool(seen == (deployment["metadata"].get("generation"), wanted, wanted))
