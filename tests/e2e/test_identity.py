"""What a revision really runs, and that it is seen when that changes without a word."""

import pytest

from cluster import UnavailableError
from e2e.reach import Object, until
from e2e.support import Place, ending, is_ready

pytestmark = pytest.mark.e2e

MOVING = "localhost/modeldeploy/digits:moving"


def test_a_tag_that_leads_to_other_content_is_told(place: Place) -> None:
    cluster, images = place.installed.cluster, place.installed.images
    try:
        cluster.tag(images["digits:v1"], MOVING)
    except UnavailableError as error:
        pytest.skip(f"tags can't be moved on the nodes: {error}")
    obj = manifest(place)
    place.apply(obj)
    before = place.until_ready("v1")["status"]
    revision = before["stable"]["revision"]
    first = place.until(lambda status: status.get("images", {}).get(revision), "its digest")["status"][
        "images"
    ]

    cluster.tag(images["digits:v3"], MOVING)
    (old,) = place.pods(revision).values()
    place.api.delete("Pod", place.namespace, old["metadata"]["name"])

    until(lambda: place.events("ImageChanged"), "the news")
    second = place.until(
        lambda status: status["images"][revision] not in (None, first[revision]), "the new digest"
    )["status"]["images"]
    (event, *_) = place.events("ImageChanged")
    assert first[revision] in event["message"]
    assert set(second[revision].split()) - set(first[revision].split())
    assert ending(place.status(), "v1")["image"] == first[revision], "history says what was promoted"
    until(lambda: any(map(is_ready, place.pods(revision).values())), "the new pod")


def manifest(place: Place) -> Object:
    obj = place.manifest("v1", replicas=1)
    obj["spec"]["server"]["image"] = MOVING
    return obj
