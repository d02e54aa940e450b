"""Follows one object and what is told about it, from the API server's own watches."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient

from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import (
    Expired,
    Forbidden,
    KubeError,
    NotFound,
    Unauthorized,
    from_response,
)
from modeldeploy.adapters.kube.resources import EVENT, MODEL_DEPLOYMENT, Object, Resource

WATCH_SECONDS = 240
"""A watch's length; then the next one goes on where it ended."""
_SILENCE = WATCH_SECONDS + 30
_FAREWELL = 1.0
"""Seconds that watches have to end."""
_PAUSE = 2.0
_BAD_REQUEST = 400
_GONE = 410


@dataclass(frozen=True, slots=True)
class Changed:
    """The object, as it is now."""

    obj: Object


@dataclass(frozen=True, slots=True)
class Deleted:
    """The object is gone, or another one has its name; nothing more follows."""


@dataclass(frozen=True, slots=True)
class Told:
    """An Event about the object."""

    event: Object


@dataclass(frozen=True, slots=True)
class Lost:
    """The API server doesn't answer; it will be tried again."""

    reason: str


Change = Changed | Deleted | Told | Lost


async def follow(api: ApiClient, namespace: str, name: str) -> AsyncGenerator[Change, None]:
    """The object now, its Events so far, and then every change of either, until the object is gone.

    Raises:
        NotFound: There is no such object at the beginning.
        Forbidden: It may not be read.
        Unauthorized: The credentials aren't accepted.
        KubeError: The API server can't be asked at the beginning.
    """
    obj = await Kube(api).get(MODEL_DEPLOYMENT, namespace, name)
    uid = obj["metadata"]["uid"]
    queue: asyncio.Queue[Change | None] = asyncio.Queue()
    tasks = [
        asyncio.create_task(_objects(api, namespace, name, uid, queue)),
        asyncio.create_task(_events(api, namespace, name, uid, queue)),
    ]
    for task in tasks:
        task.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while True:
            change = await queue.get()
            if change is None:
                await _raise_failure(tasks)
                continue
            yield change
            if isinstance(change, Deleted):
                return
    finally:
        for task in tasks:
            task.cancel()
        # Whoever presses Ctrl-C is not made to wait for a request that is slow to give up.
        ended, _ = await asyncio.wait(tasks, timeout=_FAREWELL)
        for task in ended:
            if not task.cancelled():
                task.exception()


async def _raise_failure(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        if task.done():
            await task


async def _objects(
    api: ApiClient, namespace: str, name: str, uid: str, queue: asyncio.Queue[Change | None]
) -> None:
    seen = ""
    async with aclosing(_always(api, MODEL_DEPLOYMENT, namespace, f"metadata.name={name}")) as changes:
        async for kind, obj in changes:
            if kind == "LOST":
                queue.put_nowait(Lost(obj["reason"]))
            elif kind == "LISTED":
                present = [item for item in obj["items"] if item["metadata"]["uid"] == uid]
                if not present:
                    queue.put_nowait(Deleted())
                    return
                if present[0]["metadata"]["resourceVersion"] != seen:
                    seen = present[0]["metadata"]["resourceVersion"]
                    queue.put_nowait(Changed(present[0]))
            elif kind == "DELETED":
                queue.put_nowait(Deleted())
                return
            else:
                seen = obj["metadata"]["resourceVersion"]
                queue.put_nowait(Changed(obj))


async def _events(
    api: ApiClient, namespace: str, name: str, uid: str, queue: asyncio.Queue[Change | None]
) -> None:
    known: set[str] = set()
    selector = f"involvedObject.kind=ModelDeployment,involvedObject.name={name},involvedObject.uid={uid}"
    async with aclosing(_always(api, EVENT, namespace, selector)) as changes:
        async for kind, obj in changes:
            if kind == "LISTED":
                found = sorted(obj["items"], key=_told_at)
            else:
                found = [obj] if kind in {"ADDED", "MODIFIED"} else []
            for event in found:
                version = event["metadata"]["uid"] + event["metadata"]["resourceVersion"]
                if version not in known:
                    known.add(version)
                    queue.put_nowait(Told(event))


def _told_at(event: Mapping[str, Any]) -> tuple[str, int]:
    version = event["metadata"]["resourceVersion"]
    return event.get("lastTimestamp") or "", int(version) if version.isdigit() else 0


async def _always(
    api: ApiClient, resource: Resource, namespace: str, fields: str
) -> AsyncGenerator[tuple[str, Object], None]:
    """`LISTED` with all items, then the changes; again from the list whenever the thread is lost."""
    kube = Kube(api)
    while True:
        try:
            listing = await kube.list(resource, namespace, fields=fields)
            yield "LISTED", {"items": listing.items}
            version = listing.resource_version
            while True:
                async with aclosing(_watch(api, resource, namespace, fields, version)) as stream:
                    async for kind, obj in stream:
                        version = obj["metadata"]["resourceVersion"]
                        if kind != "BOOKMARK":
                            yield kind, obj
        except Expired:
            continue
        except (NotFound, Forbidden, Unauthorized):
            raise
        except (KubeError, aiohttp.ClientError, TimeoutError, OSError) as error:
            yield "LOST", {"reason": str(error) or type(error).__name__}
            await asyncio.sleep(_PAUSE)


async def _watch(
    api: ApiClient, resource: Resource, namespace: str, fields: str, version: str
) -> AsyncGenerator[tuple[str, Object], None]:
    query = {
        "watch": "true",
        "fieldSelector": fields,
        "resourceVersion": version,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(WATCH_SECONDS),
    }
    _, url, headers, _, _ = await api.param_serialize(
        "GET",
        resource.path(namespace),
        query_params=list(query.items()),
        header_params={"Accept": "application/json"},
        auth_settings=["BearerToken"],
    )
    limit = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_SILENCE)
    answer = await api.call_api("GET", url, headers, None, _request_timeout=limit)
    response: aiohttp.ClientResponse = answer.response
    try:
        if response.status >= _BAD_REQUEST:
            raise from_response(response.status, await response.read())
        async for line in response.content:
            change = json.loads(line)
            if change["type"] == "ERROR":
                raise from_response(
                    change["object"].get("code") or _GONE, json.dumps(change["object"]).encode()
                )
            yield change["type"], change["object"]
    finally:
        response.close()
