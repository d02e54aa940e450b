"""Envoy Gateway and Traefik in a cluster, each with a Gateway that takes routes of every namespace."""

import json
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from cluster.addon_tools import CRD_FILE, envoy_gateway_charts, traefik_file
from cluster.certificates import issue, make_authority
from cluster.manager import Cluster
from cluster.progress import step

Object = dict[str, Any]

NAMESPACE = "providers-system"
"""Both live here, and their Gateways: `envoy` and `traefik`."""
TRAEFIK_PORT = 8000
CERTIFICATE = "traefik-certificate"
TLS_STORES = "tlsstores.traefik.io"
RBAC = "docs/content/reference/dynamic-configuration/kubernetes-{}-rbac.yml"


def install(cluster: Cluster) -> None:
    """Install both add-ons; what is there already stays as it is."""
    images = cluster.build_and_load(["envoy-gateway", "traefik", "envoy"])
    with step("Envoy Gateway, Traefik and their kinds"):
        _apply(cluster, [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}])
        _envoy_gateway(cluster, images)
        _traefik(cluster, images["traefik"])
        for name in ("envoy", "traefik"):
            where = ("--namespace", NAMESPACE, "--timeout=180s")
            cluster.run_kubectl("wait", "--for=condition=Programmed", f"gateway/{name}", *where, timeout=200)


def _apply(cluster: Cluster, objects: Iterable[Object]) -> None:
    text = "\n".join(f"---\n{json.dumps(item)}" for item in objects)
    cluster.run_kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", given=text)


def _envoy_gateway(cluster: Cluster, images: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        charts = Path(folder) / "charts"
        shutil.copytree(envoy_gateway_charts(), charts, copy_function=shutil.copyfile)
        for made in charts.rglob("*"):  # modules are read-only
            made.chmod(0o755 if made.is_dir() else 0o644)
        kinds = charts / "gateway-crds-helm"
        chosen = ("crds.gatewayAPI.enabled=true", "crds.gatewayAPI.channel=experimental")
        settings = [
            word for value in (*chosen, "crds.envoyGateway.enabled=true") for word in ("--set", value)
        ]
        cluster.run_kubectl(
            *("apply", "--server-side", "--force-conflicts", "--filename=-"),
            given=cluster.run_helm("template", "kinds", str(kinds), *settings),
        )
        chart = charts / "gateway-helm"
        values = (chart / "values.tmpl.yaml").read_text(encoding="utf-8")
        values = values.replace("${GatewayImage}", images["envoy-gateway"])
        (chart / "values.yaml").write_text(
            values.replace("${GatewayImagePullPolicy}", "IfNotPresent"), encoding="utf-8"
        )
        where = ("--namespace", NAMESPACE, "--wait", "--timeout=3m", "--skip-crds")
        cluster.run_helm(
            "upgrade", "--install", "envoy-gateway", str(chart), *where, "--set", "crds.enabled=false"
        )
    _apply(
        cluster, [_proxy(images["envoy"]), *_gateway("envoy", ENVOY_CONTROLLER, 80, {"parametersRef": PROXY})]
    )


ENVOY_CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
PROXY = {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "proxy", "namespace": NAMESPACE}


def _proxy(image: str) -> Object:
    container = {"image": image, "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}}
    kubernetes = {"envoyDeployment": {"container": container}, "envoyService": {"type": "ClusterIP"}}
    return {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyProxy",
        "metadata": {"name": "proxy", "namespace": NAMESPACE},
        "spec": {"provider": {"type": "Kubernetes", "kubernetes": kubernetes}},
    }


def _gateway(name: str, controller: str, port: int, more: Object | None = None) -> list[Object]:
    group = "gateway.networking.k8s.io/v1"
    everybody = {"namespaces": {"from": "All"}}
    listener = {"name": "http", "protocol": "HTTP", "port": port, "allowedRoutes": everybody}
    return [
        {
            "apiVersion": group,
            "kind": "GatewayClass",
            "metadata": {"name": name},
            "spec": {"controllerName": controller, **(more or {})},
        },
        {
            "apiVersion": group,
            "kind": "Gateway",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"gatewayClassName": name, "listeners": [listener]},
        },
    ]


def _traefik(cluster: Cluster, image: str) -> None:
    kinds = traefik_file(CRD_FILE).read_text(encoding="utf-8")
    cluster.run_kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", given=kinds)
    roles = [
        item
        for part in ("crd", "gateway")
        for item in yaml.safe_load_all(traefik_file(RBAC.format(part)).read_text(encoding="utf-8"))
        if item and item["kind"] == "ClusterRole"
    ]
    rules = [rule for role in roles for rule in role["rules"]]
    _certificate(cluster)
    _apply(cluster, [*_account(rules), *_program(image)])
    where = ("--namespace", NAMESPACE, "--timeout=120s")
    cluster.run_kubectl("rollout", "status", "deployment/traefik", *where, timeout=130)
    _apply(cluster, _gateway("traefik", "traefik.io/gateway-controller", TRAEFIK_PORT))


def _certificate(cluster: Cluster) -> None:
    """A certificate for connections that no other one is meant for.

    Without one Traefik makes an RSA key before it follows any change of routes.
    """
    cluster.await_kinds(f"crd/{TLS_STORES}")
    where = ("--namespace", NAMESPACE)
    if not cluster.run_kubectl("get", "secret", CERTIFICATE, *where, "--ignore-not-found", "--output=name"):
        _apply(cluster, [_secret()])
    store = {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "TLSStore",
        "metadata": {"name": "default", "namespace": NAMESPACE},
        "spec": {"defaultCertificate": {"secretName": CERTIFICATE}},
    }
    _apply(cluster, [store])


def _secret() -> Object:
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        make_authority(folder)
        issue(folder, "traefik", "traefik", names=["DNS:traefik.test"])
        pair = {part: (folder / f"traefik.{part}").read_text(encoding="ascii") for part in ("crt", "key")}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": CERTIFICATE, "namespace": NAMESPACE},
        "type": "kubernetes.io/tls",
        "stringData": {f"tls.{part}": text for part, text in pair.items()},
    }


def _account(rules: list[Object]) -> list[Object]:
    group = "rbac.authorization.k8s.io"
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "traefik", "namespace": NAMESPACE},
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "traefik"},
            "rules": rules,
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "traefik"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "traefik"},
            "subjects": [{"kind": "ServiceAccount", "name": "traefik", "namespace": NAMESPACE}],
        },
    ]


def _program(image: str) -> list[Object]:
    labels = {"app.kubernetes.io/name": "traefik"}
    container = {
        "name": "traefik",
        "image": image,
        "command": ["traefik"],
        "args": [
            *(f"--entrypoints.web.address=:{TRAEFIK_PORT}", "--ping=true", "--ping.entrypoint=web"),
            *("--providers.kubernetescrd=true", "--providers.kubernetesgateway=true"),
            *("--global.checknewversion=false", "--global.sendanonymoususage=false"),
        ],
        "readinessProbe": {"httpGet": {"path": "/ping", "port": TRAEFIK_PORT}, "periodSeconds": 1},
    }
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "traefik", "namespace": NAMESPACE},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"serviceAccountName": "traefik", "containers": [container]},
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "traefik", "namespace": NAMESPACE},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": TRAEFIK_PORT}]},
        },
    ]
