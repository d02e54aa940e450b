"""Which namespace a router belongs to, by the token it shows."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from modeldeploy.render.traffic.router_objects import NAME as SERVICE_ACCOUNT
from modeldeploy.render.traffic.router_objects import TOKEN_AUDIENCE as AUDIENCE

Review = Callable[[dict[str, Any]], Awaitable[Mapping[str, Any]]]
"""Posts a TokenReview (`authentication.k8s.io/v1`) and returns the API server's answer to it."""

_REMEMBERED_SECONDS = 10.0
_REMEMBERED = 1024
_AT_ONCE = 4


def token_review(token: str) -> dict[str, Any]:
    """The TokenReview to post for a token."""
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [AUDIENCE]},
    }


def router_namespace(review: Mapping[str, Any]) -> str | None:
    """Namespace of the router whose token was reviewed; None if it isn't a router's, made for this server."""
    status = review.get("status") or {}
    # An API server that doesn't know audiences answers without them, and so would accept any token.
    if not status.get("authenticated") or AUDIENCE not in (status.get("audiences") or ()):
        return None
    match str((status.get("user") or {}).get("username", "")).split(":"):
        case ["system", "serviceaccount", namespace, name] if namespace and name == SERVICE_ACCOUNT:
            return namespace
    return None


class TokenAuthenticator:
    """Asks the API server about tokens, and remembers its answers for some seconds.

    Routers that reconnect again and again, or a client that floods the port, must not flood the API server:
    few tokens are asked about at a time. Errors of `review` pass through; nothing is remembered of
    them.
    """

    def __init__(self, review: Review) -> None:
        self._review = review
        self._known: dict[str, tuple[float, str | None]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, token: str) -> str | None:
        """Namespace of the router with this token, or None."""
        mark = hashlib.sha256(token.encode()).hexdigest()
        async with self._slots:
            expires, namespace = self._known.get(mark, (0.0, None))
            if time.monotonic() < expires:
                return namespace
            namespace = router_namespace(await self._review(token_review(token)))
            while len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known.pop(mark, None)
            self._known[mark] = (time.monotonic() + _REMEMBERED_SECONDS, namespace)
            return namespace
