"""When a breach could first be known: the judgement of a trial, replayed over what Prometheus holds."""

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx

from cluster import Cluster, ClusterError
from e2e.reach import Object
from e2e.support import RELEASE, SYSTEM
from modeldeploy.adapters.history import Ticket, tick
from modeldeploy.adapters.sampler import Sampler
from modeldeploy.adapters.stores import Stores
from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Verdict
from modeldeploy.core import judgement
from modeldeploy.core.judgement import Evidence, Roles
from modeldeploy.core.request import read_spec, read_status

TRIED = 60
"""Looks after a trial's begin among which the breach must be."""


class Replay:
    """One trial, looked at as the operator did.

    Args:
        prometheus: URL of the metrics store.
        trial: The object as it stood in the step in which the breach came.
    """

    def __init__(self, prometheus: str, trial: Object) -> None:
        spec = read_spec(trial).spec
        assert spec is not None, "the object's spec is invalid"
        self._spec: ModelDeploymentSpec = spec
        self._roles = Roles.of(read_status(trial))
        meta = trial["metadata"]
        self._who = Ticket(meta["namespace"], meta["name"])
        self._prometheus = prometheus

    def first_breach(self) -> float | None:
        """The scrape, in seconds since 1970, at which the evidence first was a breach; None if it never was.

        The operator looks at every tick, so a breach at a tick was first to be seen in one of the scrapes
        since the tick before: each of these is looked at as if a tick had come right after it.
        """
        return asyncio.run(self._first_breach())

    async def _first_breach(self) -> float | None:
        with contextlib.closing(Sampler(Stores(self._prometheus))) as sampler:
            interval = self._spec.monitoring.interval
            at = tick(datetime.fromtimestamp(self._roles.started_at, UTC), interval)
            evidence = await sampler.rebuild(self._who, self._spec, self._roles, at)
            assert isinstance(evidence, Evidence), evidence
            for _ in range(TRIED):
                following = at + timedelta(seconds=seconds(interval))
                seen = await self._look(sampler, evidence, following)
                if self._is_breach(seen, following):
                    return await self._within(sampler, evidence, at, following)
                evidence, at = seen, following
            return None

    async def _within(
        self, sampler: Sampler, evidence: Evidence, after: datetime, until: datetime
    ) -> float | None:
        for moment in self._scrapes(after, until):
            at = datetime.fromtimestamp(moment, UTC)
            if self._is_breach(await self._look(sampler, evidence, at), at):
                return moment
        return None

    async def _look(self, sampler: Sampler, evidence: Evidence, at: datetime) -> Evidence:
        namespace, name = self._who.namespace, self._who.name
        queries = judgement.queries(self._spec, namespace, name, self._roles)
        answers = await sampler.ask(self._who, queries, at)
        return judgement.advance(
            evidence, self._spec, namespace=namespace, name=name, roles=self._roles, answers=answers, at=at
        )

    def _is_breach(self, evidence: Evidence, at: datetime) -> bool:
        found = judgement.assess(evidence, self._spec, self._roles, at)
        return any(entry.verdict is Verdict.BREACH for entry in found)

    def _scrapes(self, after: datetime, until: datetime) -> list[float]:
        """The times of all scrapes of the candidate's pods and of the routers in (after, until]."""
        span = round((until - after).total_seconds() * 1000)
        selector = f'namespace="{self._who.namespace}",modeldeploy_revision="{self._roles.candidate}"'
        answer = httpx.get(
            f"{self._prometheus}/api/v1/query",
            params={"query": f"{{{selector}}}[{span}ms]", "time": f"{until.timestamp():.3f}"},
        )
        series = answer.raise_for_status().json()["data"]["result"]
        times = {float(moment) for one in series for moment, _ in one["values"]}
        return sorted(moment for moment in times if after.timestamp() < moment <= until.timestamp())


@contextlib.contextmanager
def prometheus_url(cluster: Cluster) -> Iterator[str]:
    """The chart's Prometheus, by way of the API server: that way is there on every kind of cluster."""
    command = [str(cluster.kubectl), f"--kubeconfig={cluster.kubeconfig}", "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            port = line.strip().rpartition(":")[2]
            if not port.isdecimal():
                raise ClusterError(f"kubectl proxy did not begin: {line!r}")
            service = f"services/{RELEASE}-prometheus:http/proxy"
            yield f"http://127.0.0.1:{port}/api/v1/namespaces/{SYSTEM}/{service}"
        finally:
            process.terminate()
