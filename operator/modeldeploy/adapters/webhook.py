"""Tells a service of the user's that retraining is recommended: a CloudEvent, signed, to allowed hosts only.

Never raises, follows no redirect (the place that it leads to was not allowed) and repeats nothing of what the
service answers but the status: an answer from inside the network is nobody else's to read.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

_PORTS = {"http": 80, "https": 443}
_GOOD = range(200, 300)
_ELSEWHERE = range(300, 400)
FIELD = "spec.retraining.trigger.webhook.url"


class Answer(NamedTuple):
    """What came of a call.

    Attributes:
        taken: The service answered 2xx.
        message: In a sentence.
    """

    taken: bool
    message: str


class Webhook:
    """Posts CloudEvents.

    Args:
        session: An HTTP client that keeps no cookies.
        allowed: Hosts that may be called, as `host` (at the scheme's own port) or `host:port`.
        timeout: Seconds for a whole call.
    """

    def __init__(
        self, session: aiohttp.ClientSession, allowed: Iterable[str] = (), *, timeout: float = 5.0
    ) -> None:
        self._session = session
        self._allowed = frozenset(host.lower() for host in allowed)
        self._timeout = timeout

    def complaint(self, url: str) -> str | None:
        """Why a URL may not be called, in a sentence that names field and mend; None if it may."""
        try:
            parts = URL(url)  # as the client reads it: two readings could differ about the host
            host, port = parts.raw_host, parts.port
        except ValueError as error:
            return (
                f"{FIELD}: {url!r} is not a URL ({error}); write e.g. https://pipelines.example.org/retrain"
            )
        if parts.scheme not in _PORTS or not host:
            return f"{FIELD}: {url!r} is not a URL; write e.g. https://pipelines.example.org/retrain"
        if parts.user is not None or parts.password is not None:
            return f"{FIELD}: holds credentials, which everybody could read here; use secretName"
        shown = f"[{host}]" if ":" in host else host
        names = {f"{shown}:{port}", *([shown] if port == _PORTS[parts.scheme] else [])}
        if names & self._allowed:
            return None
        wanted = min(names, key=len)
        return (
            f"{FIELD}: {wanted} is not on the operator's allow-list; "
            "add it to the chart value retraining.allowedHosts"
        )

    async def post(self, url: str, event: Mapping[str, Any], secret: bytes | None) -> Answer:
        """Post an event once.

        Args:
            url: Where; one that `complaint` finds fault with is not called.
            event: A CloudEvent, with its `id`.
            secret: Signs the body; None for no signature.
        """
        complaint = self.complaint(url)
        if complaint is not None:
            return Answer(taken=False, message=complaint)
        where = f"the webhook at {URL(url).host}"
        body = json.dumps(event, sort_keys=True).encode()
        headers = {"Content-Type": "application/cloudevents+json", "Idempotency-Key": str(event["id"])}
        if secret is not None:
            signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
            headers["X-Hub-Signature-256"] = f"sha256={signature}"
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        try:
            async with self._session.post(
                URL(url), data=body, headers=headers, allow_redirects=False, timeout=timeout
            ) as answer:
                return _read(where, answer.status)
        except TimeoutError:
            return Answer(taken=False, message=f"{where} gave no answer within {self._timeout:g}s")
        except aiohttp.ClientConnectorDNSError:
            return Answer(taken=False, message=f"{where} cannot be called: its name is unknown")
        except aiohttp.ClientConnectorCertificateError:
            return Answer(taken=False, message=f"{where} cannot be called: its certificate is not trusted")
        except (aiohttp.ClientError, OSError, ValueError):
            return Answer(taken=False, message=f"{where} cannot be called: no connection, or no HTTP answer")


def _read(where: str, status: int) -> Answer:
    if status in _GOOD:
        return Answer(taken=True, message=f"{where} was told (HTTP {status})")
    if status in _ELSEWHERE:
        return Answer(taken=False, message=f"{where} redirects elsewhere, which is not followed")
    return Answer(taken=False, message=f"{where} answered HTTP {status}")
