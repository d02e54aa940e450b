"""Weight follows the pods that are ready, and what an autoscaler has chosen is kept whole.

The test cluster has no metrics API, so the autoscaler's choice is made by hand, at the same subresource. Its
bounds are kept by the real one.
"""

from typing import Any

import pytest

from e2e.reach import Object, until
from e2e.support import Place, ending, is_ready

pytestmark = pytest.mark.e2e

GROWN = 3
REPLICAS = {"min": 1, "max": 4, "targetCPU": 70}


def manifest(place: Place, version: str, **rollout: Any) -> Object:
    obj = place.manifest(version)
    obj["spec"]["server"]["replicas"] = REPLICAS
    obj["spec"]["server"]["resources"] = {"requests": {"cpu": "20m"}}
    obj["spec"]["rollout"] |= rollout
    return obj


def autoscaler(place: Place, revision: str) -> Object:
    found = place.api.get("HorizontalPodAutoscaler", place.namespace, f"digits-{revision}")
    assert found is not None, f"no autoscaler of {revision}"
    spec: Object = found["spec"]
    return spec


def replicas(place: Place, revision: str) -> int:
    found = place.api.get("Deployment", place.namespace, f"digits-{revision}")
    assert found is not None
    return int(found["spec"]["replicas"])


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
        assert autoscaler(place, old)["minReplicas"] == GROWN, "stable is kept whole"
        second = place.until_step("v3", 2)["status"]["candidate"]
        assert (second["weight"], second["size"]) == (60, 2)
        assert replicas(place, new) >= 2
        status = place.until_ready("v3")["status"]
    assert ending(status, "v3")["outcome"] == "Promoted"
    assert replicas(place, new) >= GROWN, "promoted with as many pods as all requests need"
    assert status["previous"]["size"] == GROWN
    until(lambda: autoscaler(place, new)["minReplicas"] == REPLICAS["min"], "the autoscaler being free again")
    assert autoscaler(place, old)["minReplicas"] == GROWN
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
