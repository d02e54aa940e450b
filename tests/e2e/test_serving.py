"""What a first deployment makes, that it stays as it is, and that nothing is written twice."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from e2e.reach import Object, until
from e2e.support import ROUTER, Installation, Place, restarts, stands

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Served(Place):
    """A namespace in which v1 is Ready, and the moment before it was applied."""

    since: str

    @property
    def revision(self) -> str:
        return str(self.status()["stable"]["revision"])

    @property
    def called(self) -> str:
        """The name of the objects of v1's revision."""
        return f"digits-{self.revision}"

    def deployment(self) -> Object:
        found = self.api.get("Deployment", self.namespace, self.called)
        assert found is not None
        return found

    def living(self) -> dict[str, int]:
        """All pods but those that are ending, by UID, with their restarts."""
        pods = self.pods() | self.pods(router=True)
        ending = {uid for uid, pod in pods.items() if pod["metadata"].get("deletionTimestamp")}
        return {uid: count for uid, count in restarts(pods).items() if uid not in ending}

    def change(self, part: str, **fields: object) -> None:
        """Apply v1 with other fields of a part of its spec, and wait until that was looked at."""
        obj = self.manifest("v1")
        obj["spec"][part] |= fields
        self.apply(obj)
        self.until_ready("v1")


@pytest.fixture(scope="module")
def served(installed: Installation) -> Iterator[Served]:
    with installed.place() as place:
        since = place.api.moment("Deployment", place.namespace)
        place.apply(place.manifest("v1"))
        place.kubectl("wait", "--for=condition=Ready", "modeldeployment/digits", "--timeout=90s", timeout=100)
        yield Served(place.installed, place.namespace, since)


def test_the_first_version_is_ready_and_answers(served: Served) -> None:
    with served.load() as load:
        until(lambda: load.snapshot().ok >= 40, "40 answers")
        status = served.status()

    assert set(load.snapshot().revisions) == {served.revision}
    assert {kind: stands(status, kind) for kind in ("Ready", "Available", "Healthy", "Progressing")} == {
        "Ready": True,
        "Available": True,
        "Healthy": True,
        "Progressing": False,
    }
    assert status["history"][0]["reason"] == "FirstDeployment"
    assert {event["reason"] for event in served.events()} == {"RolloutStarted", "Promoted"}


def test_a_revision_is_recorded_before_anything_of_it_runs(served: Served) -> None:
    def first_write(kind: str) -> int:
        written = served.api.history(kind, served.namespace, served.since)
        return min(
            int(obj["metadata"]["resourceVersion"])
            for obj in written
            if obj["metadata"]["name"] == served.called
        )

    assert first_write("ControllerRevision") < first_write("Deployment") < first_write("Service")


