"""What users get wrong while a version serves: it is said on the object, and what serves goes on serving."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from digits.load import Load
from e2e.faults import FAULTS, Fault
from e2e.messages import calm, hears
from e2e.reach import Object, until
from e2e.support import OURS, SILENT, Installation, Place, condition, is_ready, restarts, stands
from modeldeploy.core import naming

pytestmark = pytest.mark.e2e

QUERY = {"name": "q", "category": "Output", "max": 1}


@dataclass(frozen=True)
class Served:
    """A model that serves, under a steady load."""

    place: Place
    load: Load

    def good(self) -> Object:
        """What serves: one small pod."""
        obj = self.place.manifest("v1")
        obj["spec"]["server"]["replicas"] = {"min": 1}
        return obj

    def canary(self, hold: str = "60s") -> Object:
        """The same model by another name, which stays at its first step."""
        obj = self.good()
        obj["spec"]["model"]["version"] = "v1b"
        obj["spec"]["rollout"]["steps"][0]["hold"] = hold
        return obj

    def with_metric(self, **metric: Any) -> Object:
        obj = self.good()
        obj["spec"]["monitoring"]["metrics"].append(QUERY | metric)
        return obj

    def pods(self) -> dict[str, int]:
        """Restarts by UID of the pods that serve."""
        pods = self.place.pods(self.place.status()["stable"]["revision"])
        mine = {uid: pod for uid, pod in pods.items() if pod["metadata"]["labels"][naming.NAME] == "digits"}
        return restarts(mine)

    def mend(self) -> None:
        """Go back to what serves."""
        self.place.apply(self.good())
        self.place.until_ready("v1")
        selector = f"{OURS},{naming.NAME}=digits"
        until(
            lambda: len(self.place.api.list("Deployment", self.place.namespace, selector)) == 1,
            "the end of the other version",
        )


@pytest.fixture(scope="module")
def loaded(installed: Installation) -> Iterator[Served]:
    with installed.place() as place:
        obj = place.manifest("v1")
        obj["spec"]["server"]["replicas"] = {"min": 1}
        place.apply(obj)
        place.until_ready("v1")
        with place.load(rate=20) as load:
            yield Served(place, load)


@pytest.fixture
def served(loaded: Served, installed: Installation) -> Iterator[Served]:
    """In the end it serves as before, no request was lost, and the operator wasn't surprised."""
    before, pods = loaded.load.snapshot(), loaded.pods()
    with calm(installed):
        yield loaded
        loaded.mend()
    after = loaded.load.snapshot()
    assert after.failed == before.failed, after.first_failure
    assert after.ok > before.ok
    assert loaded.pods() == pods, "the pods that serve were replaced or restarted"


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_version_that_cannot_run_says_why_and_gets_no_request(served: Served, fault: Fault) -> None:
    obj, place, sign = served.good(), served.place, fault.sign
    obj["spec"]["model"]["version"] = "v2"
    obj["spec"]["server"] |= fault.server
    place.apply(obj)
    hears(
        place, fault.reason, *fault.words, "version v1 serves", sign=(lambda: sign(place)) if sign else None
    )
    status = place.status()
    assert (status["stable"]["modelVersion"], status["stable"]["weight"]) == ("v1", 100)
    assert (condition(status, "Available") or {})["status"] == "True"


def test_a_version_that_never_gets_ready_is_given_up_at_its_deadline(served: Served) -> None:
    obj = served.good()
    obj["spec"]["model"]["version"] = "v2"
    obj["spec"]["server"] |= {"resources": {"requests": {"cpu": "1000"}}, "startupTimeout": "1s"}
    obj["spec"]["rollout"]["progressDeadline"] = "2s"
    served.place.apply(obj)
    began = "version v2 was rolled back: not ready after 3s: pod digits-"
    hears(served.place, "RolledBack", began, "fits on no node", "version v1 serves", sign=lambda: False)
    assert stands(served.place.status(), "Stalled")


