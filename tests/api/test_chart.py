"""What the chart renders: accepted by an API server, understood by the operator and by Prometheus."""

import itertools
import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import Cluster, ClusterError
from cluster.network import free_port
from cluster.paths import cache_root
from modeldeploy import settings
from modeldeploy.render.traffic import bootstrap, router_objects

pytestmark = pytest.mark.api

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "modeldeploy"
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
NAMESPACE = "modeldeploy-system"


@pytest.fixture(scope="module")
def chart_cluster(control_plane: Cluster) -> Cluster:
    for name in (NAMESPACE, "team-a", "team-b"):
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        control_plane.run_kubectl("apply", "--server-side", "-f", "-", given=json.dumps(namespace))
    return control_plane


def rendered(cluster: Cluster, *words: str) -> list[dict[str, Any]]:
    text = cluster.run_helm("template", "modeldeploy", str(CHART), f"--namespace={NAMESPACE}", *words)
    return [obj for obj in yaml.safe_load_all(text) if obj]


def find(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = (obj for obj in objects if obj["kind"] == kind and obj["metadata"]["name"] == name)
    return found


def environment(objects: list[dict[str, Any]], name: str = "modeldeploy") -> dict[str, str]:
    """The operator's variables, with what the kubelet would fill in."""
    (container,) = find(objects, "Deployment", name)["spec"]["template"]["spec"]["containers"]
    fields = {"metadata.name": "modeldeploy-7d4b9-x2x1z", "metadata.namespace": NAMESPACE}
    return {
        each["name"]: each["value"] if "value" in each else fields[each["valueFrom"]["fieldRef"]["fieldPath"]]
        for each in container["env"]
    }


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_lint(chart_cluster: Cluster, values: Path) -> None:
    assert "0 chart(s) failed" in chart_cluster.run_helm("lint", str(CHART), "--strict", f"--values={values}")


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_the_api_server_accepts_every_object(chart_cluster: Cluster, values: Path) -> None:
    objects = rendered(chart_cluster, f"--values={values}")
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    words = ("apply", "--dry-run=server", "--validate=strict", "-o", "name", "-f", "-")
    assert len(chart_cluster.run_kubectl(*words, given=given).splitlines()) == len(objects)


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_every_namespaced_object_names_its_namespace(chart_cluster: Cluster, values: Path) -> None:
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    objects = [
        obj for obj in rendered(chart_cluster, f"--values={values}") if obj["kind"] not in cluster_wide
    ]
    assert [obj["metadata"]["name"] for obj in objects if "namespace" not in obj["metadata"]] == []


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("replicaCount=two", "at '/replicaCount': got string, want integer"),
        ("router.replica=2", "additional properties 'replica' not allowed"),
        ("promethues.enabled=true", "additional properties 'promethues' not allowed"),
        ("prometheus.url=prometheus:9090", "at '/prometheus/url'"),
        ("prometheus.headers.Authorization=x", "additional properties 'Authorization' not allowed"),
        ("prometheus.queryParameters.query=up", "additional properties 'query' not allowed"),
        ("prometheus.url=http://me:pa55@prometheus:9090", "at '/prometheus/url'"),
        ("logLevel=verbose", "value must be one of 'DEBUG', 'INFO', 'WARNING', 'ERROR'"),
        ("image.repository=model:1", "at '/image/repository'"),
        ("image.digest=abc", "at '/image/digest'"),
        ("lease.durationSeconds=1", "minimum: got 1, want 3"),
        ("retraining.allowedHosts={https://a.example}", "at '/retraining/allowedHosts/0'"),
        ("retraining.secretNames={A}", "at '/retraining/secretNames/0'"),
        ("retraining.objects[0].kind=Workflow", "missing properties 'apiVersion', 'resource'"),
        ("retraining.objects[0].apiVersion=apps/v1", "at '/retraining/objects/0/apiVersion'"),
        ("retraining.objects[0].apiVersion=x.k8s.io/v1", "at '/retraining/objects/0/apiVersion'"),
        ("watchNamespaces={a,a}", "items at 0 and 1 are equal"),
        ("serviceAccount.create=false", "serviceAccount.name: name the account to use"),
    ],
)
def test_wrong_values_are_refused(chart_cluster: Cluster, value: str, complaint: str) -> None:
    with pytest.raises(ClusterError) as refusal:
        rendered(chart_cluster, "--set", value)
    assert complaint in str(refusal.value)