def test_everything_belongs_to_the_object_and_only_the_router_to_several(served: Served) -> None:
    model, children = served.model(), served.children()

    assert sorted(children) == sorted(
        [
            *(f"{kind}/{served.called}" for kind in ("ControllerRevision", "Deployment", "Service")),
            f"PodDisruptionBudget/{served.called}",
            "Service/digits",
            *(f"{kind}/{ROUTER}" for kind in ("Deployment", "ServiceAccount", "PodDisruptionBudget")),
            *(key for key in children if key.startswith(f"ConfigMap/{ROUTER}-")),
        ]
    )
    for key, child in children.items():
        (owner,) = child["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("ModelDeployment", model["metadata"]["uid"]), key
        assert owner.get("controller", False) == (ROUTER not in key), key


def test_no_pod_may_more_than_restricted_security_admits(served: Served) -> None:
    # The namespace admits nothing else; this is what the pods say of themselves.
    pods = [*served.pods().values(), *served.pods(router=True).values()]

    assert len(pods) == 4
    for pod in pods:
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["automountServiceAccountToken"] is False
        for container in pod["spec"]["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }


def test_columns_tell_where_it_stands(served: Served) -> None:
    heading, line = served.kubectl("get", "mdep", "--output=wide").splitlines()

    names = ("NAME", "PHASE", "STEP", "WEIGHT", "VERDICT", "STABLE", "CANDIDATE", "MESSAGE", "AGE")
    assert set(heading.split()) == set(names)
    shown = {name: line[heading.index(name) :] for name in names}
    assert shown["NAME"].startswith("digits ")
    assert shown["PHASE"].startswith("Healthy ")
    assert shown["STABLE"].startswith("v1 ")
    assert shown["MESSAGE"].strip() == served.status()["message"]


def test_edits_of_fields_that_are_ours_are_undone_and_others_stay(served: Served) -> None:
    pods = served.living()
    spec = {"strategy": {"rollingUpdate": {"maxUnavailable": 1}}, "replicas": 3}
    theirs = {"metadata": {"annotations": {"example.com/note": "theirs"}}}
    api, namespace, called = served.api, served.namespace, served.called

    api.patch("Deployment", namespace, called, {"spec": spec} | theirs)
    api.patch("Service", namespace, "digits", {"spec": {"selector": {"stolen": "yes"}}})
    api.patch("PodDisruptionBudget", namespace, called, {"spec": {"maxUnavailable": 2}})
    api.delete("Service", namespace, called)

    def mended() -> bool:
        deployment, lead = served.deployment(), api.get("Service", namespace, "digits")
        budget = api.get("PodDisruptionBudget", namespace, called)
        assert lead is not None
        assert budget is not None
        return (
            deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
            and deployment["spec"]["replicas"] == 2
            and deployment["metadata"]["annotations"]["example.com/note"] == "theirs"
            and "stolen" not in lead["spec"]["selector"]
            and budget["spec"]["maxUnavailable"] == 1
            and api.get("Service", namespace, called) is not None
        )

    until(mended, lambda: f"the fields mended\n{served.children()}", timeout=10)
    served.until_ready("v1")
    assert served.living() == pods
    with served.load() as load:
        until(lambda: load.snapshot().ok >= 20, "20 answers after the mending")
    until(lambda: len(served.pods()) == 2, "the end of the third pod")


def test_looking_again_writes_no_child(served: Served) -> None:
    before = served.versions()

    assert "unchanged" in served.apply(served.manifest("v1"))
    for number in range(3):
        note = {"metadata": {"annotations": {"example.com/look": str(number)}}}
        served.api.patch("ModelDeployment", served.namespace, "digits", note)
        time.sleep(0.5)

    assert served.versions() == before


def test_a_new_operator_writes_no_child_and_restarts_no_pod(served: Served) -> None:
    before, pods = served.versions(), served.living()

    with served.installed.without():
        pass
    served.change("rollout", keepPrevious="11m")  # no child feels it; the look at it is the new operator's

    assert served.versions() == before
    assert served.living() == pods


def test_an_autoscaler_takes_over_and_gives_back_without_a_dip(served: Served) -> None:
    pods = served.living()
    since = served.api.moment("Deployment", served.namespace)

    def autoscaler() -> Object | None:
        return served.api.get("HorizontalPodAutoscaler", served.namespace, served.called)

    assert autoscaler() is None
    autoscaled = {"min": 1, "max": 3, "targetCPU": 80}
    served.change("server", replicas=autoscaled)
    found = until(autoscaler, "the autoscaler", timeout=10)
    assert found is not None
    assert (found["spec"]["minReplicas"], found["spec"]["maxReplicas"]) == (1, 3)
    assert found["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 80
    assert served.living() == pods

    # What the autoscaler chooses stays, also when the operator looks again and applies the Deployment anew.
    served.api.patch("Deployment", served.namespace, served.called, {"spec": {"replicas": 3}}, "scale")
    served.change("server", replicas=autoscaled, startupTimeout="3m")
    until(lambda: served.deployment()["spec"]["progressDeadlineSeconds"] == 240, "the look", timeout=10)
    assert served.deployment()["spec"]["replicas"] == 3

    served.change("server", replicas={"min": 2})
    until(lambda: autoscaler() is None, "the autoscaler's end", timeout=10)
    until(lambda: served.deployment()["spec"]["replicas"] == 2, "the number in spec", timeout=10)
    written = served.api.history("Deployment", served.namespace, since)
    counts = [obj["spec"]["replicas"] for obj in written if obj["metadata"]["name"] == served.called]
    assert set(counts) == {2, 3}
