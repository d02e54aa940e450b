"""Asking routers what they really serve."""

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass

import aiohttp

from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.reconcile.observe import ready_routers
from modeldeploy.render.traffic.model import GENERATION_HOST

ANSWER_SECONDS = 1.0


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
