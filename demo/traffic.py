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

    def now(self) -> Snapshot:
        """The counts now."""
        snapshot = self._load.snapshot()
        self._recent.append(snapshot)
        while snapshot.at - self._recent[0].at > SPAN:
            self._recent.popleft()
        return snapshot

    def rates(self) -> list[Rate]:
        """What each revision does now, by calls of `now` over the last seconds."""
        first, last = self._recent[0], self._recent[-1]
        span = last.at - first.at
        if span <= 0:
            return []
        images = last.outputs / last.ok if last.ok else 1.0
        nothing = RevisionSeen()
        rates = []
        for revision, seen in last.revisions.items():
            before = first.revisions.get(revision, nothing)
            answers = seen.answers - before.answers
            outputs = images * (seen.ok - before.ok)
            nulls = (seen.nulls - before.nulls) / outputs if outputs else 0.0
            rates.append(
                Rate(revision, answers / span, (seen.errors - before.errors) / span, min(1.0, nulls))
            )
        return rates

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
