"""How many pods each revision runs at least: weight never exceeds what ready pods can carry.

The pods that all requests together need are estimated from what stable runs, which an autoscaler may have
chosen. They are counted when a rollout begins, and again whenever stable has grown since.
"""

import math
from collections.abc import Mapping

from modeldeploy.api.v1alpha1.rollout import Scaling, Surge
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Candidate, ModelDeploymentStatus
from modeldeploy.core.snapshot import Snapshot, Workload
from modeldeploy.core.traffic import INCUMBENT


def demand(snapshot: Snapshot, spec: ModelDeploymentSpec, known: int = 0) -> int:
    """Pods that all requests together need.

    Args:
        snapshot: With stable as it is.
        spec: With the least number of pods.
        known: What was found before in the same rollout: stable's autoscaler is held there, so stable can
            only have grown. With `surge: None` stable has given way, and nothing new can be learnt from it.
    """
    if known and spec.rollout.surge is Surge.NONE:
        return known
    stable = snapshot.status.stable
    workload = snapshot.observed.workloads.get(stable.revision) if stable else None
    ours = workload is not None and stable is not None and stable.revision != INCUMBENT
    runs = min(workload.wanted, _most(spec)) if workload and ours else 0
    return max(spec.server.replicas.min, known, runs)


def needed(spec: ModelDeploymentSpec, share: int, demanded: int) -> int:
    """Pods that a candidate needs for a share of requests, answered or copied, in percent.

    Where stable gives way (`surge: None`) it is rounded down, so that stable has a pod while it has a share.
    """
    if share >= 100:  # noqa: PLR2004 - percent
        return demanded
    if spec.rollout.scaling is Scaling.FULL and spec.rollout.surge is Surge.FULL:
        return demanded
    if spec.rollout.surge is Surge.NONE:
        return max(1, demanded * share // 100)
    return max(1, math.ceil(demanded * share / 100))


def carried(workload: Workload | None, demanded: int) -> int:
    """The share of requests, in percent, that the ready pods of a workload can answer."""
    if workload is None or demanded == 0:
        return 0
    return min(100, workload.ready * 100 // demanded)


def gives_way(spec: ModelDeploymentSpec, candidate: Candidate) -> int | None:
    """Pods that are left to stable where there is no room for both; None where there is."""
    if spec.rollout.surge is not Surge.NONE:
        return None
    return max(0, candidate.demand - candidate.size)


def sizes(status: ModelDeploymentStatus, spec: ModelDeploymentSpec | None) -> Mapping[str, int]:
    """Pods that each revision runs at least, whatever an autoscaler would like."""
    floor = spec.server.replicas.min if spec else 1
    candidate = status.candidate
    found = {}
    if status.stable:
        left = gives_way(spec, candidate) if spec and candidate else None
        held = max(floor, candidate.demand) if candidate else floor
        found[status.stable.revision] = held if left is None else left
    if candidate:
        found[candidate.revision] = candidate.size
    if status.successor:
        found[status.successor.revision] = status.successor.size
    if status.previous:
        found[status.previous.revision] = max(1, status.previous.size or floor)
    found.pop(INCUMBENT, None)
    return found


def _most(spec: ModelDeploymentSpec) -> int:
    replicas = spec.server.replicas
    return max(replicas.max or replicas.min, replicas.min)
