"""Weight follows the pods that are ready, and what an autoscaler has chosen is kept whole.

Where exact sizes are tested the autoscaler's choice is made by hand, at the same subresource, since no two
machines use the same CPU; its bounds are kept by the real one. The last test lets the real one choose, too.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from cluster import UnavailableError, metrics
from e2e.reach import Object, until
from e2e.support import Place, condition, ending, is_ready

pytestmark = pytest.mark.e2e

GROWN = 3
REPLICAS = {"min": 1, "max": 4, "targetCPU": 70}
MEASURED = {
    "replicas": {"min": 1, "max": GROWN, "targetCPU": 50},
    "resources": {"requests": {"cpu": "60m"}},
}
MUCH, LITTLE = 100, 2
"""Requests a second: a pod that answers all of them uses twice the CPU that it requests, or a fifth."""
AT_ONCE = {"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}}
"""An autoscaler otherwise waits for five minutes before it lets pods go."""


def manifest(place: Place, version: str, **rollout: Any) -> Object:
    obj = place.manifest(version)
    obj["spec"]["server"]["replicas"] = REPLICAS
    obj["spec"]["server"]["resources"] = {"requests": {"cpu": "20m"}}
    obj["spec"]["rollout"] |= rollout
    # How soon answers come is the machine's business here.
    metrics = obj["spec"]["monitoring"]["metrics"]
    obj["spec"]["monitoring"]["metrics"] = [one for one in metrics if one["name"] != "p95"]
    return obj


def autoscaler(place: Place, revision: str) -> Object:
    found = place.api.get("HorizontalPodAutoscaler", place.namespace, f"digits-{revision}")
    assert found is not None, f"no autoscaler of {revision}"
    return found


def least(place: Place, revision: str) -> int:
    return int(autoscaler(place, revision)["spec"]["minReplicas"])


def replicas(place: Place, revision: str) -> int:
    found = place.api.get("Deployment", place.namespace, f"digits-{revision}")
    assert found is not None
    return int(found["spec"]["replicas"])


@pytest.fixture
def measured(place: Place) -> Iterator[Place]:
    """A namespace whose autoscalers see the CPU in use.

    What was installed for that goes again, so that nothing interferes where tests choose by hand.
    """
    cluster = place.installed.cluster
    try:
        new = metrics.ensure(cluster)
    except UnavailableError as error:
        pytest.skip(str(error))
    yield place
    if new:
        metrics.remove(cluster)


def hurry(place: Place, revision: str) -> None:
    """Let a revision's autoscaler take pods away as soon as it measures that they are idle."""
    place.api.patch("HorizontalPodAutoscaler", place.namespace, f"digits-{revision}", AT_ONCE)


def wants_fewer(place: Place, revision: str) -> bool:
    """Whether an autoscaler would take pods away if its minimum let it."""
    limited = condition(autoscaler(place, revision).get("status") or {}, "ScalingLimited") or {}
    return limited.get("reason") == "TooFewReplicas"


def test_a_candidate_gets_the_pods_that_its_share_needs_first(place: Place) -> None:
    place.apply(manifest(place, "v1"))
    old = place.until_ready("v1")["status"]["stable"]["revision"]
    place.api.patch("Deployment", place.namespace, f"digits-{old}", {"spec": {"replicas": GROWN}}, "scale")
    until(lambda: len(place.pods(old)) == GROWN, "stable having grown")
    until(lambda: all(map(is_ready, place.pods(old).values())), "its pods being ready")
    with place.load():
        steps = [{"weight": 30, "hold": "3s"}, {"weight": 60, "hold": "3s"}]
        place.apply(manifest(place, "v3", scaling="Proportional", steps=steps, keepPrevious="10m"))
        first = place.until_step("v3", 1)["status"]["candidate"]
        new = first["revision"]
        assert (first["weight"], first["size"], first["demand"]) == (30, 1, GROWN)
        assert least(place, old) == GROWN, "stable is kept whole"
        second = place.until_step("v3", 2)["status"]["candidate"]
        assert (second["weight"], second["size"]) == (60, 2)
        assert replicas(place, new) >= 2
        status = place.until_ready("v3")["status"]
    assert ending(status, "v3")["outcome"] == "Promoted"
    assert replicas(place, new) >= GROWN, "promoted with as many pods as all requests need"
    assert status["previous"]["size"] == GROWN
    until(lambda: least(place, new) == REPLICAS["min"], "the autoscaler being free again")
    assert least(place, old) == GROWN
    assert replicas(place, old) == GROWN, "what was replaced is kept as it was"


def test_an_aborted_candidate_is_never_scaled_up_again(place: Place) -> None:
    place.apply(manifest(place, "v1"))
    place.until_ready("v1")
    steps = [{"weight": 50, "hold": "10m"}]
    place.apply(manifest(place, "v3", steps=steps, drain="8s"))
    trial = place.until_step("v3", 1)["status"]["candidate"]["revision"]
    abort = {"abort": {"revision": trial}}
    place.api.patch("ModelDeployment", place.namespace, "digits", {"spec": {"rollout": {"control": abort}}})
    status = place.until_ended("v3", "Aborted")["status"]
    assert [entry["revision"] for entry in status["draining"]] == [trial]
    called = f"digits-{trial}"
    until(
        lambda: place.api.get("HorizontalPodAutoscaler", place.namespace, called) is None,
        "the end of the candidate's autoscaler while its last answers go out",
    )
    assert replicas(place, trial) == REPLICAS["min"]
    until(lambda: place.api.get("Deployment", place.namespace, called) is None, "the candidate's end")


def test_what_measured_cpu_has_chosen_is_kept_in_a_rollout_and_then_chosen_anew(measured: Place) -> None:
    place = measured
    first = manifest(place, "v1")
    first["spec"]["server"] |= MEASURED
    place.apply(first)
    old = place.until_ready("v1")["status"]["stable"]["revision"]
    hurry(place, old)
    with place.load(rate=LITTLE):
        with place.load(rate=MUCH):
            until(lambda: replicas(place, old) == GROWN, "stable having grown")
            until(lambda: len(place.pods(old)) == GROWN, "its pods being there")
            until(lambda: all(map(is_ready, place.pods(old).values())), "its pods being ready")
            steps = [{"weight": 30, "hold": "10s"}, {"weight": 60, "hold": "10s"}]
            second = manifest(place, "v3", scaling="Proportional", steps=steps, keepPrevious="10m")
            second["spec"]["server"] |= MEASURED
            place.apply(second)
            new = place.until_step("v3", 1)["status"]["candidate"]["revision"]
            assert (least(place, old), least(place, new)) == (GROWN, 1)
            place.until_step("v3", 2)
            assert (least(place, old), least(place, new)) == (GROWN, 2)
            status = place.until_ready("v3")["status"]
            assert ending(status, "v3")["outcome"] == "Promoted"
            assert replicas(place, new) == GROWN
        until(lambda: least(place, new) == 1, "the autoscaler being free again")
        hurry(place, new)
        until(lambda: replicas(place, new) == 1, "what is left after the load")
        until(lambda: wants_fewer(place, old), "an autoscaler that measures idle pods")
        assert replicas(place, old) == GROWN, "what was replaced is kept as it was"