def test_the_operator_reads_the_settings_that_the_chart_gives(chart_cluster: Cluster) -> None:
    full = settings.load(
        environment(rendered(chart_cluster, f"--values={CHART}/ci/full-values.yaml"), "modeldeploy-models")
    )
    assert full == settings.Settings(
        namespace=NAMESPACE,
        identity="modeldeploy-7d4b9-x2x1z",
        prometheus_url="https://metrics.example/prometheus",
        prometheus_allowed_urls=("http://team-a.metrics:9090", "https://other.example/x"),
        prometheus_credentials="/etc/modeldeploy/prometheus",
        prometheus_secret_names=("team-metrics", "monitoring.reader"),
        prometheus_parameters=(("dedup", "true"), ("partial_response", "false")),
        prometheus_headers=(("X-Scope-OrgID", "team-a|team-b"),),
        prometheus_timeout=8.0,
        router_image="registry.example/envoy:1.39",
        router_replicas=3,
        router_autoscaling=(3, 6, 50),
        xds_address=f"modeldeploy-models-xds.{NAMESPACE}.svc.corp.example:19000",
        xds_port=19000,
        retraining_allowed_hosts=("pipelines.example.org", "argo-events.argo:12000"),
        retraining_secret_names=("retraining-webhook",),
        retraining_objects=(("argoproj.io/v1alpha1", "Workflow", "workflows"),),
        lease_name="modeldeploy-leader",
        lease_duration=30,
        lease_renew=10,
        log_level="DEBUG",
    )
    small = settings.load(environment(rendered(chart_cluster, f"--values={CHART}/ci/namespaced-values.yaml")))
    assert small.watch_namespaces == ("team-a", "team-b")
    assert small.prometheus_url == f"http://modeldeploy-prometheus.{NAMESPACE}.svc.cluster.local:9090"


def test_jobs_and_secrets_are_out_of_reach_unless_asked_for(chart_cluster: Cluster) -> None:
    def rights(*words: str) -> list[dict[str, Any]]:
        objects = rendered(chart_cluster, *words)
        rules = find(objects, "ClusterRole", f"modeldeploy-{NAMESPACE}")["rules"]
        return [rule for rule in rules if {"jobs", "secrets", "workflows"} & set(rule["resources"])]

    assert rights() == []
    jobs = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "create"]}
    assert rights("--set", "retraining.jobs=true") == [jobs]
    kind = "retraining.objects[0].apiVersion=argoproj.io/v1alpha1,retraining.objects[0].kind=Workflow"
    workflows = {"apiGroups": ["argoproj.io"], "resources": ["workflows"], "verbs": ["get", "create"]}
    assert rights("--set", f"{kind},retraining.objects[0].resource=workflows") == [workflows]
    secrets = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a", "b"], "verbs": ["get"]}
    assert rights("--set", "retraining.secretNames={a,b}") == [secrets]
    assert rights("--set", "prometheus.secretNames={a,b}") == [secrets]


def test_the_stores_credentials_are_mounted_only_where_they_are_named(chart_cluster: Cluster) -> None:
    def mounted(*words: str) -> list[dict[str, Any]]:
        template = find(rendered(chart_cluster, *words), "Deployment", "modeldeploy")["spec"]["template"]
        mounts = template["spec"]["containers"][0]["volumeMounts"]
        assert len(mounts) == len(template["spec"]["volumes"])
        return [volume["secret"] for volume in template["spec"]["volumes"] if "secret" in volume]

    assert mounted() == []
    words = ("--set", "prometheus.credentialsSecret=reader")
    assert mounted(*words) == [{"secretName": "reader", "defaultMode": 0o444}]
    path = environment(rendered(chart_cluster, *words))["MODELDEPLOY_PROMETHEUS_CREDENTIALS"]
    template = find(rendered(chart_cluster, *words), "Deployment", "modeldeploy")["spec"]["template"]
    assert path in [mount["mountPath"] for mount in template["spec"]["containers"][0]["volumeMounts"]]


