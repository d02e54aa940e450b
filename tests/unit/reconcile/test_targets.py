"""What there is to scrape: one target for each running pod, where its metrics are."""

from typing import Any

import pytest

from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.api.v1alpha1.server import Server
from modeldeploy.core import naming
from modeldeploy.reconcile.targets import Targets
from modeldeploy.render.workload import pod_template

pytestmark = pytest.mark.unit

LABELS = {naming.NAME: "tiny", naming.REVISION: "aaaa1111", naming.MODEL_VERSION: "v1"}


def groups(address: str = "10.0.0.3", **server: Any) -> list[dict[str, Any]]:
    """The targets with one pod of a server, as the operator itself would have rendered it."""
    template = pod_template(Server.model_validate({"image": "tiny:1", **server}))
    cache = Cache()
    meta = {"namespace": "shop", "resourceVersion": "1", "uid": "u"}
    deployment = {"kind": "Deployment", "metadata": {**meta, "name": "tiny-aaaa1111"}, "spec": {}}
    cache.feed("ADDED", deployment | {"spec": {"template": template}})
    pod = {**template["metadata"], **meta, "name": "tiny-0", "labels": LABELS}
    status = {"phase": "Running", "podIP": address}
    cache.feed("ADDED", {"kind": "Pod", "metadata": pod, "spec": template["spec"], "status": status})
    return Targets(cache).groups()


FOUND = {
    "beside the answers": ({}, "10.0.0.3:8080", "/metrics"),
    "on a port of their own": ({"runtime": "MLServer"}, "10.0.0.3:8082", "/metrics"),
    "under a path of their own": (
        {"runtime": "TensorFlowServing"},
        "10.0.0.3:8501",
        "/monitoring/prometheus/metrics",
    ),
    "where the user says": (
        {"runtime": "Custom", "port": 9000, "metricsPort": 9001, "metricsPath": "/stats"},
        "10.0.0.3:9001",
        "/stats",
    ),
    "IPv6": ({"runtime": "RayServe", "address": "fd00::3"}, "[fd00::3]:8080", "/metrics"),
}


@pytest.mark.parametrize(("server", "target", "path"), FOUND.values(), ids=FOUND)
def test_a_models_metrics_are_found(server: dict[str, Any], target: str, path: str) -> None:
    (group,) = groups(**server)
    assert group == {
        "targets": [target],
        "labels": {
            "__metrics_path__": path,
            "namespace": "shop",
            "pod": "tiny-0",
            "modeldeploy_name": "tiny",
            "modeldeploy_revision": "aaaa1111",
            "modeldeploy_model_version": "v1",
        },
    }
