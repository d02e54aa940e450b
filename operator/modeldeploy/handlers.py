"""Every decorator of the framework, and nothing else: events fill the cache and wake what they concern.

Only `on.event` is used. It adds no finalizer and writes no annotation; all other kinds of handlers would.
"""

from collections.abc import Callable, Mapping
from typing import Any

import kopf

from modeldeploy.adapters.kube.lister import Watched
from modeldeploy.adapters.kube.resources import (
    CONFIG_MAP,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    HORIZONTAL_POD_AUTOSCALER,
    MODEL_DEPLOYMENT,
    POD,
    POD_DISRUPTION_BUDGET,
    SERVICE,
    SERVICE_ACCOUNT,
    Resource,
)
from modeldeploy.core.naming import MANAGED_BY

OURS = f"{MANAGED_BY}=modeldeploy"
WATCHED = (
    Watched(MODEL_DEPLOYMENT),
    *(
        Watched(resource, OURS)
        for resource in (
            DEPLOYMENT,
            CONTROLLER_REVISION,
            SERVICE,
            CONFIG_MAP,
            SERVICE_ACCOUNT,
            POD,
            ENDPOINT_SLICE,
            HORIZONTAL_POD_AUTOSCALER,
            POD_DISRUPTION_BUDGET,
        )
    ),
)
"""What is watched. The server filters by label: nobody else's Deployments are streamed."""

Feed = Callable[[str | None, Mapping[str, Any]], None]
"""Takes an event's type (None for an object that a watch began with) and its object."""


def register(registry: kopf.OperatorRegistry, feed: Feed) -> None:
    """Send every event of the watched kinds to `feed`."""

    @kopf.on.login(registry=registry)
    def login(**arguments: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)

    for watched in WATCHED:
        _register_one(registry, watched.resource, feed)


def _register_one(registry: kopf.OperatorRegistry, resource: Resource, feed: Feed) -> None:
    group, _, version = resource.api_version.rpartition("/")

    @kopf.on.event(group, version, resource.plural, registry=registry, id=resource.plural)
    async def seen(event: Mapping[str, Any], **_: Any) -> None:
        obj = event["object"]
        named = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        feed(event.get("type"), named)


def settings() -> kopf.OperatorSettings:
    """The framework's settings: small memory, no writes of its own."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.peering.standalone = True
    chosen.scanning.disabled = True
    chosen.queueing.idle_timeout = 0.2
    chosen.watching.chunk_size = 500
    for watched in WATCHED:
        if watched.labels:
            group, _, version = watched.resource.api_version.rpartition("/")
            chosen.watching.label_selectors[group, version, watched.resource.plural] = watched.labels
    return chosen
