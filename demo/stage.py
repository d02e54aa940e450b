"""The cluster, the chart and the namespaces that the demo plays in, and putting them away."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from cluster import Cluster, ClusterError, choose, ensure, kindcluster, record
from cluster.manager import DEFAULT_NAMES, NAME_VARIABLE
from cluster.paths import cache_root
from cluster.progress import step
from cluster.record import GIVEN, KIND
from cluster.shell import run
from cluster.tools import kind
from demo.cases import REPOSITORY

RELEASE = "modeldeploy"
SYSTEM = "modeldeploy-demo-system"
NAMESPACE = "modeldeploy-demo"
CRD = "modeldeployments.modeldeploy.dev"
SCRAPE = "2s"
"""Time between two scrapes; the demo would rather not wait."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demo plays.

    Attributes:
        cluster: Runs pods.
        images: References by the names of `cluster.IMAGES`.
        was_up: Whether the cluster ran before.
    """

    cluster: Cluster
    images: Mapping[str, str] = field(repr=False)
    was_up: bool

    def kubectl(self, *words: str, given: str | None = None, timeout: float = 60) -> str:
        """What kubectl prints; see `Cluster.run_kubectl`."""
        return self.cluster.run_kubectl(*words, given=given, timeout=timeout)

    def get(self, *words: str) -> Any:
        """Objects as JSON values."""
        return json.loads(self.kubectl("get", *words, "--output=json"))

    def apply(self, obj: Mapping[str, Any]) -> None:
        """Apply an object in the demo's namespace, as a user does."""
        self.kubectl("apply", "--namespace", NAMESPACE, "--filename=-", given=json.dumps(obj))

    def pods(self, revision: str) -> dict[str, int]:
        """Restarts by UID of a revision's pods."""
        found = self.get("pods", "--namespace", NAMESPACE, f"--selector=modeldeploy.dev/revision={revision}")
        return {
            pod["metadata"]["uid"]: sum(
                each["restartCount"] for each in pod["status"].get("containerStatuses") or ()
            )
            for pod in found["items"]
        }

    def prometheus(self, query: str) -> list[dict[str, Any]]:
        """What the chart's Prometheus answers now, asked through the API server."""
        service = f"/api/v1/namespaces/{SYSTEM}/services/{RELEASE}-prometheus:http/proxy"
        answer = json.loads(self.kubectl("get", "--raw", f"{service}/api/v1/query?query={quote(query)}"))
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


def set_up(images: Sequence[str]) -> Stage:
    """A cluster with the images on it and nothing left of an earlier run but the chart.

    Raises:
        ClusterError: Something failed; the message says what.
    """
    was_up = _is_up()
    cluster = ensure(images=images)
    stage = Stage(cluster, cluster.build_and_load(images), was_up)
    _refuse_rivals(stage)
    if _exists(stage, "namespace", NAMESPACE):
        with step("what an earlier run left"):
            _delete_namespace(stage, NAMESPACE)
    return stage


def install(stage: Stage) -> None:
    """Install the chart, or upgrade an earlier run's, and wait until operator and Prometheus are up."""
    images = stage.images
    values = {
        "image.reference": images["operator"],
        "router.image.reference": images["envoy"],
        "prometheus.enabled": "true",
        "prometheus.image.reference": images["prometheus"],
        "prometheus.scrapeInterval": SCRAPE,
        "crds.install": "true" if _may_own_crd(stage) else "false",
    }
    settings = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    where = ("--namespace", SYSTEM)
    with step("helm: operator and Prometheus"):
        if _release(stage) not in {"", "deployed"}:  # an interrupted run
            stage.cluster.run_helm("uninstall", RELEASE, *where, "--wait")
        chart = str(REPOSITORY / "charts" / "modeldeploy")
        command = ("upgrade", "--install", RELEASE, chart, *where, "--create-namespace")
        stage.cluster.run_helm(*command, *settings, "--wait", "--timeout=5m", timeout=330)
    stage.kubectl("create", "namespace", NAMESPACE)


def put_away(stage: Stage) -> None:
    """Take away what the demo brought, and the cluster too if it wasn't up before."""
    if not stage.was_up and stage.cluster.flavour != GIVEN:
        stage.cluster.down()
        return
    with step("taking the demo away"):
        _delete_namespace(stage, NAMESPACE)
        stage.cluster.run_helm("uninstall", RELEASE, "--namespace", SYSTEM, "--ignore-not-found", "--wait")
        _delete_namespace(stage, SYSTEM)
        if _may_own_crd(stage) and not stage.get("modeldeployments", "--all-namespaces")["items"]:
            stage.kubectl("delete", "crd", CRD)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let no second demo of this machine into the same namespace.

    Raises:
        ClusterError: There is one already.
    """
    folder = cache_root() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"demo-{os.environ.get(NAME_VARIABLE, '')}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ClusterError("another demo is running on this machine; wait for its end") from None
        yield


def _is_up() -> bool:
    """Whether the cluster that `ensure` will choose runs already."""
    flavour = choose()
    if flavour == GIVEN:
        return True
    name = os.environ.get(NAME_VARIABLE) or DEFAULT_NAMES[flavour]
    if flavour == KIND:
        return kindcluster.kubeconfig(name).exists() and name in run([kind(), "get", "clusters"]).split()
    known = record.load(name)
    return bool(known and known.processes and not known.dead())


def _exists(stage: Stage, *words: str) -> bool:
    return bool(stage.kubectl("get", *words, "--ignore-not-found", "--output=name").strip())


def _release(stage: Stage) -> str:
    """The release's status in Helm's words; empty if there is none."""
    try:
        shown = stage.cluster.run_helm("status", RELEASE, "--namespace", SYSTEM, "--output=json")
    except ClusterError as error:
        if "not found" in str(error):
            return ""
        raise
    return str(json.loads(shown)["info"]["status"])


def _refuse_rivals(stage: Stage) -> None:
    """Two operators must not look after the same objects."""
    selector = "--selector=app.kubernetes.io/part-of=modeldeploy,app.kubernetes.io/component=operator"
    for found in stage.get("deployments", "--all-namespaces", selector)["items"]:
        where = found["metadata"]["namespace"]
        variables = found["spec"]["template"]["spec"]["containers"][0].get("env") or ()
        watched = next((v.get("value") for v in variables if v["name"] == "MODELDEPLOY_WATCH_NAMESPACES"), "")
        if where != SYSTEM and (not watched or NAMESPACE in watched.split(",")):
            raise ClusterError(
                f"this cluster has a modeldeploy already, in namespace {where}, which would look after the "
                "demo's objects too; use another cluster, or uninstall it first"
            )


def _may_own_crd(stage: Stage) -> bool:
    """Whether the CRD is missing or of the demo's own release; Helm refuses to touch another's."""
    found = stage.kubectl("get", "crd", CRD, "--ignore-not-found", "--output=json").strip()
    if not found:
        return True
    notes = json.loads(found)["metadata"].get("annotations") or {}
    owner = (notes.get("meta.helm.sh/release-namespace"), notes.get("meta.helm.sh/release-name"))
    return owner == (SYSTEM, RELEASE)


def _delete_namespace(stage: Stage, name: str) -> None:
    """Nobody sends requests any more, so nothing has to drain."""
    stage.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")
    quickly = ("--grace-period=1", "--wait=false", "--ignore-not-found")
    stage.kubectl("delete", "pods", "--all", "--namespace", name, *quickly)
    if _exists(stage, "namespace", name):
        stage.kubectl("wait", "--for=delete", f"namespace/{name}", "--timeout=120s", timeout=130)
