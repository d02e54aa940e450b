"""Whether the API server would take what spec asks for: known before anything that runs is touched."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from modeldeploy.adapters.clock import Clock
from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import Forbidden, Invalid, Terminating
from modeldeploy.api.v1alpha1.server import Server
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core import naming
from modeldeploy.core.request import Request
from modeldeploy.core.snapshot import Revision, Target
from modeldeploy.reconcile.apply import Applier, NameTaken
from modeldeploy.reconcile.observe import Memory, Refusal
from modeldeploy.render.meta import Owner, is_owned
from modeldeploy.render.revision import controller_revision, todays_server
from modeldeploy.render.workload import deployment, pod_template

Object = Mapping[str, Any]

REFUSAL_PAUSE = timedelta(seconds=20)
"""Until the API server is asked again for what it refused: a policy or a quota may have been changed."""
RESERVED = frozenset({naming.NAME, naming.REVISION, naming.COMPONENT})
"""Labels of pods that say what they are to the operator."""


class Targets(NamedTuple):
    """The revisions that spec names.

    Attributes:
        spec: The one to bring in.
        baseline: The one to serve first where nothing is stable yet.
    """

    spec: Target | None = None
    baseline: Target | None = None


class Admission:
    """Lets new revisions in.

    Args:
        kube: The API server.
        cache: Gets the answers to our own writes.
        applier: Knows what is foreign.
        clock: The time.
    """

    def __init__(self, kube: Kube, cache: Cache, applier: Applier, clock: Clock) -> None:
        self._kube = kube
        self._cache = cache
        self._applier = applier
        self._clock = clock

    async def targets(
        self,
        obj: Object,
        of: Owner,
        request: Request,
        known: dict[str, Revision],
        memory: Memory,
    ) -> tuple[Targets, NameTaken | Forbidden | None]:
        """The revisions that spec names; recorded before anything else, once the API server would take them.

        What stands in the way and may go away again comes without them, as if spec could not be read.
        """
        if request.spec is None:
            return Targets(), None
        try:
            target = await self._admit(of, obj["spec"], request.spec, known, memory)
            written = _with_baseline(obj["spec"], request.spec)
            baseline = await self._admit(of, written, request.spec, known, memory) if written else None
        except Terminating:
            raise
        except (NameTaken, Forbidden) as trouble:
            return Targets(), trouble
        return Targets(target, baseline), None

    async def _admit(
        self,
        of: Owner,
        written: Object,
        spec: ModelDeploymentSpec,
        known: dict[str, Revision],
        memory: Memory,
    ) -> Target:
        content = naming.revision_content(written)
        name = naming.revision_name(content, {known_name: one.content for known_name, one in known.items()})
        version = content["model"]["version"]
        if name in known:
            return Target(name, version)
        server = todays_server(content, spec)
        revision = Revision(
            name=name,
            number=max((one.number for one in known.values()), default=0) + 1,
            model_version=version,
            content=content,
            template=pod_template(server),
        )
        if await self._refusal(of, revision, server, memory) is None:
            record = controller_revision(of, revision)
            self._cache.wrote(await self._kube.apply(record, manager=naming.FIELD_MANAGER))
            known[name] = revision
        return Target(name, version)

    async def _refusal(self, of: Owner, revision: Revision, server: Server, memory: Memory) -> str | None:
        """Why the API server doesn't take the revision's pods, or None; asked again only after a pause."""
        now = self._clock.now()
        known = memory.refused.get(revision.name)
        if known and now < known.until:
            return known.message
        message = _reserved(server) or await self._answer(of, revision, server)
        if message:
            memory.refused[revision.name] = Refusal(message, now + REFUSAL_PAUSE)
        else:
            memory.refused.pop(revision.name, None)
        return message

    async def _answer(self, of: Owner, revision: Revision, server: Server) -> str | None:
        wanted = deployment(of, revision, server, server.replicas.min)
        try:
            await self._kube.apply(wanted, manager=naming.FIELD_MANAGER, dry_run=True)
        except Invalid as error:
            # It may have been tried on somebody else's Deployment of that name.
            found = await self._applier.find(wanted, of.namespace, lambda one: is_owned(one["metadata"], of))
            if found is None and any(cause.field == "spec.selector" for cause in error.causes):
                return await self._answer(of, revision, server)  # it was, and has gone meanwhile
            return f"the API server refuses the pod template made of spec.server: {_of_template(error)}"
        return None


def _with_baseline(written: Object, spec: ModelDeploymentSpec) -> dict[str, Any] | None:
    """The spec that a baseline stands for; None without one, or if it is what spec asks for anyway."""
    baseline = spec.rollout.baseline
    if baseline is None:
        return None
    server = {**written["server"], **({"image": baseline.image} if baseline.image else {})}
    return {**written, "model": {**written["model"], "version": baseline.version}, "server": server}


def _reserved(server: Server) -> str | None:
    """What is wrong with the labels: with those of a router a model would get the requests of others."""
    metadata = (server.pod_template or {}).get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    taken = sorted(name for name in labels if name in RESERVED) if isinstance(labels, Mapping) else []
    if not taken:
        return None
    return f"spec.server.podTemplate.metadata.labels: {', '.join(taken)} cannot be set by users; remove it"


def _of_template(error: Invalid) -> str:
    """The complaints about a Deployment, with paths as they are in its pod template, which users know."""
    told = (f"{cause.field.removeprefix('spec.template.')}: {cause.message}" for cause in error.causes)
    return "; ".join(told) or error.message
