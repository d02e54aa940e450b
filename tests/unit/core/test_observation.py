"""What Deployments and pods tell, in one sentence that stays the same while the cause does."""

from typing import Any

import pytest

from modeldeploy.core.observation import workload
from modeldeploy.core.snapshot import Revision, Workload

pytestmark = pytest.mark.unit

Object = dict[str, Any]

TEMPLATE = {
    "spec": {
        "containers": [
            {
                "name": "model",
                "ports": [{"name": "http", "containerPort": 8080}],
                "readinessProbe": {"httpGet": {"path": "/v2/health/ready", "port": "http"}},
            }
        ]
    }
}
STARTED = "2026-11-22T12:00:05Z"
RUNNING = {"running": {"startedAt": STARTED}}
CRASHED = {"terminated": {"exitCode": 3, "reason": "Error"}}
KILLED = {"terminated": {"exitCode": 137, "reason": "Error"}}
NO_PROGRAM = {
    "terminated": {
        "exitCode": 128,
        "reason": "StartError",
        "message": "failed to create containerd task: OCI runtime create failed: unable to start container "
        'process: error during container init: exec: "x": executable file not found in $PATH',
    }
}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting"}}
LOG = "see kubectl logs p -c model --previous"


def revision(template: Object = TEMPLATE) -> Revision:
    return Revision("rev-v1", 1, "v1", {}, template)


def deployment(*, wanted: int = 1, ready: int = 0, refused: str | None = None) -> Object:
    conditions = [{"type": "ReplicaFailure", "status": "True", "message": refused}] if refused else []
    status = {"readyReplicas": ready, "updatedReplicas": wanted, "conditions": conditions}
    return {"metadata": {"generation": 1}, "spec": {"replicas": wanted}, "status": status}


def pod(
    state: Object | None = None,
    *,
    last: Object | None = None,
    restarts: int = 0,
    name: str = "p",
    conditions: tuple[Object, ...] = (),
    init: bool = False,
    ready: bool = False,
    called: str = "model",
) -> Object:
    container = {"name": called, "ready": ready, "restartCount": restarts, "state": state or {}}
    if last:
        container["lastState"] = last
    kind = "initContainerStatuses" if init else "containerStatuses"
    return {
        "metadata": {"name": name},
        "status": {kind: [container] if state else [], "conditions": conditions},
    }


def waiting(reason: str, message: str | None = None) -> Object:
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def look(*pods: Object, of: Object | None = None, known: Revision | None = None) -> Workload:
    return workload(of or deployment(), pods, known or revision())