SPECS = {
    "a query that does not parse": (
        {"metrics": [QUERY | {"query": "sum(rate("}]},
        "spec.monitoring.metrics[q].query: does not parse as PromQL: unclosed left parenthesis",
    ),
    "a query for another namespace": (
        {"metrics": [QUERY | {"query": 'sum(up{namespace="kube-system"})'}]},
        'spec.monitoring.metrics[q].query: asks for namespace "kube-system"; only the object\'s own',
    ),
    "a metrics store that nobody allowed": (
        {"prometheus": {"url": "http://metrics.example:9090"}, "metrics": [QUERY | {"query": "sum(up)"}]},
        "is not on the operator's allow-list; add it to the chart value prometheus.allowedURLs",
    ),
    "credentials for everybody to read": (
        {
            "prometheus": {"url": "http://me:hunter2@metrics.example"},
            "metrics": [QUERY | {"query": "sum(up)"}],
        },
        "spec.monitoring.prometheus.url: holds credentials, which all could read here; use secretName",
    ),
}


@pytest.mark.parametrize(("monitoring", "said"), SPECS.values(), ids=SPECS.keys())
def test_what_cannot_be_asked_is_refused_and_touches_nothing(
    served: Served, monitoring: Object, said: str
) -> None:
    before = served.place.versions()
    obj = served.good()
    obj["spec"]["monitoring"] = monitoring
    served.place.apply(obj)
    message = hears(served.place, "InvalidSpec", said, "version v1 serves")
    assert "hunter2" not in message
    assert served.place.versions() == before


def test_a_query_reads_its_own_namespace_only(served: Served) -> None:
    served.place.apply(served.with_metric(query="count(up)", max=1000))

    def so(status: Object) -> bool:
        seen = {entry["name"]: entry for entry in status.get("metrics", [])}
        return "q" in seen and seen["q"]["verdict"] == "Pass"

    found = served.place.until(so, "a number for the query")["status"]["metrics"][-1]
    ours = [pod for pod in served.place.api.list("Pod", served.place.namespace) if is_ready(pod)]
    assert int(found["candidate"]) == len(ours), "the chart's own pods are targets too, elsewhere"


def test_a_query_of_several_series_says_how_to_make_it_one(served: Served) -> None:
    served.place.apply(served.with_metric(query="up"))
    said = "series where one is expected; aggregate with sum()"
    assert hears(served.place, "Promoted", "version v1 serves; q: the query yields", said)


def test_a_metrics_store_that_does_not_answer_holds_a_canary(served: Served) -> None:
    obj = served.canary(hold="2s")
    obj["spec"]["monitoring"]["prometheus"] = {"url": SILENT}
    served.place.apply(obj)
    since = time.monotonic()
    served.place.until_step("v1b")
    hears(served.place, "Progressing", "canary v1b at 30%", f"Prometheus at {SILENT}: connection refused")
    time.sleep(max(0.0, 4.0 - (time.monotonic() - since)))
    candidate = served.place.status()["candidate"]
    assert (candidate["weight"], candidate["step"]) == (30, 1), "nothing was measured"


def test_an_invalid_edit_in_mid_canary_leaves_the_weights_and_mended_it_goes_on(served: Served) -> None:
    place = served.place
    place.apply(served.canary())
    before = place.until_step("v1b")["status"]
    obj = served.canary()
    obj["spec"]["monitoring"]["metrics"].append(QUERY | {"query": "sum("})
    place.apply(obj)
    hears(place, "InvalidSpec", "does not parse as PromQL", "version v1 serves")
    for track in ("stable", "candidate"):
        assert place.status()[track] == before[track]
    revision = before["candidate"]["revision"]
    answered = served.load.snapshot().revisions[revision].answers
    until(
        lambda: served.load.snapshot().revisions[revision].answers > answered,
        "an answer by the candidate",
        timeout=10,
    )
    place.apply(served.canary())
    hears(place, "Progressing", "canary v1b at 30%: step 1 of 2")
    assert place.status()["candidate"] == before["candidate"], "it goes on where it was"


def test_a_foreign_deployment_under_a_revisions_name_is_left_alone(served: Served) -> None:
    place, obj = served.place, served.canary()
    obj["spec"]["model"]["version"] = "v1c"
    called = naming.object_name("digits", naming.revision_name(naming.revision_content(obj["spec"]), {}))
    place.kubectl("create", "deployment", called, "--image=localhost/theirs", "--replicas=0")

    def theirs() -> Object | None:
        found = place.api.get("Deployment", place.namespace, called)
        return found if found and "observedGeneration" in found["status"] else None

    before = until(theirs, "the foreign Deployment's status")
    place.apply(obj)
    hears(place, "NameConflict", f"Deployment {called} is in the way", "version v1 serves")
    assert theirs() == before
    place.kubectl("delete", "deployment", called)
    hears(place, "Progressing", "version v1c", "version v1 serves")
