"""One look at one ModelDeployment."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from modeldeploy.adapters.clock import Clock
from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import Conflict, KubeError, NotFound, Terminating
from modeldeploy.adapters.kube.events import Recorder
from modeldeploy.adapters.kube.resources import MODEL_DEPLOYMENT
from modeldeploy.api.v1alpha1.base import dump
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus
from modeldeploy.core import naming
from modeldeploy.core.decision import Decision
from modeldeploy.core.finding import Finding
from modeldeploy.core.judgement import References
from modeldeploy.core.request import Request, read_spec, read_status
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Observed, Revision, Snapshot
from modeldeploy.core.words import only_words
from modeldeploy.reconcile.admission import REFUSAL_PAUSE, Admission, Targets
from modeldeploy.reconcile.apply import CONFLICT_PAUSE, Applier, NameTaken
from modeldeploy.reconcile.delivery import Delivery
from modeldeploy.reconcile.incumbent import Incumbents
from modeldeploy.reconcile.judge import Assessed, Judge
from modeldeploy.reconcile.observe import Memory, observe, owner, revisions
from modeldeploy.reconcile.ports import Ports, extra_ports
from modeldeploy.reconcile.probe import RouterProbe
from modeldeploy.reconcile.providers import Providers, uses_router
from modeldeploy.reconcile.references import ReferenceKeeper
from modeldeploy.reconcile.retraining import Retrainer
from modeldeploy.reconcile.route_weights import FINALIZER
from modeldeploy.reconcile.routers import RouterReconciler
from modeldeploy.reconcile.routes import Routes
from modeldeploy.render.meta import Owner

logger = logging.getLogger(__name__)

Object = Mapping[str, Any]

PATIENCE = timedelta(seconds=3)
"""Between two writes that change nothing but words."""
SOON = timedelta(milliseconds=50)
"""Until the object is looked at again after somebody else wrote to it."""


class DeploymentReconciler:
    """Brings ModelDeployments forward.

    Args:
        kube: The API server.
        cache: What was last seen of it.
        routes: Told of every status that was written.
        routers: Knows what keeps a namespace's router from being made.
        probe: Asks routers what they serve.
        providers: Look after traffic that the routers don't move.
        judge: Looks at the metrics.
        references: Finds what drift is measured from.
        retrainer: Runs what retrains.
        recorder: Tells people.
        clock: The time.
    """

    def __init__(
        self,
        kube: Kube,
        cache: Cache,
        routes: Routes,
        routers: RouterReconciler,
        probe: RouterProbe,
        providers: Providers,
        judge: Judge,
        references: ReferenceKeeper,
        retrainer: Retrainer,
        recorder: Recorder,
        clock: Clock,
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._routes = routes
        self._routers = routers
        self._judge = judge
        self._references = references
        self._retrainer = retrainer
        self._recorder = recorder
        self._clock = clock
        self._providers = providers
        self._incumbents = Incumbents(kube, cache)
        applier = Applier(kube, cache)
        self._admission = Admission(kube, cache, applier, clock)
        self._delivery = Delivery(kube, cache, applier, providers, self._incumbents, probe, clock)
        self._ports = Ports(cache)
        self._memory: dict[tuple[str, str], tuple[str, Memory]] = {}

    async def reconcile(self, namespace: str, name: str) -> datetime | None:
        """One look; returns when the next one is due without a wake."""
        obj = self._cache.get("ModelDeployment", namespace, name)
        try:
            if obj is None or obj["metadata"].get("deletionTimestamp"):
                self._forget(namespace, name)
                if obj is not None and FINALIZER in (obj["metadata"].get("finalizers") or ()):
                    await self._providers.release(owner(obj))
                return None
            return await self._reconcile(obj)
        except Terminating:
            return None  # the namespace goes, and everything in it
        except (Conflict, NotFound):  # somebody wrote first, or the object has gone meanwhile
            return await self._look_again(namespace, name)

    async def _reconcile(self, obj: Object) -> datetime | None:
        of, request, status = owner(obj), read_spec(obj), read_status(obj)
        memory = self._remember(of)
        known = revisions(self._cache, of)
        targets, trouble = await self._admission.targets(obj, of, request, known, memory)
        again = await self._look_at_incumbent(of, request, status, memory)
        fault, recheck = await self._retrainer.fault(of, request.spec, obj["metadata"]["generation"])
        references, renew = await self._references.look(of, request.spec, status)
        snapshot = self._snapshot(obj, of, request, status, known, targets, memory, fault, references)
        snapshot = replace(snapshot, observed=_with_trouble(snapshot.observed, trouble))
        decision = decide(snapshot)
        if request.spec and uses_router(request.spec):
            decision = self._with_ports(decision, of, known)
        told = await self._tell(obj, snapshot.status, decision, memory)
        due = [decision.requeue_at, again, recheck, renew, told]
        if trouble or snapshot.observed.rejection:
            due.append(
                self._clock.now() + (CONFLICT_PAUSE if isinstance(trouble, NameTaken) else REFUSAL_PAUSE)
            )
        if request.spec and decision.run:
            self._retrainer.start(of, request.spec, decision.run)
        if request.spec and not request.spec.suspend:
            due.append(await self._delivery.carry_out(of, request.spec, known, decision, memory))
        if request.spec:
            known_of = memory.uncertified
            due.append(await self._delivery.follow(of, request.spec, decision.status, memory))
            if memory.uncertified and memory.uncertified != known_of:
                self._recorder.record(obj, "Warning", "CertificateMissing", memory.uncertified)
        return min((at for at in due if at), default=None)

    def _snapshot(
        self,
        obj: Object,
        of: Owner,
        request: Request,
        status: ModelDeploymentStatus,
        known: Mapping[str, Revision],
        targets: Targets,
        memory: Memory,
        untriggerable: str | None,
        references: References,
    ) -> Snapshot:
        now = self._clock.now()
        invalid = request.invalid or self._judge.complaint(request.spec)
        seen = observe(self._cache, of, known, targets.spec.revision if targets.spec else None, memory)
        if request.spec and not uses_router(request.spec):
            routers = self._providers.routers(memory.provider)
            limits = tuple(one for one in memory.provider.findings if not one.blocks)
            seen = replace(seen, routers=routers, unable=routers.problem, limits=limits)
        elif memory.uncertified:
            seen = replace(seen, limits=(Finding("CertificateMissing", memory.uncertified, blocks=False),))
        seen = replace(seen, attempt=self._retrainer.attempt(of), untriggerable=untriggerable)
        finding = self._judge.look(of, request.spec, status, references, now) if request.spec else Assessed()
        return Snapshot(
            generation=obj["metadata"]["generation"],
            spec=request.spec,
            invalid=invalid,
            target=targets.spec,
            baseline=targets.baseline,
            status=status,
            observed=_with_trouble(seen, self._trouble_of_routers(of, request)),
            assessments=finding.assessments,
            answered=finding.answered,
            off_weight=finding.off_weight,
            now=now,
            acknowledged=(obj["metadata"].get("annotations") or {}).get(naming.ACKNOWLEDGE),
        )

    def _trouble_of_routers(self, of: Owner, request: Request) -> NameTaken | KubeError | None:
        if request.spec and not uses_router(request.spec):
            return None
        return self._routers.problem(of.namespace)

    async def _look_at_incumbent(
        self, of: Owner, request: Request, status: ModelDeploymentStatus, memory: Memory
    ) -> datetime | None:
        if request.spec is None:
            return None
        return await self._incumbents.look(of, request.spec, status, memory.incumbency, self._clock.now())

    def _with_ports(self, decision: Decision, of: Owner, known: Mapping[str, Revision]) -> Decision:
        status = decision.status
        routing = self._ports.routing(of.namespace, of.uid, status, extra_ports(status, known))
        return replace(decision, status=status.model_copy(update={"routing": routing}))

    async def _tell(
        self, obj: Object, before: ModelDeploymentStatus, decision: Decision, memory: Memory
    ) -> datetime | None:
        """Write the status; mere words wait a moment for more of their kind. When to look again for those."""
        now, last = self._clock.now(), memory.told_at
        if before == decision.status and obj.get("status"):
            return None
        hasty = last is not None and now < last + PATIENCE and not decision.events
        if last is not None and hasty and only_words(before, decision.status):
            return last + PATIENCE
        await self._write_status(obj, decision)
        memory.told_at = now
        return None

    async def _write_status(self, obj: Object, decision: Decision) -> None:
        """The fence: what follows is done only by whoever gets this write through."""
        body = {**obj, "status": dump(decision.status)}
        written = await self._kube.replace_status(body, manager=naming.FIELD_MANAGER)
        self._cache.wrote(written, alone=True)
        self._routes.publish(obj["metadata"]["namespace"])
        for event in decision.events:
            self._recorder.record(obj, str(event.severity), event.reason, event.message)
            logger.info("%s/%s %s: %s", *_place(obj), event.reason, event.message)

    async def _look_again(self, namespace: str, name: str) -> datetime | None:
        """Somebody wrote first: take the object as it is now and decide anew."""
        try:
            self._cache.wrote(await self._kube.get(MODEL_DEPLOYMENT, namespace, name))
        except NotFound:
            return None
        except KubeError:
            logger.warning("%s/%s can't be read anew", namespace, name)
        return self._clock.now() + SOON

    def _remember(self, of: Owner) -> Memory:
        key = (of.namespace, of.name)
        uid, memory = self._memory.get(key, ("", Memory()))
        if uid != of.uid:
            memory = Memory()
            self._memory[key] = (of.uid, memory)
        return memory

    def _forget(self, namespace: str, name: str) -> None:
        uid, _ = self._memory.pop((namespace, name), ("", None))
        if uid:
            self._judge.forget(uid)
            self._references.forget(uid)
            self._retrainer.forget(uid)
            self._ports.release(namespace, uid)


def _with_trouble(seen: Observed, trouble: NameTaken | KubeError | None) -> Observed:
    """The same with what keeps us from going on, unless something else already does."""
    if isinstance(trouble, NameTaken):
        return replace(seen, conflict=seen.conflict or trouble.message)
    return replace(seen, failure=seen.failure or trouble.message) if trouble else seen


def _place(obj: Object) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]
