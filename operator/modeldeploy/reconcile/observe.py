"""Gathering what a decision may look at, from the cache."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.api.v1alpha1 import GROUP
from modeldeploy.core import naming
from modeldeploy.core.observation import workload
from modeldeploy.core.snapshot import Observed, Revision, Routers, Workload
from modeldeploy.core.traffic import INCUMBENT
from modeldeploy.reconcile.incumbent import Incumbency
from modeldeploy.reconcile.standing import ProviderMemory
from modeldeploy.render.meta import Owner, is_owned
from modeldeploy.render.revision import read_controller_revision
from modeldeploy.render.traffic.router_objects import NAME as ROUTER

Object = Mapping[str, Any]

STABLE = f"{GROUP}/stable"
"""Annotation of the Service `<name>`: the stable revision, for the case that status is lost."""
CHILD_KINDS = (
    "Deployment",
    "Service",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "ControllerRevision",
    "ConfigMap",
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the API server refuses a revision's pods, and when it is worth asking again."""

    message: str
    until: datetime


@dataclass(slots=True)
class Memory:
    """What is remembered of an object between looks. Losing it costs requests, never a decision.

    Attributes:
        refused: By revision: why the API server refused it.
        failure: The last apply that failed.
        conflict: The object in the way.
        settled: Stamps of objects at which an apply changed nothing.
        told_at: When its status was written last.
        provider: Of a provider that isn't the Router.
        incumbency: Of what answers today and isn't ours.
        serving: By UID of a router pod: the traffic generation that it was last seen to serve.
        uncertified: Why clients find no certificate at the routers.
    """

    refused: dict[str, Refusal] = field(default_factory=dict)
    failure: str | None = None
    conflict: str | None = None
    settled: dict[tuple[str, str], str] = field(default_factory=dict)
    serving: dict[str, int] = field(default_factory=dict)
    uncertified: str | None = None
    told_at: datetime | None = None
    provider: ProviderMemory = field(default_factory=ProviderMemory)
    incumbency: Incumbency = field(default_factory=Incumbency)


def owner(obj: Object) -> Owner:
    """The ModelDeployment as an owner."""
    meta = obj["metadata"]
    return Owner(meta["namespace"], meta["name"], meta["uid"])


def children(cache: Cache, of: Owner) -> dict[tuple[str, str], Object]:
    """The objects that the ModelDeployment owns, by kind and name."""
    return {
        (kind, child["metadata"]["name"]): child
        for kind in CHILD_KINDS
        for child in cache.children(of.namespace, of.name, kind)
        if is_owned(child["metadata"], of)
    }


def revisions(cache: Cache, of: Owner) -> dict[str, Revision]:
    """The recorded revisions, by name."""
    records = cache.children(of.namespace, of.name, "ControllerRevision")
    found = (read_controller_revision(record) for record in records if is_owned(record["metadata"], of))
    return {revision.name: revision for revision in found if revision}


def ready_routers(cache: Cache, namespace: str) -> list[Object]:
    """The pods of the namespace's routers that take requests."""
    return [pod for pod in cache.objects("Pod", namespace) if _is_router(pod) and _is_ready(pod)]


def observe(
    cache: Cache, of: Owner, known: Mapping[str, Revision], target: str | None, memory: Memory
) -> Observed:
    """The children as they are."""
    service = cache.get("Service", of.namespace, of.name) or {}
    recorded = service if service and is_owned(service["metadata"], of) else {}
    refusal = memory.refused.get(target) if target else None
    ports = (recorded.get("spec") or {}).get("ports") or []
    lead = next((port.get("targetPort") for port in ports), None)
    return Observed(
        revisions=known,
        workloads=_workloads(cache, of, known)
        | ({INCUMBENT: memory.incumbency.workload} if memory.incumbency.workload else {}),
        incumbent=memory.incumbency.problem,
        routers=_routers(cache, of.namespace, memory),
        conflict=memory.conflict,
        rejection=refusal.message if refusal else None,
        failure=memory.failure,
        recorded_stable=((recorded.get("metadata") or {}).get("annotations") or {}).get(STABLE),
        recorded_port=lead if isinstance(lead, int) else None,
    )


def _workloads(cache: Cache, of: Owner, known: Mapping[str, Revision]) -> dict[str, Workload]:
    pods: dict[str, list[Object]] = {}
    for pod in cache.children(of.namespace, of.name, "Pod"):
        pods.setdefault(_revision(pod), []).append(pod)
    found = {}
    for deployment in cache.children(of.namespace, of.name, "Deployment"):
        if is_owned(deployment["metadata"], of):
            name = _revision(deployment)
            found[name] = workload(deployment, pods.get(name, ()), known.get(name))
    return found


def _routers(cache: Cache, namespace: str, memory: Memory) -> Routers:
    ready = ready_routers(cache, namespace)
    seen = [memory.serving.get(pod["metadata"]["uid"]) for pod in ready]
    known = [number for number in seen if number is not None]
    serving = min(known) if known and len(known) == len(seen) else None
    if ready:
        return Routers(ready=len(ready), serving=serving)
    return Routers(problem=_router_problem(cache, namespace))


def _router_problem(cache: Cache, namespace: str) -> str:
    deployment = cache.get("Deployment", namespace, ROUTER)
    if deployment is None:
        return f"Deployment {ROUTER} is being created"
    pods: Iterable[Object] = [pod for pod in cache.objects("Pod", namespace) if _is_router(pod)]
    problem = workload(deployment, pods, None).problem
    return problem or f"no pod of Deployment {ROUTER} is ready"


def _revision(obj: Object) -> str:
    return str((obj["metadata"].get("labels") or {}).get(naming.REVISION, ""))


def _is_router(pod: Object) -> bool:
    return (pod["metadata"].get("labels") or {}).get(naming.COMPONENT) == "router"


def _is_ready(pod: Object) -> bool:
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
