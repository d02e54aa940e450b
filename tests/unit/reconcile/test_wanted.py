"""Which objects a decision asks for."""

from typing import Any

import pytest

from modeldeploy.core import naming
from modeldeploy.core.plan import Key
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Revision
from modeldeploy.reconcile.wanted import revision_objects
from modeldeploy.render.meta import Owner
from modeldeploy.render.workload import pod_template
from unit.core.build import candidate, observed, ready, rev, snapshot, spec, status
from unit.render.test_workload import server

pytestmark = pytest.mark.unit

OF = Owner("shop", "digits", "uid-1")
REPLICAS = {"min": 1, "max": 6}


@pytest.mark.parametrize(("surge", "most"), [("None", {"v1": 3, "v2": 1}), ("Full", {"v1": 6, "v2": 6})])
def test_no_autoscaler_takes_the_room_that_there_is_for_one_version_only(
    surge: str, most: dict[str, int]
) -> None:
    on_trial = candidate("v2", weight=25, of=4).model_copy(update={"size": 1, "demand": 4})
    wish = spec("v2", surge=surge, replicas=REPLICAS, steps=[{"weight": 25, "hold": "1h"}])
    seen = observed({"v1": ready(3), "v2": ready(1)})
    decision = decide(
        snapshot(
            "v2", status(candidate=on_trial), seen, surge=surge, replicas=REPLICAS, steps=[{"weight": 25}]
        )
    )
    known = {
        rev(one): Revision(
            rev(one), 1, one, {"server": {"runtime": "OpenInference", "image": "x"}}, pod_template(server())
        )
        for one in most
    }
    present: dict[Key, dict[str, Any]] = {
        ("Deployment", naming.object_name(OF.name, name)): {} for name in known
    }

    found = revision_objects(OF, wish, known, decision, present)

    scalers = {
        one["metadata"]["labels"][naming.REVISION]: one["spec"]["maxReplicas"]
        for one in found
        if one["kind"] == "HorizontalPodAutoscaler"
    }
    assert scalers == {rev(version): count for version, count in most.items()}
