"""The chart installed in a control plane of its own: what it may do there, and what it leaves behind."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import Cluster, ClusterError, ensure
from cluster.network import free_port
from cluster.record import CONTROL_PLANE

pytestmark = pytest.mark.api

CHART = Path(__file__).parents[2] / "charts" / "modeldeploy"
NAMESPACE = "modeldeploy-system"
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
CRD = "modeldeployments.modeldeploy.dev"
OPERATOR = f"system:serviceaccount:{NAMESPACE}:modeldeploy"
MODEL = """
apiVersion: modeldeploy.dev/v1alpha1
kind: ModelDeployment
metadata: {name: kept, namespace: team-a}
spec: {model: {version: v1}, server: {image: "model:1", replicas: {min: 1, max: 2}}}
"""
READ = ("get", "list", "watch")
WRITE = ("create", "patch", "delete")
Grant = tuple[str, str, tuple[str, ...], str]
"""Group, resource, verbs and, where only one object is meant, its name."""

GRANTED: list[Grant] = [
    ("modeldeploy.dev", "modeldeployments", (*READ, "patch"), ""),
    ("modeldeploy.dev", "modeldeployments/status", ("update",), ""),
    ("modeldeploy.dev", "modeldeployments/finalizers", ("update",), ""),
    ("apps", "deployments", READ + WRITE, ""),
    ("apps", "controllerrevisions", READ + WRITE, ""),
    ("autoscaling", "horizontalpodautoscalers", READ + WRITE, ""),
    ("policy", "poddisruptionbudgets", READ + WRITE, ""),
    ("", "services", READ + WRITE, ""),
    ("", "configmaps", READ + WRITE, ""),
    ("", "serviceaccounts", (*READ, "create"), ""),
    ("", "serviceaccounts", ("patch", "delete"), "modeldeploy-router"),
    ("", "pods", READ, ""),
    ("", "events", ("create",), ""),
    ("discovery.k8s.io", "endpointslices", READ, ""),
    ("gateway.networking.k8s.io", "httproutes", READ + WRITE, ""),
    ("gateway.networking.k8s.io", "referencegrants", ("get", "list"), ""),
    ("traefik.io", "traefikservices", READ + WRITE, ""),
    ("networking.istio.io", "virtualservices", READ + WRITE, ""),
]
REVIEWS: list[Grant] = [
    ("authentication.k8s.io", "tokenreviews", ("create",), ""),
    ("gateway.networking.k8s.io", "gatewayclasses", ("get",), ""),
    ("gateway.networking.k8s.io", "gateways", ("get",), ""),
]
LEADING: list[Grant] = [
    ("coordination.k8s.io", "leases", ("get", "update"), "modeldeploy-lease"),
    ("coordination.k8s.io", "leases", ("create",), ""),
]
# What any authenticated user may ask about itself.
ANYONE = {"selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"}


@pytest.fixture(scope="module")
def chart_cluster() -> Iterator[Cluster]:
    found = ensure("control-plane", name="chart")
    for name in (NAMESPACE, "team-a", "team-b", "elsewhere"):
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        found.run_kubectl("apply", "--server-side", "-f", "-", given=json.dumps(namespace))
    found.run_kubectl("label", "--overwrite", "namespace", NAMESPACE, RESTRICTED)
    yield found
    if found.flavour == CONTROL_PLANE:
        found.down()


@pytest.fixture
def install(chart_cluster: Cluster) -> Iterator[Callable[..., str]]:
    """Installs or upgrades the release; it is gone at the end."""

    def run(*words: str, name: str = "modeldeploy", namespace: str = NAMESPACE) -> str:
        return chart_cluster.run_helm(
            "upgrade", "--install", name, str(CHART), f"--namespace={namespace}", *words
        )

    yield run
    for namespace in (NAMESPACE, "elsewhere"):
        for release in chart_cluster.run_helm("list", "--short", f"--namespace={namespace}").split():
            chart_cluster.run_helm("uninstall", release, f"--namespace={namespace}")
    # The API server ends it in turns of its own, whose pauses grow on a busy machine.
    chart_cluster.run_kubectl("delete", "crd", CRD, "--ignore-not-found", timeout=280)


def rules_of(cluster: Cluster, user: str, namespace: str) -> set[tuple[str, str, str, str]]:
    """Every right of a user in a namespace, as the API server sees it: group, resource, verb, object name."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    words = (
        "create",
        "--as",
        user,
        "--as-group=system:authenticated",
        "--validate=false",
        "-o",
        "json",
        "-f",
        "-",
    )
    status = json.loads(cluster.run_kubectl(*words, given=json.dumps(review)))["status"]
    return {
        right
        for rule in status["resourceRules"]
        for right in itertools.product(
            rule["apiGroups"], rule["resources"], rule["verbs"], rule.get("resourceNames") or [""]
        )
        if right[1] not in ANYONE
    }


