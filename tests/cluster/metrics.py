"""metrics-server in a cluster: the CPU that its pods use, for autoscalers to go by."""

from typing import Any

import yaml

from cluster.addon_tools import metrics_server_manifests
from cluster.manager import Cluster
from cluster.progress import step
from cluster.record import GIVEN
from cluster.shell import UnavailableError

IMAGE = "metrics-server"
API = "v1beta1.metrics.k8s.io"
ARGUMENTS = (
    # a kubelet's certificate is signed by itself, here and in kind
    "--kubelet-insecure-tls",
    # the shortest that it takes, and a time limit that fits into it
    *("--metric-resolution=10s", "--kubelet-request-timeout=5s"),
)


def ensure(cluster: Cluster) -> bool:
    """See that the cluster has a metrics API; whether it was installed now.

    Raises:
        UnavailableError: there is none, and the cluster is a given one, to which nothing is added; or the
            program can't be built here.
        ClusterError: it was installed and does not answer.
    """
    there = bool(cluster.run_kubectl("get", "apiservice", API, "--ignore-not-found", "--output=name"))
    if not there:
        if cluster.flavour == GIVEN:
            raise UnavailableError(f"the given cluster has no metrics API ({API}): install metrics-server")
        _install(cluster)
    wait = ("wait", "--for=condition=Available", f"apiservice/{API}", "--timeout=120s")
    cluster.run_kubectl(*wait, timeout=130)
    return not there


def remove(cluster: Cluster) -> None:
    """Take away what `ensure` installed."""
    given = yaml.safe_dump_all(_objects(cluster))
    cluster.run_kubectl("delete", "--ignore-not-found", "--filename=-", given=given)


def _install(cluster: Cluster) -> None:
    image = cluster.image(IMAGE)
    with step("metrics-server"):
        objects = _objects(cluster)
        for deployment in (item for item in objects if item["kind"] == "Deployment"):
            _fit(deployment["spec"]["template"]["spec"]["containers"][0], image)
        given = yaml.safe_dump_all(objects)
        cluster.run_kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", given=given)
        where = ("--namespace=kube-system", "--timeout=120s")
        cluster.run_kubectl("rollout", "status", "deployment/metrics-server", *where, timeout=130)


def _objects(cluster: Cluster) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(cluster.run_kubectl("kustomize", str(metrics_server_manifests()))))


def _fit(container: dict[str, Any], image: str) -> None:
    """Name our image and this cluster's settings in the published container."""
    container["image"] = image
    container["args"] += ARGUMENTS  # of a flag that is there twice, the last counts
    container["readinessProbe"] |= {"initialDelaySeconds": 1, "periodSeconds": 1, "failureThreshold": 60}
