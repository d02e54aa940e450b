"""What answers today and isn't ours: a Service of the user's own, or plain manifests that are to be adopted.

It carries none of our labels, so no watch shows it. It is asked for while it is in use, and at no other time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import NotFound
from modeldeploy.adapters.kube.resources import DEPLOYMENT, ENDPOINT_SLICE, SERVICE
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus
from modeldeploy.core import naming
from modeldeploy.core.snapshot import Workload
from modeldeploy.core.traffic import INCUMBENT, has_incumbent
from modeldeploy.render import adopted
from modeldeploy.render.meta import Owner, is_owned

Object = Mapping[str, Any]

PAUSE = timedelta(seconds=3)
"""Between two questions while it is in use."""


@dataclass(slots=True)
class Incumbency:
    """What is known of it.

    Attributes:
        workload: Its pods, None before it was found.
        problem: Why it can't be led to, in a sentence with the mend.
        service: The user's own Service `<name>` that is to be taken over.
        asked: When it was asked for last.
        rests: The adopted Deployment is known to be scaled to 0.
    """

    workload: Workload | None = None
    problem: str | None = None
    service: Object | None = None
    asked: datetime | None = None
    rests: bool = False


class Incumbents:
    """Looks after what answers today.

    Args:
        kube: The API server.
        cache: What was last seen of it.
    """

    def __init__(self, kube: Kube, cache: Cache) -> None:
        self._kube = kube
        self._cache = cache

    async def look(
        self,
        of: Owner,
        spec: ModelDeploymentSpec,
        status: ModelDeploymentStatus,
        known: Incumbency,
        now: datetime,
    ) -> datetime | None:
        """Bring `known` up to date, if it is in use; returns when to do so again."""
        if not has_incumbent(spec) or not _in_use(spec, status):
            return None
        if known.asked is None or now >= known.asked + PAUSE:
            known.asked = now
            try:
                if spec.adopt:
                    await self._adopted(of, spec.adopt.deployment, known)
                elif spec.traffic.incumbent:
                    await self._pointed_at(of, spec.traffic.incumbent.service, known)
            except NotFound:
                known.workload = None
        return known.asked + PAUSE

    async def rest(
        self, of: Owner, spec: ModelDeploymentSpec, status: ModelDeploymentStatus, known: Incumbency
    ) -> None:
        """Scale an adopted Deployment to 0 once nothing is sent to it any more; its object is left alone."""
        if spec.adopt is None or known.rests or not _is_replaced(status):
            return
        try:
            found = await self._kube.get(DEPLOYMENT, of.namespace, spec.adopt.deployment)
        except NotFound:
            known.rests = True
            return
        if found["spec"].get("replicas", 1):
            metadata = {"name": spec.adopt.deployment, "namespace": of.namespace}
            ended = {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": metadata,
                "spec": {"replicas": 0},
            }
            await self._kube.apply(ended, manager=naming.FIELD_MANAGER)
        known.rests = True

    async def _pointed_at(self, of: Owner, name: str, known: Incumbency) -> None:
        known.problem = (
            f"spec.traffic.incumbent.service: there is no Service {name} in namespace {of.namespace}; "
            "correct the name or create it"
        )
        await self._kube.get(SERVICE, of.namespace, name)
        slices = (
            await self._kube.list(ENDPOINT_SLICE, of.namespace, labels=f"kubernetes.io/service-name={name}")
        ).items
        ready = sum(
            (one.get("conditions") or {}).get("ready") is not False
            for part in slices
            for one in part.get("endpoints") or ()
        )
        known.workload = Workload(wanted=max(1, ready), ready=ready)
        known.problem = (
            None if ready else f"Service {name} has no ready endpoint; start what answers behind it"
        )

    async def _adopted(self, of: Owner, name: str, known: Incumbency) -> None:
        known.problem = (
            f"spec.adopt.deployment: there is no Deployment {name} in namespace {of.namespace}; "
            "correct the name"
        )
        found = await self._kube.get(DEPLOYMENT, of.namespace, name)
        known.problem = (
            f"spec.adopt takes over the Service {of.name} with the Deployment {name}, but there is no such "
            "Service; name the object like the Service that clients call"
        )
        service = await self._kube.get(SERVICE, of.namespace, of.name)
        if not is_owned(service["metadata"], of):
            known.service = service
        status = found.get("status") or {}
        ready = int(status.get("readyReplicas") or 0)
        known.workload = Workload(wanted=int(found["spec"].get("replicas", 1)), ready=ready)
        known.problem = None if ready else f"Deployment {name} has no ready pod; mend it first"


def adopted_objects(
    of: Owner, known: Incumbency, present: Mapping[tuple[str, str], Object]
) -> list[dict[str, Any]]:
    """The way to adopted pods, made while the user's Service still is as it was."""
    if known.service is not None and ("Service", adopted.name(of)) not in present:
        return [adopted.way(of, known.service)]
    return []


def _in_use(spec: ModelDeploymentSpec, status: ModelDeploymentStatus) -> bool:
    roles = (status.stable, status.candidate)
    undo = spec.rollout.control.undo
    wanted = undo is not None and undo.revision == INCUMBENT
    return status.stable is None or wanted or any(role and role.revision == INCUMBENT for role in roles)


def _is_replaced(status: ModelDeploymentStatus) -> bool:
    roles = (status.stable, status.candidate, status.previous, *status.draining)
    return status.stable is not None and all(role is None or role.revision != INCUMBENT for role in roles)