def spread(*granted: list[Grant]) -> set[tuple[str, str, str, str]]:
    return {
        (group, resource, verb, name)
        for group, resource, verbs, name in itertools.chain(*granted)
        for verb in verbs
    }


def test_the_operator_holds_exactly_the_rights_it_needs(
    chart_cluster: Cluster, install: Callable[..., str]
) -> None:
    install()
    assert rules_of(chart_cluster, OPERATOR, "elsewhere") == spread(GRANTED, REVIEWS)
    assert rules_of(chart_cluster, OPERATOR, NAMESPACE) == spread(GRANTED, REVIEWS, LEADING)


def test_namespaced_rights_end_at_the_namespaces(chart_cluster: Cluster, install: Callable[..., str]) -> None:
    install(f"--values={CHART}/ci/namespaced-values.yaml")
    assert rules_of(chart_cluster, OPERATOR, "team-a") == spread(GRANTED, REVIEWS)
    assert rules_of(chart_cluster, OPERATOR, NAMESPACE) == spread(REVIEWS, LEADING)
    assert rules_of(chart_cluster, OPERATOR, "elsewhere") == spread(REVIEWS)
    assert rules_of(chart_cluster, f"{OPERATOR}-prometheus", "team-a") == set()


FORBIDDEN = [
    "list secrets --all-namespaces",
    "get secrets -n modeldeploy-system",
    "watch secrets -n team-a",
    "create pods --subresource=exec -n team-a",
    "create serviceaccounts --subresource=token -n team-a",
    "patch serviceaccounts/default -n team-a",
    "delete modeldeployments -n team-a",
    "update modeldeployments -n team-a",
    "create clusterrolebindings",
    "create rolebindings -n modeldeploy-system",
    "list nodes",
    "update leases.coordination.k8s.io/other -n modeldeploy-system",
    "create leases.coordination.k8s.io -n team-a",
    "impersonate users",
]


def test_what_the_operator_may_not(chart_cluster: Cluster, install: Callable[..., str]) -> None:
    install()

    def allowed(question: str) -> bool:
        try:
            chart_cluster.run_kubectl("auth", "can-i", *question.split(), "--as", OPERATOR)
        except ClusterError as refusal:  # kubectl's way to say no
            if "error:" in str(refusal):
                raise
            return False
        return True

    assert [question for question in FORBIDDEN if allowed(question)] == []
    assert allowed("list modeldeployments -n team-a")


def test_users_roles_include_model_deployments(chart_cluster: Cluster, install: Callable[..., str]) -> None:
    install()

    def may(role: str) -> set[str]:
        found = json.loads(chart_cluster.run_kubectl("get", "clusterrole", role, "-o", "json"))
        rules = [rule for rule in found["rules"] if "modeldeployments" in rule.get("resources", ())]
        return {verb for rule in rules for verb in rule["verbs"]}

    eventually(lambda: may("view") == set(READ))
    eventually(lambda: may("edit") == {*READ, *WRITE, "update", "deletecollection"})


def eventually(check: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def pods(cluster: Cluster) -> list[Mapping[str, Any]]:
    found = json.loads(cluster.run_kubectl("get", "pods", "-n", NAMESPACE, "-o", "json"))
    return [pod for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]]


def test_pods_are_admitted_where_pod_security_is_restricted(
    chart_cluster: Cluster, install: Callable[..., str]
) -> None:
    install("--set", "prometheus.enabled=true")
    eventually(lambda: len(pods(chart_cluster)) == 2)
    for pod in pods(chart_cluster):
        assert pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def ours(cluster: Cluster) -> set[str]:
    kinds = "deploy,svc,sa,cm,role,rolebinding,clusterrole,clusterrolebinding,pdb,networkpolicy,pvc,crd"
    words = ("get", kinds, "--all-namespaces", "-l", "app.kubernetes.io/part-of=modeldeploy", "-o", "name")
    return set(cluster.run_kubectl(*words).split())


def test_uninstall_strands_nothing_and_takes_no_model(
    chart_cluster: Cluster, install: Callable[..., str]
) -> None:
    install("--set", "prometheus.enabled=true,networkPolicy.enabled=true,replicaCount=2")
    chart_cluster.await_kinds(f"crd/{CRD}")
    chart_cluster.run_kubectl("apply", "-f", "-", given=MODEL)
    assert len(ours(chart_cluster)) > 15
    chart_cluster.run_helm("uninstall", "modeldeploy", f"--namespace={NAMESPACE}")
    assert ours(chart_cluster) == {f"customresourcedefinition.apiextensions.k8s.io/{CRD}"}
    assert "kept" in chart_cluster.run_kubectl("get", "mdep", "-n", "team-a", "-o", "name")
    install()
    assert "kept" in chart_cluster.run_kubectl("get", "mdep", "-n", "team-a", "-o", "name")


def test_without_keep_the_definition_goes_too(chart_cluster: Cluster, install: Callable[..., str]) -> None:
    install("--set", "crds.keep=false")
    chart_cluster.run_helm("uninstall", "modeldeploy", f"--namespace={NAMESPACE}")
    eventually(lambda: ours(chart_cluster) == set())


