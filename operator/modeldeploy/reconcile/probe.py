"""Asking routers what they really serve."""

import asyncio
import ssl
from collections.abc import MutableMapping
from dataclasses import dataclass

import aiohttp

from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.reconcile.observe import ready_routers
from modeldeploy.render.traffic import placeholder
from modeldeploy.render.traffic.model import GENERATION_HOST
from modeldeploy.render.traffic.router_objects import NAME as ROUTER

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

    async def certificate(self, namespace: str, port: int, secret: str) -> str | None:
        """Why clients can't trust the listener's certificate yet, in a sentence with the mend; or None.

        Asked of every ready router, as a client would. Only what a missing or a broken Secret leads to is
        told: whether a certificate is anybody's, and not expired, is for clients to say.
        """
        pods = ready_routers(self._cache, namespace)
        shown = await asyncio.gather(*(_shown(pod["status"].get("podIP"), port) for pod in pods))
        if placeholder.der() in shown:
            return (
                f"spec.traffic.tls: the routers find no certificate in Secret {secret} in namespace "
                f"{namespace}; create it, of type kubernetes.io/tls"
            )
        if None in shown:
            return (
                f"spec.traffic.tls: routers can't use what is in Secret {secret}, or have not read it yet; "
                f"tls.crt and tls.key must be a certificate and its key in PEM. Routers that began with a "
                f"broken one look again after kubectl rollout restart deployment {ROUTER}"
            )
        return None

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


async def _shown(address: str | None, port: int) -> bytes | None:
    """The certificate that a router shows; None if it shows none."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(address, port, ssl=context)
    except (OSError, TimeoutError):
        return None
    try:
        found: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
    return found
