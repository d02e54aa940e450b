"""Which metrics stores may be asked, and with what: the operator's own, and those that objects name."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modeldeploy.adapters.credentials import Folder, Keeper
from modeldeploy.adapters.endpoint import Endpoint
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.secret import SecretSource, unreadable
from modeldeploy.adapters.prometheus import TIMEOUT, Prometheus

FIELD = "spec.monitoring.prometheus"
OWN_SECRET = "prometheus.credentialsSecret"  # noqa: S105 - a chart value's name
SECRET_NAMES = "prometheus.secretNames"  # noqa: S105 - ditto

_KEPT = 900.0
"""Seconds that a client is kept for an object that no longer asks."""


@dataclass(frozen=True)
class Own:
    """The operator's own metrics store.

    Attributes:
        url: Its base URL; empty for none.
        credentials: The folder with what it is shown; None for nothing.
        parameters: Added to every question.
        headers: Added to every request.
    """

    url: str = ""
    credentials: Path | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class Stores:
    """The clients of all metrics stores: one for each store, and way to ask it.

    The operator's credentials are shown to its own store only, and only in its own name: where an object adds
    headers or parameters of its own, it needs credentials of its own.

    Args:
        own: The operator's own store.
        allowed: URLs of further ones that objects may name.
        secrets: Names of the Secrets that objects may name.
        kube: Where those are read; None where there are none.
        timeout: Seconds for one question.
        connect: Makes clients.
    """

    def __init__(
        self,
        own: Own | str,
        allowed: Iterable[str] = (),
        *,
        secrets: Iterable[str] = (),
        kube: Kube | None = None,
        timeout: float = TIMEOUT,
        connect: Callable[..., Prometheus] = Prometheus,
    ) -> None:
        self._own = Own(own) if isinstance(own, str) else own
        self._url = self._own.url.rstrip("/")
        self._allowed = {self._url, *(item.rstrip("/") for item in allowed)} - {""}
        self._secrets = frozenset(secrets)
        self._kube = kube
        self._timeout = timeout
        self._connect = connect
        self._clients: dict[tuple[str, Endpoint | None], Prometheus] = {}
        self._used: dict[tuple[str, Endpoint | None], float] = {}

    def complaint(self, named: Endpoint | None) -> str | None:
        """Why an object's metrics store may not be asked, in a sentence with the mend; None if it may."""
        if named is None:
            return None if self._url else "no metrics store is known; set the chart value prometheus.url"
        if named.url not in self._allowed:
            return (
                f"{FIELD}.url: {named.url} is not on the operator's allow-list; "
                "add it to the chart value prometheus.allowedURLs"
            )
        if named.secret and (named.secret not in self._secrets or self._kube is None):
            return unreadable(f"{FIELD}.secretName", named.secret, SECRET_NAMES)
        return None

    def client(self, namespace: str, named: Endpoint | None) -> Prometheus:
        """The client for an object's store, about which there is no complaint."""
        if named == Endpoint(self._url):
            named = None
        key = (namespace if named and named.secret else "", named)
        self._used[key] = time.monotonic()
        if key not in self._clients:
            self._forget()
            self._clients[key] = self._connected(namespace, named)
        return self._clients[key]

    def close(self) -> None:
        """Stop asking; questions under way are given up."""
        for client in self._clients.values():
            client.close()

    def _connected(self, namespace: str, named: Endpoint | None) -> Prometheus:
        if named is None:
            own, source = self._own, None
            if own.credentials:
                source = Folder(own.credentials, f"the Secret of the chart value {OWN_SECRET}")
            return self._connect(
                self._url,
                timeout=self._timeout,
                keeper=Keeper(source),
                mend=f"name a Secret in the chart value {OWN_SECRET}",
                parameters=own.parameters,
                headers=own.headers,
            )
        keeper = None
        if named.secret and self._kube:
            where = f"{FIELD}.secretName"
            keeper = Keeper(
                SecretSource(self._kube, namespace, named.secret, field=where, right=SECRET_NAMES)
            )
        return self._connect(
            named.url,
            timeout=self._timeout,
            keeper=keeper,
            mend=f"name a Secret in {FIELD}.secretName",
            parameters=dict(named.parameters),
            headers=dict(named.headers),
        )

    def _forget(self) -> None:
        """Let go of clients that nobody asks through any more: objects and their Secrets come and go."""
        old = [key for key, at in self._used.items() if time.monotonic() - at > _KEPT]
        for key in old:
            del self._used[key]
            self._clients.pop(key).close()
