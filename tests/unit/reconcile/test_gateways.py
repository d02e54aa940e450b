import copy
from typing import Any

import pytest

from modeldeploy.api.v1alpha1.traffic import Gateway
from modeldeploy.reconcile.gateways import TRAEFIK, taken, taken_by_all
from modeldeploy.render.meta import Owner

pytestmark = pytest.mark.unit
OWNER = Owner("voice", "recogniser", "u1")
GATEWAY = Gateway.model_validate({"parentRefs": [{"name": "public", "namespace": "infra"}, {"name": "near"}]})


def condition(kind: str, generation: int = 3, status: str = "True", message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": status, "observedGeneration": generation, "message": message}


def parent(name: str, namespace: str | None = None, *conditions: dict[str, Any]) -> dict[str, Any]:
    ref = {"name": name} | ({"namespace": namespace} if namespace else {})
    both = list(conditions or (condition("Accepted"), condition("ResolvedRefs")))
    return {"parentRef": ref, "controllerName": "example.com/one", "conditions": both}


def route(*parents: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "recogniser", "generation": 3}, "status": {"parents": list(parents)}}


BOTH = route(parent("public", "infra"), parent("near"))


def test_a_route_is_taken_in_when_every_gateway_says_so_of_its_generation() -> None:
    assert taken(BOTH, OWNER, GATEWAY).done


@pytest.mark.parametrize(
    "told",
    [
        {"metadata": {"name": "recogniser", "generation": 3}},
        route(parent("near")),
        route(parent("public", "elsewhere"), parent("near")),
        route(parent("public", "infra", condition("Accepted")), parent("near")),
        route(parent("public", "infra", condition("Accepted", 2), condition("ResolvedRefs")), parent("near")),
        {**BOTH, "metadata": {"name": "recogniser", "generation": 4}},
    ],
    ids=["no word", "one of two", "of another", "half", "half of it old", "of the one before"],
)
def test_silence_is_waited_for(told: dict[str, Any]) -> None:
    found = taken(told, OWNER, GATEWAY)

    assert not found.done
    assert found.finding is None


def test_a_refusal_is_told_with_its_words() -> None:
    refused = condition("ResolvedRefs", status="False", message="no such Service")
    found = taken(
        route(parent("public", "infra"), parent("near", None, condition("Accepted"), refused)), OWNER, GATEWAY
    )

    assert not found.done
    assert found.finding is not None
    assert found.finding.blocks
    assert found.finding.message == "Gateway voice/near does not take HTTPRoute recogniser: no such Service"


def test_an_old_refusal_is_none() -> None:
    refused = condition("Accepted", 2, status="False", message="old")
    found = taken(route(parent("public", "infra", refused), parent("near")), OWNER, GATEWAY)

    assert (found.done, found.finding) == (False, None)


def test_a_gateway_that_speaks_too_early_is_known() -> None:
    early = copy.deepcopy(BOTH)
    early["status"]["parents"][0]["controllerName"] = TRAEFIK

    assert not taken(BOTH, OWNER, GATEWAY).throttled
    assert taken(early, OWNER, GATEWAY).throttled
    assert taken_by_all(early).throttled


def test_of_somebody_elses_route_all_parents_count() -> None:
    assert taken_by_all(BOTH).done
    assert not taken_by_all(route()).done
    refused = parent(
        "third", None, condition("Accepted", status="False", message="no"), condition("ResolvedRefs")
    )
    found = taken_by_all(route(parent("near"), refused))
    assert found.finding is not None
    assert found.finding.message == "HTTPRoute recogniser is not taken in: no"
