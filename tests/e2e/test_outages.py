"""What must go on while a part is away: the operator, Prometheus, pods, the object itself, its namespace."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.reach import Object, until
from e2e.support import RELEASE, ROUTER, SYSTEM, Installation, Place, is_ready, restarts

pytestmark = pytest.mark.e2e

LONG = [{"weight": 30, "hold": "10m"}]
PROMETHEUS = f"{RELEASE}-prometheus"


@pytest.fixture(scope="module")
def stage(installed: Installation) -> Iterator[Place]:
    with installed.place() as place:
        yield place


@pytest.fixture
def digits(stage: Place) -> Place:
    """The model with v1 as stable on two pods, whatever was tried before."""
    stage.apply(stage.manifest("v1"))
    stage.until_ready("v1")
    return stage


def on_trial(place: Place, called: str, steps: list[Object], replicas: int = 2) -> Object:
    """A good candidate in its first step."""
    obj = place.manifest("v3", called=called, replicas=replicas)
    obj["spec"]["rollout"]["steps"] = steps
    place.apply(obj)
    return place.until_step(called)


def replace(place: Place, uid: str, *, router: bool = False) -> None:
    """End a pod as a drain of its node does, and wait for its successor; a router's can't get ready alone."""
    pods = place.pods(router=router)
    place.api.delete("Pod", place.namespace, pods[uid]["metadata"]["name"])

    def replaced() -> bool:
        now = {one: pod for one, pod in place.pods(router=router).items() if one not in pods}
        return bool(now) and (router or any(map(is_ready, now.values())))

    until(replaced, "the successor of a pod")


def kill_operator(installed: Installation) -> None:
    """SIGKILL, from outside the pod: a container's first process is safe from those beside it."""
    (pod,) = installed.pods("operator")
    uid = pod["metadata"]["uid"]
    before = restarts({uid: pod})[uid]
    killed = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            group = (process / "cgroup").read_text()
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile
        if (uid in group or uid.replace("-", "_") in group) and b"modeldeploy" in words:
            os.kill(int(process.name), signal.SIGKILL)
            killed += 1
    if not killed:
        pytest.skip("the operator's process is not on this machine, so it can't be killed")

    def back() -> bool:
        found = {one["metadata"]["uid"]: one for one in installed.pods("operator")}
        return restarts(found)[uid] > before and is_ready(found[uid])

    until(back, "the operator after SIGKILL")


def failures(installed: Installation) -> float:
    """Reconciles of the running operator that raised, so far."""
    shown = installed.cluster.run_kubectl(
        "get", "--raw", f"/api/v1/namespaces/{SYSTEM}/services/{RELEASE}-metrics:metrics/proxy/metrics"
    )
    name = "modeldeploy_reconcile_failures_total "
    return float(next(line for line in shown.splitlines() if line.startswith(name)).split()[1])


def test_without_operator_traffic_goes_on_and_finds_pods_that_were_replaced(digits: Place) -> None:
    if not digits.installed.cluster.pod_reachable:
        pytest.skip("this machine reaches a single forwarded router, so none may be replaced")
    models, routers = list(digits.pods()), list(digits.pods(router=True))
    with digits.load() as load:
        with digits.installed.without():
            # Of the addresses that the routers were told, none is left.
            for uid in models:
                replace(digits, uid)
            replace(digits, routers[0], router=True)
            until(lambda: digits.pods(router=True).keys().isdisjoint(routers[:1]), "the end of the router")
            until(lambda: digits.pods().keys().isdisjoint(models), "the end of the model's pods")
            alone = load.snapshot()
            until(lambda: load.snapshot().ok > alone.ok + 60, "answers by pods that no operator told of")
            new = [pod for uid, pod in digits.pods(router=True).items() if uid not in routers]
            # Better not Ready than Ready without routes.
            assert [is_ready(pod) for pod in new] == [False]
        until(lambda: all(map(is_ready, digits.pods(router=True).values())), "both routers being ready")
        digits.until_ready("v1")


