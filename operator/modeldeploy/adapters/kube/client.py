"""Requests to the API server, in plain dicts.

Typed models of the client library would cost memory for every kind and reject answers that lack a field; its
transport, authentication and TLS are used as they are. Every request has a time-out. Errors are those of
`modeldeploy.adapters.kube.errors`.
"""

import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.config import ConfigException

from modeldeploy.adapters.kube.errors import (
    NotLeader,
    TimedOut,
    Unavailable,
    from_response,
)
from modeldeploy.adapters.kube.fault import Fault
from modeldeploy.adapters.kube.limiter import Limiter
from modeldeploy.adapters.kube.resources import Object, Resource, resource_of

_JSON = "application/json"
_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
_STRICT = {"fieldValidation": "Strict"}
_BAD_REQUEST = 400
_READS = frozenset({"get", "list", "watch"})
_WATCH_SECONDS = 300
"""How long the API server keeps a watch open."""

Body = Object | list[Object]


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list request found: the objects, and the moment (resourceVersion) that they describe."""

    items: list[Object]
    resource_version: str


class Kube:
    """The API server.

    Args:
        api: The client library's connection; closed by `close`.
        timeout: Seconds for a whole request.
        limiter: Turns for writes; None for no limit.
        may_write: Asked right before a write is sent; when it says no, the write raises `NotLeader`.
        fault: A planned end of the process at a write, for tests.
    """

    def __init__(
        self,
        api: ApiClient,
        *,
        timeout: float = 10.0,
        limiter: Limiter | None = None,
        may_write: Callable[[], bool] = lambda: True,
        fault: Fault | None = None,
    ) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        """Requests sent, by verb (as in RBAC, but `dryrun` for what changes nothing) and kind."""
        self.may_write = may_write
        self._api = api
        self._timeout = timeout
        self._limiter = limiter
        self._fault = fault

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """One object."""
        return await self._send("get", resource, resource.path(namespace, name))

    async def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str | None = None,
        fields: str | None = None,
        size: int = 250,
    ) -> AsyncIterator[Listing]:
        """All objects of a kind (in one namespace, or in all), a page at a time, consistently read.

        Args:
            resource: The kind.
            namespace: None for all.
            labels: A label selector.
            fields: A field selector.
            size: Objects in a page.

        Raises:
            Expired: Reading the pages took too long (minutes); begin again.
        """
        query = {"limit": str(size)}
        query |= {"labelSelector": labels} if labels else {}
        query |= {"fieldSelector": fields} if fields else {}
        while True:
            page = await self._send("list", resource, resource.path(namespace), query=query)
            for item in page["items"]:  # an item of a list carries neither
                item["apiVersion"], item["kind"] = resource.api_version, resource.kind
            yield Listing(page["items"], page["metadata"]["resourceVersion"])
            token = page["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str | None = None,
        fields: str | None = None,
    ) -> Listing:
        """All objects of a kind at once; see `pages`."""
        items: list[Object] = []
        version = ""
        async for page in self.pages(resource, namespace, labels=labels, fields=fields):
            items += page.items
            version = page.resource_version
        return Listing(items, version)

    async def watch(
        self, resource: Resource, namespace: str | None = None, *, labels: str, since: str
    ) -> AsyncIterator[tuple[str, Object]]:
        """Changes of a kind's objects after a resourceVersion, for some minutes: `ADDED`… and the object.

        Raises:
            Expired: That version is too old; list anew.
        """
        query = {"watch": "true", "labelSelector": labels, "resourceVersion": since}
        query["timeoutSeconds"] = str(_WATCH_SECONDS)
        self.requests["watch", resource.kind] += 1
        timeout = aiohttp.ClientTimeout(sock_connect=self._timeout, sock_read=_WATCH_SECONDS + self._timeout)
        try:
            response = await self._open("GET", resource.path(namespace), query, None, _JSON, timeout)
            with contextlib.closing(response.response):
                async for line in _lines(response.response.content):
                    change = json.loads(line)
                    if change["type"] == "ERROR":
                        refusal = change["object"]
                        raise from_response(refusal.get("code", 500), json.dumps(refusal).encode())
                    yield change["type"], change["object"]
        except (aiohttp.ClientError, ConfigException, OSError, ValueError) as error:
            raise Unavailable(f"watch {resource.kind}: {error}") from error

    async def create(self, obj: Object, *, dry_run: bool = False, resource: Resource | None = None) -> Object:
        """Create an object, or only check everything; `AlreadyExists` if one of that name is there.

        Args:
            obj: All of it.
            dry_run: Check everything, change nothing.
            resource: What it belongs to, if that isn't a kind that the operator itself works with.
        """
        resource = resource or resource_of(obj)
        path = resource.path(obj["metadata"].get("namespace"))
        query = {**_STRICT} | ({"dryRun": "All"} if dry_run else {})
        return await self._send("create", resource, path, body=obj, query=query)

    async def apply(
        self,
        obj: Object,
        *,
        manager: str,
        force: bool = True,
        dry_run: bool = False,
        resource_version: str | None = None,
    ) -> Object:
        """Server-side apply: own exactly the fields in `obj`, create the object if it isn't there.

        Args:
            obj: The fields to own, with apiVersion, kind, name and namespace.
            manager: The field manager.
            force: Take fields from other managers; without it such a field is a `Conflict`.
            dry_run: Check everything, change nothing.
            resource_version: Only if the object is still this one, else `Conflict`.

        Raises:
            Invalid: A field is unknown or wrong.
        """
        resource = resource_of(obj)
        meta = obj["metadata"]
        query = {**_STRICT, "fieldManager": manager, "force": "true" if force else "false"}
        query |= {"dryRun": "All"} if dry_run else {}
        if resource_version is not None:
            obj = {**obj, "metadata": {**meta, "resourceVersion": resource_version}}
        path = resource.path(meta.get("namespace"), meta["name"])
        return await self._send("patch", resource, path, body=obj, query=query, content=_APPLY)

    async def replace_status(self, obj: Object, *, manager: str | None = None) -> Object:
        """Write `obj`'s status if the object is still the one in its resourceVersion, else `Conflict`."""
        resource = resource_of(obj)
        meta = obj["metadata"]
        query = {**_STRICT} | ({"fieldManager": manager} if manager else {})
        path = resource.path(meta.get("namespace"), meta["name"], "status")
        return await self._send("update", resource, path, body=obj, query=query)

    async def replace(self, obj: Object) -> Object:
        """Write the whole object if it is still the one in its resourceVersion, else `Conflict`."""
        resource = resource_of(obj)
        meta = obj["metadata"]
        path = resource.path(meta.get("namespace"), meta["name"])
        return await self._send("update", resource, path, body=obj, query=_STRICT)

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Mapping[str, Any],
        *,
        manager: str | None = None,
        subresource: str | None = None,
    ) -> Object:
        """A JSON merge patch."""
        query = {**_STRICT} | ({"fieldManager": manager} if manager else {})
        path = resource.path(namespace, name, subresource)
        return await self._send("patch", resource, path, body=dict(patch), query=query, content=_MERGE)

    async def patch_json(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        operations: Sequence[Mapping[str, Any]],
        *,
        manager: str | None = None,
    ) -> Object:
        """A JSON patch (RFC 6902).

        Raises:
            Invalid: A `test` in it fails, or a path isn't there.
        """
        query = {**_STRICT} | ({"fieldManager": manager} if manager else {})
        path, body = resource.path(namespace, name), [dict(one) for one in operations]
        return await self._send("patch", resource, path, body=body, query=query, content=_JSON_PATCH)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: str = "Background",
    ) -> None:
        """Delete an object; one that isn't there is `NotFound`.

        Args:
            resource: The kind.
            namespace: Its namespace.
            name: Its name.
            uid: Only if it is still this very object, else `Conflict`.
            resource_version: Only if it hasn't changed since, else `Conflict`.
            propagation: `Background`, `Foreground` or `Orphan`: what becomes of the objects that it owns.
        """
        expected = {"uid": uid, "resourceVersion": resource_version}
        preconditions = {key: value for key, value in expected.items() if value is not None}
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        body |= {"preconditions": preconditions} if preconditions else {}
        await self._send("delete", resource, resource.path(namespace, name), body=body)

    async def ask(self, review: Object) -> Object:
        """Post a review (TokenReview): a question, though a POST, so every replica may ask it."""
        resource = resource_of(review)
        return await self._send("create", resource, resource.path(), body=review, asks=True)

    async def _send(
        self,
        verb: str,
        resource: Resource,
        path: str,
        *,
        body: Body | None = None,
        query: Mapping[str, str] | None = None,
        content: str = _JSON,
        asks: bool = False,
    ) -> Object:
        number = 0
        if verb not in _READS and not asks:
            number = await self._turn(verb, resource)
        self.requests["dryrun" if query and "dryRun" in query else verb, resource.kind] += 1
        started = time.monotonic()
        try:
            return await self._exchange(_METHODS[verb], path, query, body, content)
        except TimeoutError as error:
            waited = time.monotonic() - started
            raise TimedOut(
                f"{verb} {resource.kind}: no answer from the API server in {waited:.1f} s"
            ) from error
        except (aiohttp.ClientError, ConfigException, OSError) as error:
            raise Unavailable(f"{verb} {resource.kind}: the API server can't be reached: {error}") from error
        finally:
            if number and self._fault:
                self._fault.end(number)

    async def _turn(self, verb: str, resource: Resource) -> int:
        """Wait for the turn of a write and make sure that it may still be sent; its number for the fault."""
        if self._limiter:
            await self._limiter.turn()
        number = self._fault.begin() if self._fault else 0
        if not self.may_write():
            raise NotLeader(f"{verb} {resource.kind} not sent: this replica doesn't lead")
        return number

    async def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Body | None,
        content: str,
    ) -> Object:
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        response = await self._open(method, path, query, body, content, timeout)
        data = await response.read()
        try:
            answer: Object = json.loads(data)
        except ValueError as error:
            raise Unavailable(f"{method} {path}: the answer is no JSON") from error
        return answer

    async def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Body | None,
        content: str,
        limit: aiohttp.ClientTimeout,
    ) -> Any:
        """Send a request; gives the answer once its status is known to be good."""
        headers = {"Accept": _JSON, "Content-Type": content}
        parameters = list(query.items()) if query else None
        _, url, headers, _, _ = await self._api.param_serialize(
            method, path, query_params=parameters, header_params=headers, auth_settings=["BearerToken"]
        )
        response = await self._api.call_api(method, url, headers, body, _request_timeout=limit)
        if response.status >= _BAD_REQUEST:
            raise from_response(response.status, await response.read(), response.headers.get("Retry-After"))
        return response


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The lines of an answer as they come, however long."""
    rest = b""
    async for part in content.iter_any():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line


_METHODS: Mapping[str, str] = {
    "get": "GET",
    "list": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}
