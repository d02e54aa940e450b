"""Reading Deployments and pods: how many are ready, and in one sentence why the others are not.

A sentence says the same for as long as the cause is the same, whatever the kubelet is trying meanwhile: each
new one is written to the object and told as news.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from modeldeploy.core.naming import CONTAINER
from modeldeploy.core.snapshot import Revision, Workload

Object = Mapping[str, Any]

CORRECT_IMAGE = "correct spec.server.image or add a pull secret"
CORRECT_TEMPLATE = "correct spec.server.podTemplate"
NEVER_STARTS = {
    "ErrImagePull": ("its image cannot be pulled", CORRECT_IMAGE),
    "ImagePullBackOff": ("its image cannot be pulled", CORRECT_IMAGE),
    "ErrImageNeverPull": (
        "its image is not on the node and imagePullPolicy is Never",
        "bring it there, or change spec.server.imagePullPolicy",
    ),
    "InvalidImageName": ("its image name is not valid", "correct spec.server.image"),
    "CreateContainerConfigError": ("its container cannot be configured", CORRECT_TEMPLATE),
    "CreateContainerError": ("its container cannot be created", CORRECT_TEMPLATE),
    "RunContainerError": ("its container cannot be run", CORRECT_TEMPLATE),
}
"""Waiting reasons of containers that have never run, in words, with the mend."""
CRASH_LOOP = "CrashLoopBackOff"
MANY = 2
"""Restarts that make a habit."""
ENDED_FROM_OUTSIDE = (0, 137, 143)
"""Exit codes of what was told to end (SIGKILL, SIGTERM), as after a failed probe, or ended in peace."""
OUT_OF_MEMORY = "OOMKilled"
NEVER_RAN = ("StartError", "ContainerCannotRun")
"""Reasons for an end that came before the program's beginning, so that there is no log."""
LONGEST = 300
"""Characters of a foreign message that are passed on."""
_REPEATED = re.compile(r'^Back-off pulling image "[^"]*": \w+: ')
"""What the kubelet puts before the reason from the second try on."""
_REFUSED_POD = re.compile(r'^pods "[^"]*" is forbidden: ')
"""Names a pod that never was, another one at each try."""
_PREEMPTION = re.compile(r"\.?\s(no new claims to deallocate|preemption:).*$", re.DOTALL)
"""What the scheduler adds about pods that it won't evict."""


class Problem(NamedTuple):
    """What is wrong, what its owner can do about it, and whether it is beyond waiting for."""

    text: str
    mend: str
    fatal: bool = False


def workload(deployment: Object, pods: Iterable[Object], revision: Revision | None) -> Workload:
    """A revision's Deployment and pods in a few numbers and at most one sentence.

    Without a revision it is a router's: no field of the user's would mend it, so none is named.
    """
    status = deployment.get("status") or {}
    wanted = int(deployment["spec"].get("replicas", 1))
    present = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    present.sort(key=_name)
    ready = min(int(status.get("readyReplicas") or 0), int(status.get("updatedReplicas") or 0))
    problem = None if ready >= wanted else _problem(status, present, revision)
    told = problem and (f"{problem.text}; {problem.mend}" if revision else problem.text)
    return Workload(
        wanted=wanted,
        ready=ready,
        settled=int(status.get("observedGeneration") or 0)
        >= int(deployment["metadata"].get("generation") or 0),
        restarts=sum(int(one.get("restartCount") or 0) for pod in present for one in _containers(pod)),
        problem=told,
        fatal=problem.fatal if problem else False,
        images=_images(present),
        awaiting=None if problem or ready >= wanted else _starting(present, revision),
    )


def _images(pods: list[Object]) -> tuple[str, ...]:
    """The images that ready model containers run, with their digests."""
    return tuple(
        sorted(
            {
                str(one["imageID"])
                for pod in pods
                for one in _containers(pod)
                if one.get("name") == CONTAINER and one.get("ready") and one.get("imageID")
            }
        )
    )


def _problem(status: Object, pods: list[Object], revision: Revision | None) -> Problem | None:
    """The first thing that is wrong, the clearest cause first."""
    for pod in pods:
        found = _crash(pod, revision) or _not_starting(pod)
        if found:
            return found
    refused = _condition(status, "ReplicaFailure")
    if refused and refused.get("status") == "True":
        why = _REFUSED_POD.sub("", _short(refused.get("message")))
        return Problem(
            f"its pods are refused: {why}", "change what spec.server asks for, or what is allowed here"
        )
    for pod in pods:
        found = _unschedulable(pod) or _unready(pod, revision)
        if found:
            return found
    return None


def _crash(pod: Object, revision: Revision | None) -> Problem | None:
    for one in _containers(pod):
        if one.get("ready"):
            continue
        state = one.get("state") or {}
        last = state.get("terminated") or (one.get("lastState") or {}).get("terminated") or {}
        loops = (state.get("waiting") or {}).get("reason") == CRASH_LOOP
        often = loops or int(one.get("restartCount") or 0) >= MANY
        if last and (often or not _was_told_to_end(last)):
            text, mend = _ending(pod, one, last, revision, often=often)
            return Problem(text, mend, loops)
    return None


