"""The words that end-to-end tests speak in: an installation, a namespace, a model in it and its load."""

import contextlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from cluster import Cluster
from cluster.paths import REPOSITORY
from digits.load import Load
from e2e.reach import PATIENCE, Api, Object, service_url, until

RELEASE = "modeldeploy"
SYSTEM = "modeldeploy-e2e-system"
"""A namespace of our own, so that no release of somebody's is upgraded or uninstalled."""
CRD = "modeldeployments.modeldeploy.dev"
KINDS = (
    *("Deployment", "Service", "ControllerRevision", "PodDisruptionBudget", "HorizontalPodAutoscaler"),
    *("ConfigMap", "ServiceAccount"),
)
"""What the operator makes in a namespace. Pods follow, and take their time to end."""
FOLLOWED = timedelta(seconds=1.2)
"""After which the message says so if the routers don't know of a step yet."""
SILENT = "http://127.0.0.1:9"
"""A metrics store that objects may name and that nobody runs."""
OURS = "app.kubernetes.io/managed-by=modeldeploy"
ROUTER = "modeldeploy-router"


@dataclass(frozen=True)
class Installation:
    """A cluster with the chart installed."""

    cluster: Cluster
    api: Api = field(repr=False)
    images: Mapping[str, str] = field(repr=False)

    def install(self, **more: str) -> None:
        """Install the chart or upgrade it; `more` are values beside those that every test has."""
        values = {
            "image.reference": self.images["operator"],
            "router.image.reference": self.images["envoy"],
            "prometheus.enabled": "true",
            "prometheus.image.reference": self.images["prometheus"],
            "prometheus.scrapeInterval": "1s",
            "prometheus.allowedURLs": f"{{{SILENT}}}",
            "lease.durationSeconds": "10",
            "crds.install": "true" if self.crd_owner() in {None, SYSTEM} else "false",
            **more,
        }
        settings = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
        command = ("upgrade", "--install", RELEASE, str(REPOSITORY / "charts" / "modeldeploy"))
        where = ("--namespace", SYSTEM, "--create-namespace", "--wait", "--timeout=5m")
        self.cluster.run_helm(*command, *where, *settings, timeout=330)
        until(self._is_led, "an operator that leads")

    def _is_led(self) -> bool:
        """Whether a ready operator acts; one that was replaced hands over a few seconds later."""
        ready = {pod["metadata"]["name"] for pod in self.pods("operator") if is_ready(pod)}
        return any(lease["spec"].get("holderIdentity") in ready for lease in self.api.list("Lease", SYSTEM))

    def crd_owner(self) -> str | None:
        """The namespace of the release that the CRD belongs to; None if there is no CRD."""
        found = self.cluster.run_kubectl("get", "crd", CRD, "--ignore-not-found", "--output=json").strip()
        notes = json.loads(found)["metadata"].get("annotations", {}) if found else None
        return None if notes is None else str(notes.get("meta.helm.sh/release-namespace", ""))

    def uninstall(self) -> None:
        self.cluster.run_helm("uninstall", RELEASE, "--namespace", SYSTEM, "--ignore-not-found", "--wait")

    def pods(self, component: str) -> list[Object]:
        """The pods of the chart's `operator` or `prometheus`, those that are ending too."""
        selector = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}"
        return self.api.list("Pod", SYSTEM, selector)

    @contextlib.contextmanager
    def without(self, deployment: str = RELEASE) -> Iterator[None]:
        """No pod of the chart's Deployment for as long as the block takes."""
        component = "operator" if deployment == RELEASE else "prometheus"
        self._scale(deployment, 0)
        try:
            until(lambda: not self.pods(component), f"the end of {deployment}")
            yield
        finally:
            self._scale(deployment, 1)
            until(lambda: any(map(is_ready, self.pods(component))), f"{deployment} being ready again")

    def _scale(self, deployment: str, replicas: int) -> None:
        self.api.patch("Deployment", SYSTEM, deployment, {"spec": {"replicas": replicas}}, "scale")

    @contextlib.contextmanager
    def place(self) -> Iterator["Place"]:
        """A new namespace that admits nothing but restricted pods, and takes all with it in the end."""
        name = f"e2e-{secrets.token_hex(3)}"
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.api.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        )
        try:
            yield Place(self, name)
        finally:
            self.remove(name)

    def remove(self, namespace: str) -> None:
        """Delete a namespace; nobody sends requests any more, so its pods need not drain."""
        self.api.delete("Namespace", None, namespace)
        for pod in self.api.list("Pod", namespace):
            self.api.delete("Pod", namespace, pod["metadata"]["name"], grace=1)


