"""How tests reach the cluster: the API server, and a model behind its Service."""

import contextlib
import json
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx

from cluster import Cluster, ClusterError
from modeldeploy.adapters.kube.resources import RESOURCES

T = TypeVar("T")
Object = dict[str, Any]

PATIENCE = 90.0
"""Seconds; machines that test are busy."""


class Api:
    """The API server as an administrator sees it, through a `kubectl proxy` on a socket of our own."""

    def __init__(self, socket: Path) -> None:
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://localhost", timeout=30
        )

    def close(self) -> None:
        self._client.close()

    def get(self, kind: str, namespace: str | None, name: str) -> Object | None:
        answer = self._client.get(RESOURCES[kind].path(namespace, name))
        return None if answer.status_code == httpx.codes.NOT_FOUND else self._content(answer)

    def list(self, kind: str, namespace: str | None = None, selector: str = "") -> list[Object]:
        answer = self._client.get(RESOURCES[kind].path(namespace), params={"labelSelector": selector})
        return [{"kind": kind, **item} for item in self._content(answer)["items"]]

    def moment(self, kind: str, namespace: str) -> str:
        """The present as `history` wants it."""
        answer = self._client.get(RESOURCES[kind].path(namespace), params={"limit": 1})
        return str(self._content(answer)["metadata"]["resourceVersion"])

    def history(self, kind: str, namespace: str, since: str) -> Sequence[Object]:
        """Every version of every object of a kind that was written since a moment some minutes ago."""
        params = {"watch": "1", "resourceVersion": since, "timeoutSeconds": "1"}
        with self._client.stream("GET", RESOURCES[kind].path(namespace), params=params) as answer:
            changes = [json.loads(line) for line in answer.iter_lines()]
        assert all(change["type"] != "ERROR" for change in changes), changes
        return [change["object"] for change in changes]

    def create(self, obj: Object) -> Object:
        path = RESOURCES[obj["kind"]].path(obj["metadata"].get("namespace"))
        return self._content(self._client.post(path, json=obj))

    def patch(self, kind: str, namespace: str, name: str, changes: Object, part: str | None = None) -> Object:
        path = RESOURCES[kind].path(namespace, name, part)
        headers = {"content-type": "application/merge-patch+json"}
        return self._content(self._client.patch(path, content=json.dumps(changes), headers=headers))

    def delete(self, kind: str, namespace: str | None, name: str, grace: int | None = None) -> None:
        body = {} if grace is None else {"gracePeriodSeconds": grace}
        path = RESOURCES[kind].path(namespace, name)
        answer = self._client.request("DELETE", path, json={"propagationPolicy": "Background", **body})
        if answer.status_code != httpx.codes.NOT_FOUND:
            self._content(answer)

    def _content(self, answer: httpx.Response) -> Object:
        assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.text}"
        content: Object = answer.json()
        return content


@contextlib.contextmanager
def kubectl_proxy(cluster: Cluster, folder: Path) -> Iterator[Api]:
    """Requests to the API server without the cost of a program for each."""
    socket = folder / "api"
    command = [str(cluster.kubectl), f"--kubeconfig={cluster.kubeconfig}", "proxy", f"--unix-socket={socket}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(socket.exists, "kubectl proxy", timeout=20, pause=0.05)
            with contextlib.closing(Api(socket)) as api:
                yield api
        finally:
            process.terminate()


def until(
    look: Callable[[], T],
    what: str | Callable[[], str],
    *,
    timeout: float = PATIENCE,
    pause: float = 0.2,
) -> T:
    """What `look` returns, once it is true; `what` says what is missing when it never is."""
    deadline = time.monotonic() + timeout
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            missing = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {timeout:g} s: {missing}")
        time.sleep(pause)


@contextlib.contextmanager
def service_url(cluster: Cluster, api: Api, namespace: str, name: str) -> Iterator[str]:
    """A URL of a model's Service: its own, or one forwarded to one router where there is no way."""
    if cluster.pod_reachable:
        service = api.get("Service", namespace, name)
        assert service is not None, f"there is no Service {name}"
        yield _answering(f"http://{service['spec']['clusterIP']}")
        return
    with _forwarded(cluster, namespace, name) as port:
        yield _answering(f"http://127.0.0.1:{port}")


def _answering(url: str) -> str:
    """The URL once it answers: a new Service takes a second to be known to the node."""

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/v2/health/ready", timeout=5).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    until(ready, f"an answer from {url}", timeout=30)
    return url


@contextlib.contextmanager
def _forwarded(cluster: Cluster, namespace: str, name: str) -> Iterator[int]:
    options = [f"--kubeconfig={cluster.kubeconfig}", f"--namespace={namespace}"]
    command = [str(cluster.kubectl), *options, "port-forward", f"service/{name}", ":80"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            with selectors.DefaultSelector() as waiting:
                waiting.register(process.stdout, selectors.EVENT_READ)
                line = process.stdout.readline() if waiting.select(20) else ""
            if " -> " not in line:
                raise ClusterError(f"kubectl port-forward to Service {name} did not begin: {line!r}")
            yield int(line.split(" -> ")[0].rpartition(":")[2])
        finally:
            process.terminate()