def _ending(
    pod: Object, container: Object, last: Object, revision: Revision | None, *, often: bool
) -> tuple[str, str]:
    """How a container ended, and what tells more."""
    what, again = f"container {container['name']} of pod {_name(pod)}", " again and again" if often else ""
    code = f"exit code {last.get('exitCode')}" + (f", {last['reason']}" if last.get("reason") else "")
    log = f"see kubectl logs {_name(pod)} -c {container['name']} --previous"
    if last.get("reason") == OUT_OF_MEMORY:
        return f"{what} needs more memory than it may have{again} ({code})", _more_memory(container)
    if last.get("reason") in NEVER_RAN:
        why = _short(str(last.get("message") or code).rpartition("container init: ")[2])
        return f"{what} cannot be started: {why}", f"{CORRECT_TEMPLATE} or the image"
    if _was_told_to_end(last):
        return f"{what} is restarted{again} ({code}): it ends or {_fails_probe(revision, container)}", log
    return f"{what} crashes{again} ({code})", log


def _more_memory(container: Object) -> str:
    if container["name"] == CONTAINER:
        return "raise spec.server.resources.limits.memory"
    return "raise its resources.limits.memory in spec.server.podTemplate"


def _was_told_to_end(last: Object) -> bool:
    return last.get("exitCode") in ENDED_FROM_OUTSIDE and last.get("reason") != OUT_OF_MEMORY


def _not_starting(pod: Object) -> Problem | None:
    for one in _containers(pod):
        waiting = (one.get("state") or {}).get("waiting") or {}
        words, mend = NEVER_STARTS.get(str(waiting.get("reason")), ("", ""))
        if words:
            why = _REPEATED.sub("", _short(waiting.get("message")))
            return Problem(f"pod {_name(pod)}: {words}" + (f" ({why})" if why else ""), mend)
    return None


def _unschedulable(pod: Object) -> Problem | None:
    scheduled = _condition(pod.get("status") or {}, "PodScheduled")
    if scheduled and scheduled.get("status") == "False":
        why = _PREEMPTION.sub("", _short(scheduled.get("message")))
        return Problem(
            f"pod {_name(pod)} fits on no node: {why}",
            "lower spec.server.resources.requests, change podTemplate or add a node",
        )
    return None


def _unready(pod: Object, revision: Revision | None) -> Problem | None:
    """A server that was there and no longer answers, or that was restarted for never having done so."""
    for one in _running(pod):
        if _was_ready(pod, one) or one.get("restartCount"):
            restarted = " and was restarted" if one.get("restartCount") else ""
            return Problem(
                f"pod {_name(pod)} runs but {_fails_probe(revision, one)}{restarted}",
                "correct spec.server.port or readinessPath if the server answers elsewhere",
            )
    return None


def _was_ready(pod: Object, container: Object) -> bool:
    """Whether the pod became unready after this container had started: it had been ready in between."""
    since = (_condition(pod.get("status") or {}, "Ready") or {}).get("lastTransitionTime") or ""
    return bool(since > container["state"]["running"].get("startedAt", ""))


def _starting(pods: list[Object], revision: Revision | None) -> str | None:
    """What is still to come of a pod that starts as it should, as far as can be seen."""
    for pod in pods:
        for one in _unfinished(pod):
            return (
                f"init container {one['name']} of pod {_name(pod)} is not done yet (its log: kubectl logs "
                f"{_name(pod)} -c {one['name']})"
            )
    for pod in pods:
        for one in _running(pod):
            return f"pod {_name(pod)} {_fails_probe(revision, one)} yet"
    for pod in pods:
        if any((one.get("state") or {}).get("waiting") for one in _containers(pod)):
            return f"pod {_name(pod)} is being created (if that lasts: kubectl describe pod {_name(pod)})"
    return None


def _running(pod: Object) -> list[Object]:
    return [one for one in _containers(pod) if "running" in (one.get("state") or {}) and not one.get("ready")]


def _unfinished(pod: Object) -> list[Object]:
    started = (pod.get("status") or {}).get("initContainerStatuses") or []
    return [one for one in started if "running" in (one.get("state") or {}) and not one.get("ready")]


def _fails_probe(revision: Revision | None, container: Object) -> str:
    containers = revision.template["spec"]["containers"] if revision else []
    mine: Object = next((one for one in containers if one["name"] == container["name"]), {})
    named = {port.get("name"): port["containerPort"] for port in mine.get("ports") or []}
    probe = mine.get("readinessProbe") or {}
    if "httpGet" in probe:
        where, path = probe["httpGet"].get("port"), probe["httpGet"].get("path")
        return f"does not answer GET {path} on port {named.get(where, where)} with success"
    if "tcpSocket" in probe:
        where = probe["tcpSocket"].get("port")
        return f"takes no connection on port {named.get(where, where)}"
    return "is not ready"


def _containers(pod: Object) -> list[Object]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _condition(status: Object, kind: str) -> Object | None:
    return next((one for one in status.get("conditions") or [] if one["type"] == kind), None)


def _name(pod: Object) -> str:
    return str(pod["metadata"]["name"])


def _short(text: Any) -> str:
    line = " ".join(str(text or "").split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
