"""Which objects a decision asks for, and which may go."""

from collections.abc import Mapping
from typing import Any

from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core import naming
from modeldeploy.core.decision import Decision
from modeldeploy.core.judgement import snapshot_queries
from modeldeploy.core.plan import Key
from modeldeploy.core.sizes import gives_way
from modeldeploy.core.snapshot import Revision
from modeldeploy.render.meta import Owner
from modeldeploy.render.reference import is_snapshot
from modeldeploy.render.revision import objects, todays_server
from modeldeploy.render.workload import is_autoscaled

Object = Mapping[str, Any]

PODS_LAST = {"HorizontalPodAutoscaler": 0, "PodDisruptionBudget": 1, "Service": 2, "Deployment": 3}
"""Order in which a retired revision is taken apart. Its autoscaler must not scale up what ends, and its
Deployment is what tells the next look, by whichever operator, that the rest must go too."""


def revision_objects(
    of: Owner,
    spec: ModelDeploymentSpec,
    known: Mapping[str, Revision],
    decision: Decision,
    present: Mapping[Key, Object],
) -> list[Object]:
    """The objects of every running revision. What finishes its last answers is left as it is."""
    wanted: list[Object] = []
    candidate = decision.status.candidate
    capped = candidate is not None and gives_way(spec, candidate) is not None
    for name in sorted(decision.sizes.keys() & known.keys()):
        server = todays_server(known[name].content, spec)
        found = ("Deployment", naming.object_name(of.name, name)) in present
        wanted += objects(of, known[name], server, decision.sizes[name], handed_over=found, capped=capped)
    return wanted


def unwanted_objects(
    spec: ModelDeploymentSpec,
    known: Mapping[str, Revision],
    decision: Decision,
    present: Mapping[Key, Object],
) -> list[Object]:
    """All of retired revisions, autoscalers and snapshots not asked for, and records beyond the limit."""
    autoscaled = is_autoscaled(spec.server.replicas)
    gone = [
        obj
        for (kind, _), obj in present.items()
        if kind in PODS_LAST
        and not obj["metadata"].get("deletionTimestamp")
        and (
            _revision(obj) in decision.retired
            or (kind == "HorizontalPodAutoscaler" and (not autoscaled or _revision(obj) in decision.leaving))
        )
    ]
    gone.sort(key=lambda obj: (_revision(obj), PODS_LAST[obj["kind"]]))
    idle = [one for one in known.values() if one.name not in decision.running | decision.retired]
    idle.sort(key=lambda one: one.number, reverse=True)
    old = {one.name for one in idle[spec.rollout.revision_history_limit :]}
    records = [
        obj for (kind, _), obj in present.items() if kind == "ControllerRevision" and _revision(obj) in old
    ]
    unused = [obj for obj in present.values() if is_snapshot(obj) and not snapshot_queries(spec)]
    return gone + records + unused


def handovers(
    of: Owner, spec: ModelDeploymentSpec, decision: Decision, present: Mapping[Key, Object]
) -> list[dict[str, Any]]:
    """Replica counts to be kept under a field manager of their own before an autoscaler takes over.

    Server-side apply would set a field back to its default once its only owner stops stating it.
    """
    if not is_autoscaled(spec.server.replicas):
        return []
    held = []
    for name in sorted(decision.sizes):
        called = naming.object_name(of.name, name)
        found = present.get(("Deployment", called))
        if found is not None and ("HorizontalPodAutoscaler", called) not in present:
            held.append(
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "metadata": {"name": called, "namespace": of.namespace},
                    "spec": {"replicas": found["spec"].get("replicas", spec.server.replicas.min)},
                }
            )
    return held


def _revision(obj: Object) -> str:
    return str((obj["metadata"].get("labels") or {}).get(naming.REVISION, ""))