def test_the_xds_address_is_a_service_that_leads_to_the_operator(chart_cluster: Cluster) -> None:
    objects = rendered(chart_cluster)
    host, _, port = environment(objects)["MODELDEPLOY_XDS_ADDRESS"].partition(":")
    service = find(objects, "Service", host.split(".")[0])
    template = find(objects, "Deployment", "modeldeploy")["spec"]["template"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    (service_port,) = service["spec"]["ports"]
    ports = {each["name"]: each["containerPort"] for each in template["spec"]["containers"][0]["ports"]}
    assert (service_port["port"], ports[service_port["targetPort"]]) == (int(port), 18000)


@pytest.mark.parametrize(
    ("words", "image"),
    [
        ((), "docker.io/modeldeploy/operator:0.1.0"),
        (("image.tag=2",), "docker.io/modeldeploy/operator:2"),
        (
            ("image.tag=2", "image.digest=sha256:" + "0" * 64),
            "docker.io/modeldeploy/operator:2@sha256:" + "0" * 64,
        ),
        (("image.reference=localhost/operator:abc", "image.tag=2"), "localhost/operator:abc"),
    ],
)
def test_image_references(chart_cluster: Cluster, words: tuple[str, ...], image: str) -> None:
    objects = rendered(chart_cluster, *itertools.chain(*(("--set-string", word) for word in words)))
    (container,) = find(objects, "Deployment", "modeldeploy")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == image


def notes(cluster: Cluster, *words: str) -> str:
    shown = cluster.run_helm("install", "modeldeploy", str(CHART), "--dry-run=client", *words)
    return shown.partition("NOTES:")[2]


def scrape_jobs(cluster: Cluster, *words: str) -> dict[str, dict[str, Any]]:
    """What the notes tell to add to a Prometheus of the user's."""
    shown = notes(cluster, "--set", "prometheus.url=http://elsewhere:9090", *words)
    printed = shown.partition("scrape_configs:\n\n")[2].partition("\n\n")[0]
    return {job["job_name"]: job for job in yaml.safe_load(printed)}


def test_prometheus_looks_where_routers_and_models_are(chart_cluster: Cluster) -> None:
    jobs = scrape_jobs(chart_cluster, "--set", "watchNamespaces={team-a,team-b}")
    routers, models = jobs["modeldeploy-routers"], jobs["modeldeploy-models"]
    assert routers["relabel_configs"][0]["regex"] == str(bootstrap.METRICS_PORT)
    (discovery,) = routers["kubernetes_sd_configs"]
    assert discovery["selectors"][0]["label"] == f"app.kubernetes.io/name={router_objects.NAME}"
    assert discovery["namespaces"] == {"names": ["team-a", "team-b"]}
    assert models["kubernetes_sd_configs"][0]["namespaces"] == discovery["namespaces"]


def test_the_charts_prometheus_asks_the_operator_for_its_targets(chart_cluster: Cluster) -> None:
    objects = rendered(chart_cluster, "--set", "prometheus.enabled=true")
    config = yaml.safe_load(find(objects, "ConfigMap", "modeldeploy-prometheus")["data"]["prometheus.yml"])
    (discovery,) = (found for job in config["scrape_configs"] for found in job["http_sd_configs"])
    where = urllib.parse.urlsplit(discovery["url"])
    service = find(objects, "Service", str(where.hostname).split(".")[0])
    template = find(objects, "Deployment", "modeldeploy")["spec"]["template"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert (
        service["spec"]["ports"][0]["port"]
        == where.port
        == int(environment(objects)["MODELDEPLOY_METRICS_PORT"])
    )
    pod = find(objects, "Deployment", "modeldeploy-prometheus")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False


PODS = {
    # What Kubernetes' service discovery knows of pods, a target for each container port.
    "modeldeploy-routers": {
        "10.0.0.1:9902": {"pod_container_port_number": "9902", "pod_name": "router-1"},
        "10.0.0.1:10000": {"pod_container_port_number": "10000", "pod_name": "router-1"},
        "10.0.0.2:9902": {"pod_container_port_number": "9902", "pod_name": "router-2", "pod_phase": "Failed"},
    },
    "modeldeploy-models": {
        "10.0.0.3:8080": {"pod_container_port_name": "http", "pod_name": "model-1"},
        "10.0.0.3:9000": {"pod_container_port_name": "grpc", "pod_name": "model-1"},
        "10.0.0.4:8080": {
            "pod_container_port_name": "http",
            "pod_name": "model-2",
            "pod_annotation_modeldeploy_dev_metrics_path": "/stats",
        },
        "10.0.0.5:8080": {
            "pod_container_port_name": "http",
            "pod_name": "model-3",
            "pod_annotation_modeldeploy_dev_metrics_port": "8082",
        },
    },
}
LABELS = {
    "namespace": "team-a",
    "pod_phase": "Running",
    "pod_label_modeldeploy_dev_name": "recogniser",
    "pod_label_modeldeploy_dev_revision": "9f1a0001",
    "pod_label_modeldeploy_dev_model_version": "v2",
}


def discovered(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The job with pods from a file; not every build of Prometheus can ask Kubernetes for them."""
    pods = [
        {
            "targets": [at],
            "labels": {f"__meta_kubernetes_{key}": value for key, value in (LABELS | known).items()},
        }
        for at, known in PODS[job["job_name"]].items()
    ]
    file = folder / f"{job['job_name']}.json"
    file.write_text(json.dumps(pods))
    return {key: value for key, value in job.items() if key != "kubernetes_sd_configs"} | {
        "file_sd_configs": [{"files": [str(file)]}]
    }


@pytest.fixture
def prometheus(chart_cluster: Cluster, tmp_path: Path) -> Iterator[str]:
    """The URL of a Prometheus with the scrape configuration of the notes."""
    program = shutil.which("prometheus") or next((cache_root() / "debian").glob("*/usr/bin/prometheus"), None)
    if program is None:
        pytest.skip(
            "there is no program prometheus: install the package, or bring a node of tests/cluster up"
        )
    jobs = scrape_jobs(chart_cluster)
    config = tmp_path / "prometheus.yml"
    config.write_text(
        yaml.safe_dump({"scrape_configs": [discovered(job, tmp_path) for job in jobs.values()]})
    )
    address = f"127.0.0.1:{free_port()}"
    words = [
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (tmp_path / "log").open("w") as log, subprocess.Popen([program, *words], stderr=log) as process:
        yield f"http://{address}"
        process.terminate()


def targets(url: str) -> list[dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"{url}/api/v1/targets?state=active", timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["activeTargets"]
            return found
    except OSError:
        return []


def test_prometheus_puts_on_the_labels_that_the_operator_asks_by(prometheus: str) -> None:
    deadline = time.monotonic() + 30
    while not (found := targets(prometheus)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    model = {
        "job": "modeldeploy-models",
        "namespace": "team-a",
        "modeldeploy_name": "recogniser",
        "modeldeploy_revision": "9f1a0001",
        "modeldeploy_model_version": "v2",
    }
    router = {
        "job": "modeldeploy-routers",
        "namespace": "team-a",
        "pod": "router-1",
        "instance": "10.0.0.1:9902",
    }
    assert {each["scrapeUrl"]: each["labels"] for each in found} == {
        "http://10.0.0.1:9902/stats/prometheus": router,
        "http://10.0.0.3:8080/metrics": model | {"pod": "model-1", "instance": "10.0.0.3:8080"},
        "http://10.0.0.4:8080/stats": model | {"pod": "model-2", "instance": "10.0.0.4:8080"},
        "http://10.0.0.5:8082/metrics": model | {"pod": "model-3", "instance": "10.0.0.5:8082"},
    }


def test_the_notes_warn_when_no_metrics_are_read(chart_cluster: Cluster) -> None:
    assert "NONE ARE READ" in notes(chart_cluster)


def test_pod_monitors_select_what_the_scrape_configuration_does(chart_cluster: Cluster) -> None:
    objects = rendered(
        chart_cluster, "--set", "podMonitor.enabled=true", "--set", "podMonitor.labels.release=main"
    )
    routers = find(objects, "PodMonitor", "modeldeploy-routers")
    models = find(objects, "PodMonitor", "modeldeploy-models")
    assert routers["metadata"]["labels"]["release"] == "main"
    assert routers["spec"]["selector"]["matchLabels"].items() <= router_objects.SELECTOR.items()
    assert routers["spec"]["podMetricsEndpoints"][0]["portNumber"] == bootstrap.METRICS_PORT
    targets = {each["targetLabel"] for each in models["spec"]["podMetricsEndpoints"][0]["relabelings"]}
    assert targets == {
        "__metrics_path__",
        "__address__",
        "modeldeploy_name",
        "modeldeploy_revision",
        "modeldeploy_model_version",
    }