def test_a_killed_operator_goes_on_from_the_same_step(digits: Place) -> None:
    since = digits.api.moment("ModelDeployment", digits.namespace)
    with digits.load() as load:
        before = on_trial(digits, "killed", [{"weight": 30, "hold": "10s"}, {"weight": 60, "hold": "1s"}])
        kill_operator(digits.installed)
        status = digits.until_ready("killed")["status"]

    written = digits.api.history("ModelDeployment", digits.namespace, since)
    candidates = [obj["status"].get("candidate") for obj in written if "status" in obj]
    steps = [(one["step"], one["stepStartedAt"]) for one in candidates if one]
    # Each step began once, in order; none was repeated, skipped or begun anew.
    assert [number for number, _ in sorted(set(steps))] == [0, 1, 2]
    assert steps == sorted(steps)
    assert dict(steps)[1] == before["status"]["candidate"]["stepStartedAt"]
    assert [entry["modelVersion"] for entry in status["history"]].count("killed") == 1
    assert set(load.snapshot().revisions) == {
        before["status"]["stable"]["revision"],
        status["stable"]["revision"],
    }


def test_without_prometheus_a_canary_holds_says_so_and_goes_on_after(digits: Place) -> None:
    with digits.load():
        before = on_trial(digits, "unmeasured", [{"weight": 30, "hold": "3s"}])["status"]["candidate"]
        with digits.installed.without(PROMETHEUS):
            told = digits.until(
                lambda status: str(status.get("verdict", "")).startswith("Error: "), "a word about it"
            )["status"]
            assert "waits for p95 (Prometheus at http" in told["message"]
            ready = next(one for one in told["conditions"] if one["type"] == "Ready")
            assert (ready["status"], ready["reason"]) == ("False", "Progressing")
            time.sleep(4)  # longer than the hold
            assert digits.status()["candidate"] == before
        digits.until_ready("unmeasured")


def test_deleted_in_mid_canary_it_takes_everything_along_but_what_others_need(place: Place) -> None:
    other = place.manifest("v1", replicas=1, name="other")
    place.apply(place.manifest("v1", replicas=1))
    place.apply(other)
    place.until_ready("v1")
    place.until_ready("v1", name="other")
    on_trial(place, "ends", LONG, replicas=1)

    with place.load(name="other") as load:
        place.kubectl("delete", "mdep", "digits")
        until(lambda: not place.children("modeldeploy.dev/name=digits"), "the end of its objects")
        until(lambda: not any(map(is_ready, pods_of(place, "digits"))), "the end of its pods")
        gone = load.snapshot()
        until(lambda: load.snapshot().ok > gone.ok + 60, "answers of the other model")
        assert place.children().keys() >= {"Service/other", f"Deployment/{ROUTER}"}

    # With the last object the router goes too, and nobody makes it again.
    place.kubectl("delete", "mdep", "other")
    until(lambda: not place.children(), lambda: f"the end of {list(place.children())}")
    time.sleep(2)
    assert not place.children()
    until(lambda: not any(map(is_ready, place.pods(router=True).values())), "the end of the routers")


def test_deleted_in_mid_canary_while_the_operator_is_away(place: Place) -> None:
    place.apply(place.manifest("v1", replicas=1))
    place.until_ready("v1")
    on_trial(place, "ends", LONG, replicas=1)

    with place.installed.without():
        place.kubectl("delete", "mdep", "digits")
        until(lambda: not place.children(), lambda: f"the end of {list(place.children())}")
        until(lambda: not any(map(is_ready, pods_of(place, "digits"))), "the end of its pods")
        until(lambda: not any(map(is_ready, place.pods(router=True).values())), "the end of its routers")
    # The operator that comes back finds nothing to do.
    time.sleep(1)
    assert not place.children()


def test_a_namespace_deleted_in_mid_canary_ends_and_nothing_is_made_in_it(installed: Installation) -> None:
    failed = failures(installed)
    with installed.place() as place:
        place.apply(place.manifest("v1", replicas=1))
        place.until_ready("v1")
        on_trial(place, "ends", LONG, replicas=1)

        installed.remove(place.namespace)
        until(lambda: installed.api.get("Namespace", None, place.namespace) is None, "the namespace's end")

    # One write may cross the object's end; the retry finds nothing to do.
    assert failures(installed) <= failed + 1
    log = installed.cluster.run_kubectl("logs", "--namespace", SYSTEM, f"deployment/{RELEASE}")
    assert "Traceback" not in log


def pods_of(place: Place, name: str) -> list[Object]:
    return place.api.list("Pod", place.namespace, f"modeldeploy.dev/name={name}")
