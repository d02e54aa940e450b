"""How many pods each revision runs at least, by scaling, surge and what stable's autoscaler chose."""

from typing import Any

import pytest

from modeldeploy.core.rollout import decide
from modeldeploy.core.sizes import carried, needed
from modeldeploy.core.snapshot import Workload
from unit.core.build import candidate, observed, ready, rev, snapshot, spec, starting, status

pytestmark = pytest.mark.unit

FOUR = {"min": 4, "max": 10}


@pytest.mark.parametrize(
    ("written", "runs", "stable", "newcomer"),
    [
        ({}, 4, 4, 4),
        ({}, 7, 7, 7),
        ({"scaling": "Proportional"}, 4, 4, 1),
        ({"scaling": "Proportional", "steps": [{"weight": 60}]}, 4, 4, 3),
        ({"scaling": "Proportional", "steps": [{"shadow": {}}]}, 4, 4, 4),
        ({"surge": "None"}, 4, 3, 1),
        ({"surge": "None", "steps": [{"weight": 50}]}, 4, 2, 2),
        ({"surge": "None", "strategy": "Immediate"}, 4, 0, 4),
    ],
)
def test_a_newcomer_beside_stable(written: dict[str, Any], runs: int, stable: int, newcomer: int) -> None:
    decision = decide(snapshot("v2", None, observed({"v1": ready(runs)}), replicas=FOUR, **written))
    assert decision.sizes == {rev("v1"): stable, rev("v2"): newcomer}


@pytest.mark.parametrize("demanded", [2, 3, 7])
def test_giving_way_leaves_stable_a_pod_while_it_has_a_share(demanded: int) -> None:
    gives_way = spec(surge="None")
    for share in range(1, 100):
        assert 1 <= needed(gives_way, share, demanded) < demanded, f"at {share}%"


def test_what_surge_none_costs_is_said() -> None:
    before = snapshot("v2", None, observed({"v1": ready()}), surge="None", strategy="Immediate")
    assert decide(before).status.message.endswith(
        "stable gave way entirely (surge: None), NOBODY ANSWERS until the new pods are ready"
    )


def test_stable_is_held_where_its_autoscaler_was_even_if_that_would_shrink_it() -> None:
    held = starting("v2").model_copy(update={"size": 7, "demand": 7})
    seen = observed({"v1": ready(5), "v2": Workload(wanted=7, ready=0)})
    assert decide(snapshot("v2", status(candidate=held), seen, replicas=FOUR)).sizes[rev("v1")] == 7


def test_a_candidate_grows_with_stable() -> None:
    on_trial = candidate("v2").model_copy(update={"size": 4, "demand": 4})
    seen = observed({"v1": ready(8), "v2": ready(4)})
    decision = decide(snapshot("v2", status(candidate=on_trial), seen, replicas=FOUR))
    assert decision.sizes == {rev("v1"): 8, rev("v2"): 8}


@pytest.mark.parametrize(("pods", "demanded", "share"), [(0, 4, 0), (1, 3, 33), (4, 4, 100), (9, 4, 100)])
def test_the_share_that_pods_carry(pods: int, demanded: int, share: int) -> None:
    assert carried(ready(pods), demanded) == share
