"""What follows from a decision: its objects are brought about, and the data plane is seen to follow."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from modeldeploy.adapters.clock import Clock
from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import Forbidden, Invalid, Terminating
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus
from modeldeploy.core import naming
from modeldeploy.core.adaptation import adapted
from modeldeploy.core.decision import Decision
from modeldeploy.core.snapshot import Revision
from modeldeploy.reconcile.apply import CONFLICT_PAUSE, Applier, NameTaken
from modeldeploy.reconcile.incumbent import Incumbents, adopted_objects
from modeldeploy.reconcile.observe import STABLE, Memory, children
from modeldeploy.reconcile.ports import service_ports
from modeldeploy.reconcile.probe import RouterProbe
from modeldeploy.reconcile.providers import Providers, uses_router
from modeldeploy.reconcile.wanted import handovers, revision_objects, unwanted_objects
from modeldeploy.render import adopted
from modeldeploy.render.meta import Owner, is_owned
from modeldeploy.render.traffic.router_objects import service

Object = Mapping[str, Any]

SOON = timedelta(milliseconds=50)
"""Until the routers are asked again what they serve."""
CERTIFICATE_PAUSE = timedelta(seconds=5)
"""Until they are asked again for a certificate that lacks."""


class Delivery:
    """Brings decisions about.

    Args:
        kube: The API server.
        cache: What was last seen of it.
        applier: Writes children.
        providers: Look after traffic that the routers don't move.
        incumbents: Look after what answers today.
        probe: Asks routers what they serve.
        clock: The time.
    """

    def __init__(
        self,
        kube: Kube,
        cache: Cache,
        applier: Applier,
        providers: Providers,
        incumbents: Incumbents,
        probe: RouterProbe,
        clock: Clock,
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._applier = applier
        self._providers = providers
        self._incumbents = incumbents
        self._probe = probe
        self._clock = clock

    async def carry_out(
        self,
        of: Owner,
        spec: ModelDeploymentSpec,
        known: Mapping[str, Revision],
        decision: Decision,
        memory: Memory,
    ) -> datetime | None:
        """Write what the decision asks for; returns when to look again, now if there is news to tell."""
        spec = adapted(spec, decision.status)
        try:
            await self._write(of, spec, known, decision, memory)
        except NameTaken as taken:
            news = memory.conflict != taken.message
            memory.conflict, memory.failure = taken.message, None
            return self._clock.now() + (timedelta() if news else CONFLICT_PAUSE)
        except (Invalid, Forbidden) as error:
            if isinstance(error, Terminating) or memory.failure == error.message:
                raise
            memory.failure = error.message
            return self._clock.now()
        news = bool(memory.failure or memory.conflict)
        memory.failure = memory.conflict = None
        return self._clock.now() if news else None

    async def follow(
        self, of: Owner, spec: ModelDeploymentSpec, status: ModelDeploymentStatus, memory: Memory
    ) -> datetime | None:
        """Learn which traffic generation is served, until it is the decided one; when to ask again."""
        if not uses_router(spec):
            return await self._providers.verify(of, spec, status, memory.provider)
        if status.stable is None or status.routing is None:
            return None
        learnt = await self._probe.ask(
            of.namespace, status.routing.port, status.traffic_generation, memory.serving
        )
        if learnt.changed:
            return self._clock.now()
        if learnt.behind:
            return self._clock.now() + SOON
        return await self._certified(of, spec, status.routing.port, memory)

    async def _certified(
        self, of: Owner, spec: ModelDeploymentSpec, port: int, memory: Memory
    ) -> datetime | None:
        """Learn whether clients find a certificate, if they should; nothing tells when a Secret changes."""
        secret = spec.traffic.tls.secret_name if spec.traffic.tls else None
        known = memory.uncertified
        memory.uncertified = await self._probe.certificate(of.namespace, port, secret) if secret else None
        if memory.uncertified != known:
            return self._clock.now()
        return self._clock.now() + CERTIFICATE_PAUSE if memory.uncertified else None

    async def _write(
        self,
        of: Owner,
        spec: ModelDeploymentSpec,
        known: Mapping[str, Revision],
        decision: Decision,
        memory: Memory,
    ) -> None:
        status = decision.status
        await self._providers.prepare(of, spec, status, memory.provider)
        present = children(self._cache, of)
        for held in handovers(of, spec, decision, present):
            self._cache.wrote(await self._kube.apply(held, manager=naming.REPLICAS_FIELD_MANAGER))
        wanted: list[Object] = revision_objects(of, spec, known, decision, present)
        wanted += adopted_objects(of, memory.incumbency, present)
        wanted += self._lead(of, spec, known, status, memory)
        wanted += self._providers.objects(of, spec, status, memory.provider)
        gone = unwanted_objects(spec, known, decision, present)
        await self._applier.carry_out(
            wanted,
            [*gone, *self._providers.unwanted(of, spec, wanted, memory.provider)],
            namespace=of.namespace,
            is_ours=lambda found: is_owned(found["metadata"], of) or _is_adopted(found, of, spec),
            settled=memory.settled,
        )
        await self._providers.shift(of, spec, status, memory.provider)
        await self._incumbents.rest(of, spec, status, memory.incumbency)

    def _lead(
        self,
        of: Owner,
        spec: ModelDeploymentSpec,
        known: Mapping[str, Revision],
        status: ModelDeploymentStatus,
        memory: Memory,
    ) -> list[Object]:
        """The Service `<name>` that leads to the routers.

        It is there from the start: who else has its name is known before any pod runs, and nodes know the way
        before the first answer. Only one that is taken over stays as it is until the routers serve its pods.
        """
        if not uses_router(spec) or status.routing is None:
            return []
        lead = service(
            of, status.routing.port, service_ports(status, known), tls=spec.traffic.tls is not None
        )
        if status.stable:
            lead["metadata"]["annotations"] = {STABLE: status.stable.revision}
        if spec.adopt is None:
            return [lead]
        found = self._cache.get("Service", of.namespace, of.name) or memory.incumbency.service
        serving = bool(memory.serving) and min(memory.serving.values()) >= status.traffic_generation
        if found is None or not (is_owned(found["metadata"], of) or (status.stable and serving)):
            return []
        return [adopted.with_ports(lead, found)]


def _is_adopted(found: Object, of: Owner, spec: ModelDeploymentSpec) -> bool:
    """Whether it is the user's own Service, which spec asks to take over."""
    return spec.adopt is not None and found["kind"] == "Service" and found["metadata"]["name"] == of.name
