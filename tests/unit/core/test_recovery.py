"""A lost status is rebuilt from the children."""

import pytest

from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus
from modeldeploy.core.recovery import is_lost
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Observed, Routers
from modeldeploy.core.traffic import shares
from unit.core.build import (
    NOW,
    observed,
    ready,
    rev,
    snapshot,
    starting,
    status,
    unreadable,
    unready,
)

pytestmark = pytest.mark.unit

EMPTY = ModelDeploymentStatus()
FOUND = {
    "what the Service names": (
        observed({"v1": ready(), "v2": ready()}, recorded_stable=rev("v2")),
        "v2",
    ),
    "what the Service names, though others are ready and it is not": (
        observed({"v1": ready(), "v2": unready(0)}, recorded_stable=rev("v2")),
        "v2",
    ),
    "a ready one before what the Service names when that has no Deployment": (
        observed({"v1": ready()}, revisions=["v1", "v2"], recorded_stable=rev("v2")),
        "v1",
    ),
    "what the Service names, though no Deployment is left": (
        observed({}, revisions=["v1", "v2"], recorded_stable=rev("v2")),
        "v2",
    ),
    "the oldest ready one": (
        observed({"v1": unready(0), "v2": ready(), "v3": ready()}),
        "v2",
    ),
    "the oldest when none is ready": (observed({"v1": unready(0), "v2": unready(0)}), "v1"),
    "one whose ControllerRevision is gone, rather than none": (observed({"v9": ready()}, revisions=[]), "v9"),
    "a recorded one rather than one whose ControllerRevision is gone": (
        observed({"v9": ready(), "v1": ready()}, revisions=["v1"]),
        "v1",
    ),
}


@pytest.mark.parametrize(("seen", "expected"), FOUND.values(), ids=FOUND)
def test_takes_up(seen: Observed, expected: str) -> None:
    decision = decide(snapshot(expected, EMPTY, seen))
    assert shares(decision.status) == {rev(expected): 100}
    assert decision.status.candidate is None
    assert decision.events[0].reason == "StatusRecovered"


def test_retires_nothing_before_the_routers_follow() -> None:
    seen = observed({"v1": ready(), "v2": ready()}, routers=Routers(ready=2, serving=41))
    decision = decide(snapshot("v1", EMPTY, seen))
    assert decision.retired == frozenset()
    assert decision.status.traffic_generation == int(NOW.timestamp())


def test_brings_the_unproven_version_of_a_rebuilt_cluster_in_by_steps() -> None:
    seen = observed({"v1": ready(), "v2": ready()}, recorded_stable=rev("v1"))
    now = decide(snapshot("v2", EMPTY, seen)).status
    assert now.stable is not None
    assert now.stable.revision == rev("v1")
    assert now.candidate is not None
    assert now.candidate.weight == 10


def test_goes_on_serving_under_a_spec_that_cannot_be_read() -> None:
    now = decide(unreadable(snapshot("v2", EMPTY, observed()))).status
    assert shares(now) == {rev("v1"): 100}
    assert now.candidate is None


def test_keeps_the_port_that_clients_are_led_to() -> None:
    now = decide(snapshot("v1", EMPTY, observed(recorded_port=10007))).status
    assert now.routing is not None
    assert now.routing.port == 10007


@pytest.mark.parametrize(
    ("now_is", "seen", "expected"),
    [
        (EMPTY, observed({}), False),
        (EMPTY, observed({}, revisions=["v1"]), False),
        (EMPTY, observed({}, revisions=["v1"], recorded_stable="someone else's"), False),
        (EMPTY, observed(), True),
        (status(), observed(), True),
        (status(stable=None, candidate=starting("v1")), observed(), False),
        (None, observed(), False),
    ],
    ids=[
        "new object",
        "first revision was just recorded",
        "a foreign annotation",
        "pods without a status",
        "pods with a status that names none",
        "first deployment under way",
        "stable is known",
    ],
)
def test_is_lost(now_is: ModelDeploymentStatus | None, seen: Observed, expected: bool) -> None:  # noqa: FBT001
    assert is_lost(snapshot("v1", now_is, seen)) is expected
