"""Operators as processes of their own, `python -m modeldeploy`, with what a test may do to one."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cluster.network import free_port
from cluster.paths import REPOSITORY

KILLED = -signal.SIGKILL


@dataclass(eq=False)
class Operator:
    """One operator; whoever ends it, `start` begins a new process at the same ports.

    Attributes:
        folder: For its log.
        kubeconfig: The API server.
        namespace: What it looks after, and where its Lease lives.
        identity: As a pod's name.
        settings: Further environment variables.
    """

    folder: Path
    kubeconfig: Path
    namespace: str
    identity: str = "operator-0"
    settings: Mapping[str, str] = field(default_factory=dict)
    xds_port: int = field(default_factory=free_port)
    health_port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> Path:
        return self.folder / f"{self.namespace}-{self.identity}.log"

    @property
    def pid(self) -> int:
        assert self.process is not None, "it was not started"
        return self.process.pid

    async def start(self, fault: str = "") -> None:
        """Begin a process; `fault` as in `modeldeploy.adapters.kube.fault`."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "modeldeploy"),
                env=self._environment(fault),
                stdout=log,
                stderr=log,
            )

    async def ended(self) -> int:
        """Wait for its end; the exit status, below 0 for a signal."""
        assert self.process is not None, "it was not started"
        return await self.process.wait()

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def stop(self, first: signal.Signals = signal.SIGTERM) -> None:
        """End it as a kubelet does, or with SIGKILL at once."""
        if self.process is None or self.process.returncode is not None:
            return
        self.send(first)
        try:
            async with asyncio.timeout(20):
                await self.ended()
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self.ended()

    def _environment(self, fault: str) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": os.environ.get("MODELDEPLOY_SOURCE", str(REPOSITORY / "operator")),
            "KUBECONFIG": str(self.kubeconfig),
            "POD_NAME": self.identity,
            "MODELDEPLOY_FAULT": fault,
            "MODELDEPLOY_NAMESPACE": self.namespace,
            "MODELDEPLOY_WATCH_NAMESPACES": self.namespace,
            "MODELDEPLOY_ROUTER_IMAGE": "localhost/none:router",
            # What routers are told; the stand-ins know better. It must not differ from run to run.
            "MODELDEPLOY_XDS_ADDRESS": "modeldeploy-xds.test.svc:18000",
            "MODELDEPLOY_XDS_PORT": str(self.xds_port),
            "MODELDEPLOY_HEALTH_PORT": str(self.health_port),
            "MODELDEPLOY_METRICS_PORT": str(self.metrics_port),
            # Long enough to be kept on a machine that has little time for each of many.
            "MODELDEPLOY_LEASE_DURATION": "6",
            **self.settings,
        }


class Guard:
    """Starts an operator again whenever SIGKILL has ended it, as the kubelet does.

    Args:
        operator: The operator.
        faults: One for each process, while there are any.
        renamed: Asked at each start: whether this one is another pod, which must wait for the lease.

    Attributes:
        killed: Told of every process that SIGKILL ended.
        logs: Of all processes, in order.
        failure: Why it gave up.
    """

    def __init__(self, operator: Operator, faults: Iterator[str], renamed: Iterator[bool]) -> None:
        self.operator = operator
        self.killed: Callable[[], object] = lambda: None
        self.logs = [operator.log]
        self.failure: str | None = None
        self._faults = faults
        self._renamed = renamed

    async def keep(self) -> None:
        """Run until cancelled, or until a process ends otherwise than by SIGKILL."""
        while True:
            await self.operator.start(next(self._faults, ""))
            status = await self.operator.ended()
            if status != KILLED:
                self.failure = f"the operator ended with {status}, see {self.operator.log}"
                return
            self.killed()
            if next(self._renamed, False):
                self.operator.identity = f"operator-{len(self.logs)}"
                self.logs.append(self.operator.log)