def test_an_upgrade_that_changes_nothing_restarts_nothing(
    chart_cluster: Cluster, install: Callable[..., str]
) -> None:
    def generations() -> str:
        path = "-o=jsonpath={range .items[*]}{.metadata.name}={.metadata.generation} {end}"
        return chart_cluster.run_kubectl("get", "deploy", "-n", NAMESPACE, path)

    install("--set", "prometheus.enabled=true")
    before = generations()
    install("--set", "prometheus.enabled=true")
    assert generations() == before == "modeldeploy=1 modeldeploy-prometheus=1 "
    install("--set", "prometheus.enabled=true,prometheus.scrapeInterval=15s")
    assert generations() == "modeldeploy=1 modeldeploy-prometheus=2 "


def test_an_upgrade_brings_the_new_definition(chart_cluster: Cluster, install: Callable[..., str]) -> None:
    install()
    patch = '[{"op": "remove", "path": "/spec/names/categories"}]'
    chart_cluster.run_kubectl("patch", "crd", CRD, "--type=json", "--patch", patch)
    install("--set", "logLevel=DEBUG")
    assert chart_cluster.run_kubectl("get", "crd", CRD, "-o=jsonpath={.spec.names.categories}") == '["ml"]'


def test_two_releases_live_side_by_side(chart_cluster: Cluster, install: Callable[..., str]) -> None:
    install()
    alone = (
        "--set",
        "crds.install=false",
        "--set",
        "watchNamespaces={elsewhere}",
        "--set",
        "rbac.aggregate=false",
    )
    install(*alone, namespace="elsewhere")
    other = "system:serviceaccount:elsewhere:modeldeploy"
    assert rules_of(chart_cluster, other, "elsewhere") == spread(GRANTED, REVIEWS, LEADING)
    assert rules_of(chart_cluster, other, "team-a") == spread(REVIEWS)


def kubeconfig_of(cluster: Cluster, account: str, target: Path) -> Path:
    """A kubeconfig with which a program acts as a service account of the release."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    token = cluster.run_kubectl("create", "token", account, f"--namespace={NAMESPACE}").strip()
    config["users"][0]["user"] = {"token": token}
    target.write_text(yaml.safe_dump(config))
    return target


@contextlib.contextmanager
def operator(kubeconfig: Path, log: Path, **variables: str) -> Iterator[None]:
    """The operator as a process of this machine."""
    ports = {f"MODELDEPLOY_{name}_PORT": str(free_port()) for name in ("XDS", "HEALTH", "METRICS")}
    environ = {
        **os.environ,
        **ports,
        "KUBECONFIG": str(kubeconfig),
        "PYTHONPATH": str(CHART.parents[1] / "operator"),
    }
    environ |= {"MODELDEPLOY_NAMESPACE": NAMESPACE, "MODELDEPLOY_ROUTER_IMAGE": "envoy:1", **variables}
    command = [sys.executable, "-m", "modeldeploy"]
    with log.open("w") as file, subprocess.Popen(command, env=environ, stdout=file, stderr=file) as process:
        try:
            yield
        finally:
            process.terminate()


@pytest.mark.parametrize("watched", ["", "team-a,team-b"])
def test_the_rights_are_enough_for_the_operator(
    chart_cluster: Cluster, install: Callable[..., str], tmp_path: Path, watched: str
) -> None:
    install("--set", "replicaCount=0", *(["--set", f"watchNamespaces={{{watched}}}"] if watched else []))
    chart_cluster.await_kinds(f"crd/{CRD}")
    chart_cluster.run_kubectl("apply", "-f", "-", given=MODEL)
    kinds = "deploy,svc,sa,cm,pdb,hpa,controllerrevision"

    def made() -> set[str]:
        words = ("get", kinds, "-n", "team-a", "-l", "app.kubernetes.io/managed-by=modeldeploy", "-o", "name")
        return {
            name.partition(".")[0].partition("/")[0] for name in chart_cluster.run_kubectl(*words).split()
        }

    log = tmp_path / "operator.log"
    identity = kubeconfig_of(chart_cluster, "modeldeploy", tmp_path / "kubeconfig")
    everything = {"deployment", "service", "serviceaccount", "configmap", "poddisruptionbudget"}
    everything |= {"horizontalpodautoscaler", "controllerrevision"}
    with operator(identity, log, MODELDEPLOY_WATCH_NAMESPACES=watched):
        eventually(lambda: made() == everything)
        eventually(lambda: "RolloutStarted" in chart_cluster.run_kubectl("get", "events", "-n", "team-a"))
    assert "forbidden" not in log.read_text().lower()
    chart_cluster.run_kubectl("delete", "mdep", "kept", "-n", "team-a")
    # The garbage collector learns of a new kind within half a minute, and the CRD may be as new as that.
    eventually(lambda: made() == set(), 60)
