import json
from importlib import resources
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from modeldeploy.render.meta import Owner
from modeldeploy.render.traffic import bootstrap
from modeldeploy.render.traffic.router import CONFIG_DIR, CONNECTION_SECONDS
from modeldeploy.render.traffic.router_objects import RouterSettings, router, service

pytestmark = pytest.mark.unit
SETTINGS = RouterSettings("envoy:1.40", "modeldeploy-xds.modeldeploy.svc", 18000)
OWNERS = (Owner("voice", "recogniser", "u1"), Owner("voice", "ranker", "u2"))
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def found(kind: str, settings: RouterSettings = SETTINGS) -> dict[str, Any]:
    (only,) = (item for item in router("voice", OWNERS, settings) if item["kind"] == kind)
    return only


def pod() -> dict[str, Any]:
    template: dict[str, Any] = found("Deployment")["spec"]["template"]
    return template


def test_every_object_belongs_to_every_model_of_the_namespace() -> None:
    for item in router("voice", OWNERS, SETTINGS):
        references = item["metadata"]["ownerReferences"]
        assert [(r["kind"], r["name"], r["uid"]) for r in references] == [
            ("ModelDeployment", "ranker", "u2"),
            ("ModelDeployment", "recogniser", "u1"),
        ]
        assert not any(reference.get("controller") for reference in references)


def test_the_same_owners_in_another_order_give_the_same_objects() -> None:
    assert router("voice", OWNERS, SETTINGS) == router("voice", OWNERS[::-1], SETTINGS)


def test_pods_are_found_by_the_selectors() -> None:
    labels = pod()["metadata"]["labels"].items()

    assert found("Deployment")["spec"]["selector"]["matchLabels"].items() <= labels
    assert found("PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items() <= labels
    assert service(OWNERS[0], 10001)["spec"]["selector"].items() <= labels


def test_the_pod_is_restricted() -> None:
    spec = pod()["spec"]
    container = spec["containers"][0]["securityContext"]

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["allowPrivilegeEscalation"] is False
    assert container["readOnlyRootFilesystem"] is True
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert spec["automountServiceAccountToken"] is False


def test_a_terminating_pod_stays_until_every_connection_was_closed_behind_an_answer() -> None:
    spec = pod()["spec"]
    sleep = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert sleep >= CONNECTION_SECONDS + 5
    assert spec["terminationGracePeriodSeconds"] > sleep


def test_another_configuration_rolls_the_pods() -> None:
    other = RouterSettings("envoy:1.40", "elsewhere", 18000)
    names = [found("ConfigMap", settings)["metadata"]["name"] for settings in (SETTINGS, other)]

    assert names[0] != names[1]
    assert pod()["spec"]["volumes"][0]["configMap"]["name"] == names[0]


def test_the_token_is_for_the_discovery_service_only() -> None:
    token = pod()["spec"]["volumes"][1]["projected"]["sources"][0]["serviceAccountToken"]

    assert token == {"audience": "modeldeploy-xds", "expirationSeconds": 3600, "path": "token"}


def test_the_service_leads_to_the_models_listener() -> None:
    made = service(OWNERS[0], 10001)

    assert made["metadata"]["name"] == "recogniser"
    assert made["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": 10001, "protocol": "TCP"}]


def test_buckets_are_exact_and_include_the_usual_bounds() -> None:
    buckets = bootstrap.LATENCY_BUCKETS_MS

    assert list(buckets) == sorted(set(buckets))
    assert {1, 50, 100, 150, 200, 250, 300, 400, 500, 750, 1000, 60_000} <= set(buckets)
    assert all(len(str(bound).rstrip("0")) <= 2 for bound in buckets)


def test_without_a_certificate_authority_the_stream_is_plain() -> None:
    plain = json.loads(bootstrap.files("h", 1, None)["bootstrap.json"])
    secure = json.loads(bootstrap.files("h", 1, CA)["bootstrap.json"])

    assert "transport_socket" not in plain["static_resources"]["clusters"][1]
    tls = secure["static_resources"]["clusters"][1]["transport_socket"]["typed_config"]
    assert tls["common_tls_context"]["validation_context"]["trusted_ca"]["inline_string"] == CA


def test_envoy_accepts_the_bootstrap(tmp_path: Path) -> None:
    for name, text in bootstrap.files("modeldeploy-xds.modeldeploy.svc", 18000, None).items():
        (tmp_path / name).write_text(text.replace(CONFIG_DIR, str(tmp_path)))
    node = ["--service-node", "voice/router-0", "--service-cluster", "modeldeploy-router"]
    envoy = resources.files("envoy") / "_bin" / "envoy"

    checked = run(
        [str(envoy), "--mode", "validate", "-c", str(tmp_path / "bootstrap.json"), *node],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr
    assert "deprecated" not in checked.stderr.lower()