@dataclass(frozen=True)
class Place:
    """A namespace with the model `digits`, or with others that a test names."""

    installed: Installation
    namespace: str

    @property
    def api(self) -> Api:
        return self.installed.api

    def kubectl(self, *words: str, given: str | None = None, timeout: float = 60) -> str:
        return self.installed.cluster.run_kubectl(
            *words, "--namespace", self.namespace, given=given, timeout=timeout
        )

    def apply(self, obj: Object) -> str:
        """Apply as a user does."""
        return self.kubectl("apply", "--filename=-", given=json.dumps(obj))

    def manifest(
        self, version: str, *, called: str | None = None, replicas: int = 2, name: str = "digits"
    ) -> Object:
        """A version of examples/digits with this cluster's image and short times.

        `called` is another model version: a new revision of the same image.
        """
        text = (REPOSITORY / "examples" / "digits" / f"{version}.yaml").read_text(encoding="utf-8")
        obj: Object = yaml.safe_load(text)
        obj["metadata"]["name"] = name
        spec = obj["spec"]
        spec["model"]["version"] = called or version
        spec["server"]["image"] = self.installed.images[f"digits:{version}"]
        spec["server"]["replicas"] = {"min": replicas}
        spec["rollout"] |= {
            "steps": [{"weight": 30, "hold": "4s"}, {"weight": 60, "hold": "2s"}],
            "drain": "2s",
        }
        spec["monitoring"] |= {"interval": "1s", "window": "30s"}
        latency, errors = spec["monitoring"]["metrics"][:2]
        if version != "v2-slow":  # a bound that a machine without a core to spare keeps too
            latency["max"] = "2s"
        if version != "v2-errors":  # fewer requests are enough to pass it
            errors["max"] = "5%"
        return obj

    def model(self, name: str = "digits") -> Object:
        found = self.api.get("ModelDeployment", self.namespace, name)
        assert found is not None, f"ModelDeployment {name} is gone"
        return found

    def status(self, name: str = "digits") -> Object:
        found: Object = self.model(name).get("status") or {}
        return found

    def until(
        self,
        so: Callable[[Object], Any],
        what: str,
        *,
        name: str = "digits",
        timeout: float = PATIENCE,
        pause: float = 0.2,
    ) -> Object:
        """The object once its status speaks of its present spec and is as `so` wants it."""

        def look() -> Object | None:
            obj = self.model(name)
            status = obj.get("status") or {}
            current = status.get("observedGeneration") == obj["metadata"]["generation"]
            return obj if current and so(status) else None

        found = until(look, lambda: f"{what}\n{self.describe(name)}", timeout=timeout, pause=pause)
        assert found is not None
        return found

    def until_ready(self, version: str, *, name: str = "digits", timeout: float = PATIENCE) -> Object:
        """The object once the version in spec serves."""
        return self.until(
            lambda status: stands(status, "Ready") and status["stable"]["modelVersion"] == version,
            f"version {version} being Ready",
            name=name,
            timeout=timeout,
        )

    def until_step(self, version: str, step: int = 1, *, name: str = "digits") -> Object:
        """The object once the version is a candidate in that step, and the routers know it."""

        def so(status: Object) -> bool:
            candidate = status.get("candidate") or {}
            there = candidate.get("modelVersion") == version and candidate["step"] >= step
            since = datetime.fromisoformat(candidate["stepStartedAt"]) if there else datetime.now(UTC)
            late = "waits for the routers" in status["message"]
            return there and not late and datetime.now(UTC) - since > FOLLOWED

        return self.until(so, f"step {step} of version {version}", name=name)

    def until_ended(self, version: str, outcome: str, *, name: str = "digits") -> Object:
        """The object once a version's rollout has ended; it must have ended so."""

        def so(status: Object) -> bool:
            return any(entry["modelVersion"] == version for entry in status.get("history", []))

        found = self.until(so, f"the end of version {version}", name=name)
        entry = ending(found["status"], version)
        assert entry["outcome"] == outcome, f"{entry}\n{self.describe(name)}"
        return found

    def events(self, reason: str | None = None) -> list[Object]:
        """Events about ModelDeployments, oldest first."""
        found = [
            event
            for event in self.api.list("Event", self.namespace)
            if event["involvedObject"]["kind"] == "ModelDeployment" and reason in (None, event["reason"])
        ]
        return sorted(found, key=lambda event: event["metadata"]["creationTimestamp"])

    def pods(self, revision: str | None = None, *, router: bool = False) -> dict[str, Object]:
        """Pods by UID: of all models, of one revision, or of the router."""
        selector = "modeldeploy.dev/revision" + (f"={revision}" if revision else "")
        found = self.api.list(
            "Pod", self.namespace, f"app.kubernetes.io/name={ROUTER}" if router else selector
        )
        return {pod["metadata"]["uid"]: pod for pod in found}

    def children(self, selector: str = OURS) -> dict[str, Object]:
        """All that the operator made here, as `Kind/name`; pods are not among them."""
        return {
            f"{kind}/{item['metadata']['name']}": item
            for kind in KINDS
            for item in self.api.list(kind, self.namespace, selector)
        }

    def versions(self) -> dict[str, str]:
        """The resourceVersion of each child: what didn't change wasn't written."""
        return {key: item["metadata"]["resourceVersion"] for key, item in self.children().items()}

    def describe(self, name: str = "digits") -> str:
        """What a person would look at first."""
        obj = self.api.get("ModelDeployment", self.namespace, name) or {}
        events = [f"{event['reason']}: {event['message']}" for event in self.events()[-8:]]
        pods = [
            f"{pod['metadata']['name']} {'ready' if is_ready(pod) else pod['status'].get('phase')}"
            for pod in self.api.list("Pod", self.namespace)
        ]
        return "\n".join([json.dumps(obj.get("status"), indent=1), *events, *pods])

    def reach(self, name: str = "digits") -> contextlib.AbstractContextManager[str]:
        return service_url(self.installed.cluster, self.api, self.namespace, name)

    @contextlib.contextmanager
    def load(self, rate: float = 30, *, name: str = "digits", deliberate: bool = False) -> Iterator[Load]:
        """A steady load while the block runs, of which no request may fail.

        With `deliberate` the errors that v2-errors makes on purpose are none.
        """
        with self.reach(name) as url:
            load = Load(url, rate=rate, timeout=60)  # machines that test are slow, and slow is no failure
            load.start()
            try:
                yield load
            finally:
                seen = load.stop()
            assert seen.clean(expect_errors=deliberate), f"{seen.failed}: {seen.first_failure}"


def condition(status: Object, kind: str) -> Object | None:
    """A condition of a status, or None."""
    return next((one for one in status.get("conditions", []) if one["type"] == kind), None)


def stands(status: Object, kind: str) -> bool:
    """Whether a condition is True."""
    found = condition(status, kind)
    return found is not None and found["status"] == "True"


def ending(status: Object, version: str) -> Object:
    """The last entry in history about a version."""
    found: Object = next(entry for entry in status["history"] if entry["modelVersion"] == version)
    return found


def is_ready(pod: Object) -> bool:
    """Whether a pod takes requests."""
    return not pod["metadata"].get("deletionTimestamp") and stands(pod.get("status") or {}, "Ready")


def restarts(pods: Mapping[str, Object]) -> dict[str, int]:
    """Container restarts by the pod's UID: equal before and after means the very same processes."""
    return {
        uid: sum(one["restartCount"] for one in pod["status"].get("containerStatuses", []))
        for uid, pod in pods.items()
    }