OUT_OF_MEMORY = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
UNSCHEDULED = {
    "type": "PodScheduled",
    "status": "False",
    "message": "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 "
    "nodes are available: 1 Preemption is not helpful for scheduling.",
}


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        pytest.param(
            pod(waiting("ErrImagePull", "failed to resolve reference x:1")),
            "pod p: its image cannot be pulled (failed to resolve reference x:1); correct spec.server.image "
            "or add a pull secret",
            id="image",
        ),
        pytest.param(
            pod(
                waiting(
                    "ImagePullBackOff", 'Back-off pulling image "x:1": ErrImagePull: failed to resolve x:1'
                )
            ),
            "pod p: its image cannot be pulled (failed to resolve x:1); correct spec.server.image or add a "
            "pull secret",
            id="image, waiting for the next try",
        ),
        pytest.param(
            pod(waiting("CreateContainerConfigError", 'configmap "x" not found')),
            'pod p: its container cannot be configured (configmap "x" not found); correct '
            "spec.server.podTemplate",
            id="missing ConfigMap",
        ),
        pytest.param(
            pod(waiting("InvalidImageName")),
            "pod p: its image name is not valid; correct spec.server.image",
            id="image name without a message",
        ),
        pytest.param(
            pod(CRASHED),
            f"container model of pod p crashes (exit code 3, Error); {LOG}",
            id="first crash",
        ),
        pytest.param(
            pod(RUNNING, last=CRASHED, restarts=1),
            f"container model of pod p crashes (exit code 3, Error); {LOG}",
            id="once more after the first crash",
        ),
        pytest.param(
            pod(BACK_OFF, last=CRASHED, restarts=1),
            f"container model of pod p crashes again and again (exit code 3, Error); {LOG}",
            id="crash loop",
        ),
        pytest.param(
            pod(RUNNING, last=CRASHED, restarts=2),
            f"container model of pod p crashes again and again (exit code 3, Error); {LOG}",
            id="crash loop, between two crashes",
        ),
        pytest.param(
            pod(RUNNING, last=OUT_OF_MEMORY, restarts=1),
            "container model of pod p needs more memory than it may have (exit code 137, OOMKilled); raise "
            "spec.server.resources.limits.memory",
            id="out of memory",
        ),
        pytest.param(
            pod(BACK_OFF, last=OUT_OF_MEMORY, restarts=4, called="proxy"),
            "container proxy of pod p needs more memory than it may have again and again (exit code 137, "
            "OOMKilled); raise its resources.limits.memory in spec.server.podTemplate",
            id="out of memory, beside the model",
        ),
        pytest.param(
            pod(BACK_OFF, last=CRASHED, restarts=1, init=True),
            f"container model of pod p crashes again and again (exit code 3, Error); {LOG}",
            id="init container",
        ),
        pytest.param(
            pod(BACK_OFF, last={"terminated": {"exitCode": 0, "reason": "Completed"}}, restarts=1),
            "container model of pod p is restarted again and again (exit code 0, Completed): it ends or does "
            f"not answer GET /v2/health/ready on port 8080 with success; {LOG}",
            id="ends in peace",
        ),
        pytest.param(
            pod({"terminated": {"exitCode": 0, "reason": "Completed"}}, restarts=2),
            "container model of pod p is restarted again and again (exit code 0, Completed): it ends or does "
            f"not answer GET /v2/health/ready on port 8080 with success; {LOG}",
            id="ends in peace, between two restarts",
        ),
        pytest.param(
            pod(NO_PROGRAM),
            'container model of pod p cannot be started: exec: "x": executable file not found in $PATH; '
            "correct spec.server.podTemplate or the image",
            id="no such program",
        ),
        pytest.param(
            pod(BACK_OFF, last=KILLED, restarts=3),
            "container model of pod p is restarted again and again (exit code 137, Error): it ends or does "
            f"not answer GET /v2/health/ready on port 8080 with success; {LOG}",
            id="killed for its probe, in back-off",
        ),
        pytest.param(
            pod(RUNNING, last=KILLED, restarts=1),
            "pod p runs but does not answer GET /v2/health/ready on port 8080 with success and was "
            "restarted; correct spec.server.port or readinessPath if the server answers elsewhere",
            id="killed for its probe, running again",
        ),
        pytest.param(
            pod(
                RUNNING,
                conditions=(
                    {"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-22T12:09:00Z"},
                ),
            ),
            "pod p runs but does not answer GET /v2/health/ready on port 8080 with success; correct "
            "spec.server.port or readinessPath if the server answers elsewhere",
            id="was ready once",
        ),
        pytest.param(
            pod(conditions=(UNSCHEDULED,)),
            "pod p fits on no node: 0/1 nodes are available: 1 Insufficient cpu; lower "
            "spec.server.resources.requests, change podTemplate or add a node",
            id="unschedulable",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_mend(seen: Object, said: str) -> None:
    assert look(seen).problem == said


def test_only_a_crash_loop_is_beyond_waiting_for() -> None:
    assert look(pod(BACK_OFF, last=CRASHED, restarts=1)).fatal
    assert not look(pod(CRASHED)).fatal
    assert not look(pod(waiting("ErrImagePull"))).fatal
    assert not look(pod(conditions=(UNSCHEDULED,))).fatal


def test_a_quota_is_named_but_not_the_pod_that_never_was() -> None:
    refused = 'pods "digits-5f4-x8x2p" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0'
    assert look(of=deployment(refused=refused)).problem == (
        "its pods are refused: exceeded quota: q, requested: pods=1, used: pods=0; change what spec.server "
        "asks for, or what is allowed here"
    )


def test_what_crashes_says_more_than_what_does_not_fit() -> None:
    seen = look(pod(conditions=(UNSCHEDULED,), name="a"), pod(CRASHED, name="b"), of=deployment(wanted=2))
    assert seen.problem
    assert seen.problem.startswith("container model of pod b crashes")


def test_a_model_that_loads_is_awaited_and_nothing_is_wrong() -> None:
    never = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-22T12:00:00Z"}
    seen = look(pod(RUNNING, conditions=(never,)))
    assert seen.problem is None
    assert seen.awaiting == "pod p does not answer GET /v2/health/ready on port 8080 with success yet"


def test_a_pod_whose_volumes_may_be_missing_says_where_to_look() -> None:
    seen = look(pod(waiting("ContainerCreating")))
    assert seen.problem is None
    assert seen.awaiting == "pod p is being created (if that lasts: kubectl describe pod p)"


def test_an_init_container_that_still_runs_is_named() -> None:
    seen = look(pod(RUNNING, init=True, called="fetch"))
    assert seen.problem is None
    assert seen.awaiting == "init container fetch of pod p is not done yet (its log: kubectl logs p -c fetch)"


def test_a_connection_is_all_that_some_servers_are_asked_for() -> None:
    template = {
        "spec": {"containers": [{"name": "model", "readinessProbe": {"tcpSocket": {"port": 7000}}}]},
    }
    seen = look(pod(RUNNING), known=revision(template))
    assert seen.awaiting == "pod p takes no connection on port 7000 yet"


def test_no_field_of_the_user_mends_a_router() -> None:
    seen = workload(deployment(), [pod(waiting("ErrImagePull", "no such image"))], None)
    assert seen.problem == "pod p: its image cannot be pulled (no such image)"


def test_what_is_ready_has_no_problem_whatever_happened_before() -> None:
    seen = look(pod(RUNNING, last=CRASHED, restarts=4, ready=True), of=deployment(ready=1))
    assert (seen.problem, seen.awaiting, seen.restarts) == (None, None, 4)


def test_a_pod_that_ends_is_no_problem() -> None:
    ending = pod(CRASHED)
    ending["metadata"]["deletionTimestamp"] = STARTED
    seen = look(ending)
    assert (seen.problem, seen.restarts) == (None, 0)
