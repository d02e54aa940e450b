"""Reading Deployments and pods: how many are ready, and in one sentence why the others are not."""

from collections.abc import Iterable, Mapping
from typing import Any

from modeldeploy.core.snapshot import Revision, Workload

Object = Mapping[str, Any]

NEVER_STARTS = {
    "ImagePullBackOff": "its image cannot be pulled",
    "ErrImagePull": "its image cannot be pulled",
    "ErrImageNeverPull": "its image is not on the node and imagePullPolicy is Never",
    "InvalidImageName": "its image name is not valid",
    "CreateContainerConfigError": "its container cannot be configured",
    "CreateContainerError": "its container cannot be created",
    "RunContainerError": "its container cannot be run",
}
"""Waiting reasons of containers that have never run, in words."""
CRASH_LOOP = "CrashLoopBackOff"
LONGEST = 300
"""Characters of a foreign message that are passed on."""


def workload(deployment: Object, pods: Iterable[Object], revision: Revision | None) -> Workload:
    """A revision's Deployment and pods in a few numbers and at most one sentence."""
    status = deployment.get("status") or {}
    wanted = int(deployment["spec"].get("replicas", 1))
    present = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    ready = min(int(status.get("readyReplicas") or 0), int(status.get("updatedReplicas") or 0))
    problem, fatal = (None, False) if ready >= wanted else _problem(status, present, revision)
    return Workload(
        wanted=wanted,
        ready=ready,
        settled=int(status.get("observedGeneration") or 0)
        >= int(deployment["metadata"].get("generation") or 0),
        restarts=sum(int(one.get("restartCount") or 0) for pod in present for one in _containers(pod)),
        problem=problem,
        fatal=fatal,
    )


def _problem(status: Object, pods: list[Object], revision: Revision | None) -> tuple[str | None, bool]:
    """The first thing that is wrong, and whether it is beyond waiting for."""
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])):
        found = _crash(pod) or _not_starting(pod)
        if found:
            return found
    refused = _condition(status, "ReplicaFailure")
    if refused and refused.get("status") == "True":
        return f"its pods are refused: {_short(refused.get('message'))}", False
    for pod in pods:
        found = _unschedulable(pod) or _unready(pod, revision)
        if found:
            return found
    return None, False


def _crash(pod: Object) -> tuple[str, bool] | None:
    for one in _containers(pod):
        waiting = (one.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") == CRASH_LOOP:
            last = (one.get("lastState") or {}).get("terminated") or {}
            why = f"exit code {last.get('exitCode')}" + (f", {last['reason']}" if last.get("reason") else "")
            return (
                f"container {one['name']} of pod {_name(pod)} crashes again and again ({why}); see its log",
                True,
            )
    return None


def _not_starting(pod: Object) -> tuple[str, bool] | None:
    for one in _containers(pod):
        waiting = (one.get("state") or {}).get("waiting") or {}
        words = NEVER_STARTS.get(str(waiting.get("reason")))
        if words:
            told = _short(waiting.get("message"))
            return f"pod {_name(pod)}: {words} ({waiting['reason']}: {told or one.get('image')})", False
    return None


def _unschedulable(pod: Object) -> tuple[str, bool] | None:
    scheduled = _condition(pod.get("status") or {}, "PodScheduled")
    if scheduled and scheduled.get("status") == "False":
        return f"pod {_name(pod)} fits on no node: {_short(scheduled.get('message'))}", False
    return None


def _unready(pod: Object, revision: Revision | None) -> tuple[str, bool] | None:
    for one in _containers(pod):
        if "running" in (one.get("state") or {}) and not one.get("ready"):
            asked = _probe(revision, str(one["name"]))
            restarted = f" and was restarted {one['restartCount']} times" if one.get("restartCount") else ""
            return f"pod {_name(pod)} runs but does not pass its {asked}{restarted}", False
    return None


def _probe(revision: Revision | None, container: str) -> str:
    containers = revision.template["spec"]["containers"] if revision else []
    probe = next((one.get("readinessProbe") or {} for one in containers if one["name"] == container), {})
    ports = next((one.get("ports") or [] for one in containers if one["name"] == container), [])
    named = {port.get("name"): port["containerPort"] for port in ports}
    if "httpGet" in probe:
        where = probe["httpGet"].get("port")
        return f"readiness probe yet (GET {probe['httpGet'].get('path')} on port {named.get(where, where)})"
    if "tcpSocket" in probe:
        where = probe["tcpSocket"].get("port")
        return f"readiness probe yet (a connection to port {named.get(where, where)})"
    return "readiness probe yet"


def _containers(pod: Object) -> list[Mapping[str, Any]]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _condition(status: Object, kind: str) -> Mapping[str, Any] | None:
    return next((one for one in status.get("conditions") or [] if one["type"] == kind), None)


def _name(pod: Object) -> str:
    return str(pod["metadata"]["name"])


def _short(text: Any) -> str:
    line = " ".join(str(text or "").split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
