"""The chart's release comes, changes and goes; what serves goes on serving, on the same pods."""

import time
from collections.abc import Iterator

import pytest

from e2e.reach import until
from e2e.support import CRD, RELEASE, SYSTEM, Installation, Place, is_ready, restarts

pytestmark = pytest.mark.e2e

LISTED = (
    "all,configmaps,serviceaccounts,secrets,leases,networkpolicies,poddisruptionbudgets,"
    "roles,rolebindings,clusterroles,clusterrolebindings,customresourcedefinitions"
)


@pytest.fixture(scope="module")
def digits(installed: Installation) -> Iterator[Place]:
    with installed.place() as place:
        place.apply(place.manifest("v1"))
        place.until_ready("v1")
        yield place


def everything(place: Place) -> dict[str, int]:
    """All pods that serve, with their restarts."""
    return restarts(place.pods() | place.pods(router=True))


def assert_acts(place: Place, keep_previous: str) -> None:
    """The operator takes up a change of the spec, and nothing but that."""
    obj = place.manifest("v1")
    obj["spec"]["rollout"]["keepPrevious"] = keep_previous
    place.apply(obj)
    place.until_ready("v1", timeout=40)


def released(installed: Installation) -> set[str]:
    """Everything in the cluster that carries the release's label."""
    selector = f"--selector=app.kubernetes.io/instance={RELEASE},app.kubernetes.io/part-of=modeldeploy"
    shown = installed.cluster.run_kubectl("get", LISTED, "--all-namespaces", selector, "--output=name")
    return set(shown.split())


def test_an_upgrade_of_the_operator_restarts_no_pod_and_starts_no_candidate(digits: Place) -> None:
    before, pods, status = digits.versions(), everything(digits), digits.status()
    (old,) = digits.installed.pods("operator")
    with digits.load() as load:
        digits.installed.install(**{"podAnnotations.example\\.com/upgraded": "again"})
        until(
            lambda: (
                [
                    one
                    for one in digits.installed.pods("operator")
                    if one["metadata"]["uid"] != old["metadata"]["uid"]
                ]
                == digits.installed.pods("operator")
            ),
            "the end of the old operator",
        )
        assert_acts(digits, "11m")
        seen = load.snapshot()
        until(lambda: load.snapshot().ok > seen.ok + 30, "answers")

    assert everything(digits) == pods
    assert digits.versions() == before
    after = digits.status()
    assert after["stable"] == status["stable"]
    assert after["history"] == status["history"]
    assert after["trafficGeneration"] == status["trafficGeneration"]


def test_uninstalled_it_strands_nothing_and_what_serves_goes_on(digits: Place) -> None:
    installed = digits.installed
    before, pods = digits.versions(), everything(digits)
    # Only what is the release's own is found, whatever else the cluster has.
    assert f"deployment.apps/{RELEASE}" in released(installed)
    with digits.load() as load:
        installed.uninstall()
        try:
            kept = f"customresourcedefinition.apiextensions.k8s.io/{CRD}"
            until(lambda: released(installed) <= {kept}, lambda: f"the end of {released(installed)}")
            digits.kubectl("get", "mdep", "digits")
            leases = installed.api.list("Lease", SYSTEM)
            assert not [lease["metadata"]["name"] for lease in leases]
            seen = load.snapshot()
            until(lambda: load.snapshot().ok > seen.ok + 90, "answers without the release")
            assert everything(digits) == pods
            assert digits.versions() == before
        finally:
            installed.install()

        # Installed again, it goes on with what it finds.
        assert_acts(digits, "12m")
        assert everything(digits) == pods
        assert digits.versions() == before
        assert "candidate" not in digits.status()

        # And it looks after it again.
        name = f"digits-{digits.status()['stable']['revision']}"
        digits.api.delete("PodDisruptionBudget", digits.namespace, name)
        until(lambda: digits.api.get("PodDisruptionBudget", digits.namespace, name), "the budget's return")
        time.sleep(1)
    assert all(map(is_ready, digits.pods(router=True).values()))
