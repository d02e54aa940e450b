"""The load that users would make, sent through the router, and its rates as they are."""

import contextlib
import re
import selectors
import socket
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from cluster import ClusterError
from demo.cases import NAME
from demo.stage import NAMESPACE, Stage
from digits.load import Load
from digits.load_stats import RevisionSeen, Snapshot

SPAN = 3.0
"""Seconds over which a rate is taken."""
_PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Rate:
    """What one revision does now.

    Attributes:
        revision: Which.
        answers: Answers per second.
        errors: Of these, those that were no good answer, per second.
        nulls: Share of the outputs that were null, 0 to 1.
    """

    revision: str
    answers: float
    errors: float
    nulls: float


def rates(first: Snapshot, last: Snapshot) -> list[Rate]:
    """What each revision did between two snapshots; those that answered nothing are left out."""
    span = last.at - first.at
    images = last.outputs / last.ok if last.ok else 1.0
    found = []
    for revision, seen in last.revisions.items():
        before = first.revisions.get(revision, RevisionSeen())
        answers, good = seen.answers - before.answers, seen.ok - before.ok
        if answers:
            # The load counts outputs as a whole only; each revision gets as many per request.
            nulls = min(1.0, (seen.nulls - before.nulls) / (images * good)) if good else 0.0
            found.append(Rate(revision, answers / span, (seen.errors - before.errors) / span, nulls))
    return found


class Traffic:
    """A steady load with a memory of the last seconds.

    Args:
        url: Where the model is reached.
        rate: Requests per second.
    """

    def __init__(self, url: str, rate: float) -> None:
        self._load = Load(url, rate=rate)
        self._recent: deque[Snapshot] = deque()

    def start(self) -> None:
        """Begin to send."""
        self._load.start()
        self.look()

    def look(self) -> None:
        """Note the counts; call this a few times a second."""
        snapshot = self._load.snapshot()
        self._recent.append(snapshot)
        while snapshot.at - self._recent[0].at > SPAN:
            self._recent.popleft()

    @property
    def now(self) -> Snapshot:
        """The counts at the last look."""
        return self._recent[-1]

    def rates(self) -> list[Rate]:
        """What each revision that answers does now, taken over the last seconds."""
        return rates(self._recent[0], self._recent[-1])

    def stop(self) -> Snapshot:
        """Send no more, wait for the last answers and count."""
        return self._load.stop()


@contextlib.contextmanager
def router_url(stage: Stage) -> Iterator[str]:
    """Where this machine reaches the model's Service: its own address, or a forwarded port where it can't.

    Raises:
        ClusterError: It can't be reached.
    """
    if stage.cluster.pod_reachable:
        service = stage.get("service", NAME, "--namespace", NAMESPACE)
        address = service["spec"]["clusterIP"]
        _wait_for(address, 80)
        yield f"http://{address}"
        return
    with _forwarded(stage) as port:
        yield f"http://127.0.0.1:{port}"


def _wait_for(address: str, port: int) -> None:
    """A new Service is reachable once the node's rules are written, about a second later."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"the Service {NAME} at {address}:{port} can't be reached: {error}"
                ) from error
            time.sleep(0.1)
        else:
            return


@contextlib.contextmanager
def _forwarded(stage: Stage) -> Iterator[int]:
    cluster = stage.cluster
    options = [f"--kubeconfig={cluster.kubeconfig}", f"--namespace={NAMESPACE}"]
    process = subprocess.Popen(  # noqa: S603 - the program and its arguments are ours
        [cluster.kubectl, *options, "port-forward", f"service/{NAME}", ":80"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield _forwarded_port(process)
    finally:
        process.terminate()
        process.wait(10)


def _forwarded_port(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None  # noqa: S101 - opened as a pipe
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        if ready.select(_PATIENCE):
            found = re.search(r"127\.0\.0\.1:(\d+) ->", process.stdout.readline())
            if found:
                return int(found[1])
    raise ClusterError(f"kubectl port-forward service/{NAME} did not begin to forward within {_PATIENCE:g} s")
