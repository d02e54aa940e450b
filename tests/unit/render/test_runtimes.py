"""What each runtime presets: ports, probes, and where its metrics are."""

from typing import Any

import pytest

from modeldeploy.api.v1alpha1.server import Runtime, Server
from modeldeploy.core import naming
from modeldeploy.render.runtimes import PRESETS
from modeldeploy.render.workload import pod_template

pytestmark = pytest.mark.unit

TCP = {"tcpSocket": {"port": "http"}}
GOLDEN = {
    # runtime: port, readiness, liveness, port of the metrics if it is another, their path
    "OpenInference": (8080, "/v2/health/ready", "/v2/health/live", None, "/metrics"),
    "MLServer": (8080, "/v2/health/ready", "/v2/health/live", "8082", "/metrics"),
    "KServe": (8080, "/v2/health/ready", "/v2/health/live", None, "/metrics"),
    "Triton": (8000, "/v2/health/ready", "/v2/health/live", "8002", "/metrics"),
    "TorchServe": (8080, "/ping", None, "8082", "/metrics"),
    "TensorFlowServing": (8501, None, None, None, "/monitoring/prometheus/metrics"),
    "VLLM": (8000, "/health", "/health", None, "/metrics"),
    "BentoML": (3000, "/readyz", "/livez", None, "/metrics"),
    "RayServe": (8000, "/-/healthz", None, "8080", "/metrics"),
}


def template(**written: Any) -> dict[str, Any]:
    return pod_template(Server.model_validate({"image": "tiny:1", **written}))


def how(probe: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in probe.items() if key in ("httpGet", "tcpSocket")}


def http(path: str | None) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "http"}} if path else TCP


@pytest.mark.parametrize("runtime", GOLDEN)
def test_a_runtime_presets_ports_probes_and_where_its_metrics_are(runtime: str) -> None:
    port, ready, alive, apart, path = GOLDEN[runtime]
    made = template(runtime=runtime)
    (container,) = made["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": port, "protocol": "TCP"}]
    assert how(container["readinessProbe"]) == how(container["startupProbe"]) == http(ready)
    assert how(container["livenessProbe"]) == http(alive)
    annotations = {naming.METRICS_PATH: path} | ({naming.METRICS_PORT: apart} if apart else {})
    assert made["metadata"]["annotations"] == annotations


def test_every_runtime_has_a_preset() -> None:
    assert set(PRESETS) == set(Runtime) == {*GOLDEN, "Custom"}


OVERRIDES = {
    "a port of its own": ({"runtime": "MLServer", "metricsPort": 9100}, "9100"),
    "beside the answers": ({"runtime": "MLServer", "metricsPort": 8080}, None),
    "answers moved to where metrics are preset": ({"runtime": "RayServe", "port": 8080}, None),
    "custom": ({"runtime": "Custom", "port": 9000, "metricsPort": 9001}, "9001"),
    "custom, unknown": ({"runtime": "Custom", "port": 9000}, None),
    "an extra port may be that of the metrics": (
        {"runtime": "MLServer", "extraPorts": [{"name": "metrics", "port": 8082}]},
        "8082",
    ),
}


@pytest.mark.parametrize(("written", "apart"), OVERRIDES.values(), ids=OVERRIDES)
def test_what_is_written_wins_over_the_preset(written: dict[str, Any], apart: str | None) -> None:
    assert template(**written)["metadata"]["annotations"].get(naming.METRICS_PORT) == apart


UNCHANGED = {
    # of the templates as they were when there were two runtimes
    "d20817c855bd165a5e7673e1dcc3673969ebcdcb7c2b8310e9dab1c0dd82296a": {"image": "digits:1"},
    "c58c55de8bcc821189ad6d4ccbff6ede807b84809c26d6379a51b4fe68bd47a0": {
        "image": "digits:1",
        "runtime": "Custom",
        "port": 9000,
        "metricsPath": "/stats",
        "extraPorts": [{"name": "grpc", "port": 9001}],
    },
}


@pytest.mark.parametrize(("known", "written"), UNCHANGED.items(), ids=["OpenInference", "Custom"])
def test_templates_of_before_there_were_more_runtimes_have_not_changed(
    known: str, written: dict[str, Any]
) -> None:
    assert naming.digest(template(**written), 64) == known
