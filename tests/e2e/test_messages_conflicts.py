"""What stands in the way of a first deployment: taken names, quotas, missing rights, names too long."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster import ClusterError
from cluster.shell import run
from e2e.messages import PROMPT, calm, containers, hears
from e2e.reach import Object, until
from e2e.support import OURS, RELEASE, ROUTER, SYSTEM, Installation, Place, condition

pytestmark = pytest.mark.e2e

ROLE = f"{RELEASE}-{SYSTEM}"


@pytest.fixture(autouse=True)
def _calm(installed: Installation) -> Iterator[None]:
    with calm(installed):
        yield


def _idle(place: Place, name: str = "digits") -> Object:
    """An object whose pods wait for a node that there is not: enough to see what is made, and cheap."""
    obj = place.manifest("v1", name=name)
    obj["spec"]["server"]["resources"] = {"requests": {"cpu": "1000"}}
    return obj


def _ours(place: Place, kind: str, name: str) -> Callable[[], bool]:
    def look() -> bool:
        found = place.api.get(kind, place.namespace, name)
        return found is not None and bool(found["metadata"].get("ownerReferences"))

    return look


def test_a_service_of_the_users_under_the_objects_name_is_left_alone(place: Place) -> None:
    place.kubectl("create", "service", "clusterip", "digits", "--tcp=80:80")
    before = place.api.get("Service", place.namespace, "digits")
    place.apply(_idle(place))
    hears(place, "NameConflict", "Service digits is in the way", "is left alone. Delete or rename it")
    assert place.api.get("Service", place.namespace, "digits") == before
    assert not place.api.list("Deployment", place.namespace, "modeldeploy.dev/name=digits")
    place.kubectl("delete", "service", "digits")
    until(_ours(place, "Service", "digits"), "the Service, once its name is free", timeout=PROMPT)
    hears(place, "PodsNotReady", "fits on no node", sign=lambda: False)


def test_a_foreign_router_is_left_alone_and_told_on_the_object(place: Place) -> None:
    place.kubectl("create", "deployment", ROUTER, "--image=localhost/theirs", "--replicas=0")

    def theirs() -> Object | None:
        found = place.api.get("Deployment", place.namespace, ROUTER)
        return found if found and "observedGeneration" in found["status"] else None

    before = until(theirs, "the foreign Deployment's status")
    place.apply(_idle(place))
    hears(place, "NameConflict", f"Deployment {ROUTER} is in the way", "Delete or rename it")
    assert theirs() == before
    place.kubectl("delete", "deployment", ROUTER)
    until(_ours(place, "Deployment", ROUTER), "the router, once its name is free", timeout=PROMPT)
    hears(place, "PodsNotReady", "fits on no node", sign=lambda: False)


def test_a_quota_is_named(place: Place) -> None:
    place.kubectl("create", "quota", "none", "--hard=pods=0")
    place.apply(place.manifest("v1"))

    def refused() -> bool:
        found = place.api.list("Deployment", place.namespace, "modeldeploy.dev/name=digits")
        return any(condition(one["status"], "ReplicaFailure") for one in found)

    hears(
        place, "PodsNotReady", "its pods are refused: exceeded quota: none, requested: pods=1", sign=refused
    )


def test_a_right_that_the_operator_lacks_is_named_and_it_goes_on_once_it_has_it(
    place: Place, installed: Installation
) -> None:
    run = installed.cluster.run_kubectl
    role = json.loads(run("get", "clusterrole", ROLE, "--output=json"))
    del role["metadata"]["resourceVersion"]
    without = [
        rule | {"verbs": ["get", "list", "watch"]} if "services" in rule["resources"] else rule
        for rule in role["rules"]
    ]
    assert without != role["rules"]
    try:
        run(
            "apply",
            "--server-side",
            "--force-conflicts",
            "--filename=-",
            given=json.dumps(role | {"rules": without}),
        )
        place.apply(_idle(place))
        hears(place, "ApplyFailed", "services", "is forbidden", "it will be tried again")
    finally:
        run("replace", "--filename=-", given=json.dumps(role))
    until(_ours(place, "Service", "digits"), "the Service, once it may be made")


@pytest.mark.parametrize("length", [53, 63])
def test_a_name_too_long_is_refused_at_once(place: Place, length: int) -> None:
    obj = place.manifest("v1", name="d" * length)
    with pytest.raises(ClusterError, match=f"has {length} characters, but at most 52 fit.*by {length - 52}"):
        place.apply(obj)
    assert not place.api.list("ModelDeployment", place.namespace)


def test_the_longest_name_serves_once_its_first_version_is_mended(place: Place) -> None:
    name = "d" * 52
    good = place.manifest("v1", name=name)
    good["spec"]["server"]["replicas"] = {"min": 1}
    bad = json.loads(json.dumps(good))
    bad["spec"]["model"]["version"] = "v0"
    model = bad["spec"]["server"]["podTemplate"]["spec"]["containers"][0]
    model["command"] = ["python3", "-c", "raise SystemExit(3)"]
    place.apply(bad)
    hears(
        place,
        "PodsNotReady",
        "version v0: container model of pod",
        "(exit code 3, Error)",
        name=name,
        sign=lambda: any("terminated" in one["state"] | one["lastState"] for one in containers(place, name)),
    )
    place.apply(good)
    place.until_ready("v1", name=name)
    with place.load(rate=10, name=name):
        until(
            lambda: (
                len(place.api.list("Deployment", place.namespace, f"{OURS},modeldeploy.dev/name={name}")) == 1
            ),
            "the end of what never served",
        )


def test_a_certificate_that_is_not_there_is_told_until_it_is(place: Place, tmp_path: Path) -> None:
    obj = place.manifest("v1", replicas=1)
    obj["spec"]["traffic"] = {"tls": {"secretName": "web"}}
    place.apply(obj)
    place.until_ready("v1")
    found = place.until(lambda status: condition(status, "TrafficLimited"), "the word on the object")[
        "status"
    ]
    told = condition(found, "TrafficLimited") or {}
    assert told["reason"] == "CertificateMissing"
    assert "no certificate in Secret web" in told["message"]
    assert "create it, of type kubernetes.io/tls" in told["message"]
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    asked = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=digits", "-days", "1"]
    run([*asked, "-keyout", key, "-out", certificate])
    place.kubectl("create", "secret", "tls", "web", f"--cert={certificate}", f"--key={key}")
    place.until(lambda status: not condition(status, "TrafficLimited"), "its end", timeout=120)
