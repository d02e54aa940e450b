"""Finds what drift is measured from: a training job's file, and the snapshot of the version before.

A snapshot is taken once, when a version is replaced, from what the metrics store keeps, in the background. It
can be taken again from there at any time, so an operator that dies meanwhile, or a ConfigMap that somebody
deletes, costs nothing but the question.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from modeldeploy.adapters.clock import Clock
from modeldeploy.adapters.endpoint import Endpoint
from modeldeploy.adapters.history import Ticket
from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import Forbidden, KubeError, NotFound, NotLeader, Terminating
from modeldeploy.adapters.kube.resources import CONFIG_MAP
from modeldeploy.adapters.sampler import Sampler
from modeldeploy.api.v1alpha1.drift import ReferenceFile, ReferenceSource
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus, Replaced
from modeldeploy.core import judgement
from modeldeploy.core.drift.reference import MISSING, Reference, Trouble, load
from modeldeploy.core.judgement import QueryFailed, References
from modeldeploy.reconcile.apply import Applier, NameTaken
from modeldeploy.render import reference as rendered
from modeldeploy.render.meta import Owner, is_owned

logger = logging.getLogger(__name__)

Object = Mapping[str, Any]

PAUSE = timedelta(seconds=20)
"""Until what is missing is looked for again."""
LONG_PAUSE = timedelta(hours=1)
"""Until a metrics store that keeps nothing of the previous version is asked again."""

_FIRST = Trouble("", "no version was replaced yet, so there is no previous one to compare with")
_TAKING = Trouble("", "the snapshot of the previous version is being taken")


@dataclass(slots=True)
class _Known:
    """What is known for one object.

    Attributes:
        files: Files of training jobs, with the time from which on to read one again; None for never.
        taking: The snapshot that is being taken.
        failed: Why there is none, and the time from which on to try again.
    """

    files: dict[ReferenceFile, tuple[Reference | Trouble, datetime | None]] = field(default_factory=dict)
    taking: asyncio.Task[None] | None = None
    failed: tuple[Trouble, datetime] | None = None


class ReferenceKeeper:
    """Keeps the references of every object that has some.

    Args:
        kube: The API server.
        cache: What was last seen of it.
        sampler: Takes snapshots.
        clock: The time.
        wake: Called when there is something new to compare with.
    """

    def __init__(
        self, kube: Kube, cache: Cache, sampler: Sampler, clock: Clock, wake: Callable[[Owner], None]
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._sampler = sampler
        self._applier = Applier(kube, cache)
        self._clock = clock
        self._wake = wake
        self._known: dict[str, _Known] = {}

    async def look(
        self, of: Owner, spec: ModelDeploymentSpec | None, status: ModelDeploymentStatus
    ) -> tuple[References, datetime | None]:
        """The references by name of the metric, and when to look again for one that is missing."""
        wanted = _wanted(spec)
        if spec is None or not wanted:
            self.forget(of.uid)
            return {}, None
        known = self._known.setdefault(of.uid, _Known())
        found: dict[str, Reference | Trouble] = {}
        due: list[datetime] = []
        for name, file in wanted.items():
            if file is None:
                found[name] = self._previous(of, spec, status.replaced, known)
                again = known.failed[1] if known.failed else None
            else:
                found[name], again = await self._training(of, file, known)
            due += [again] if again else []
        known.files = {file: known.files[file] for file in wanted.values() if file in known.files}
        return found, min(due, default=None)

    def forget(self, uid: str) -> None:
        """The object is gone, or compares with nothing that is kept."""
        known = self._known.pop(uid, None)
        if known and known.taking:
            known.taking.cancel()

    def forget_all(self) -> None:
        """Look for nothing more: another replica leads."""
        for uid in list(self._known):
            self.forget(uid)

    async def _training(
        self, of: Owner, file: ReferenceFile, known: _Known
    ) -> tuple[Reference | Trouble, datetime | None]:
        """A training job's file: read once; again only while it can't be used."""
        now = self._clock.now()
        before = known.files.get(file)
        if before is None or (before[1] and before[1] <= now):
            found = await self._read(of, file)
            before = known.files[file] = (found, now + PAUSE if isinstance(found, Trouble) else None)
        return before

    async def _read(self, of: Owner, file: ReferenceFile) -> Reference | Trouble:
        where = f"ConfigMap {file.name}, key {file.key}"
        make = f"kubectl create configmap {file.name} --from-file={file.key}=reference.json"
        try:
            found = await self._kube.get(CONFIG_MAP, of.namespace, file.name)
        except NotFound:
            return Trouble(MISSING, f"there is no ConfigMap {file.name}; make it with {make}")
        except (Terminating, NotLeader):
            raise
        except Forbidden as error:
            return Trouble(MISSING, f"the operator may not read ConfigMap {file.name} ({error.message})")
        except KubeError as error:
            return Trouble(MISSING, f"ConfigMap {file.name} can't be read now: {error.message}")
        text = (found.get("data") or {}).get(file.key)
        if text is None:
            held = ", ".join(sorted(found.get("data") or {})[:4]) or "nothing"
            return Trouble(
                MISSING, f"ConfigMap {file.name} has no key {file.key} (it holds {held}); name it, or add it"
            )
        return load(text, where)

    def _previous(
        self, of: Owner, spec: ModelDeploymentSpec, replaced: Replaced | None, known: _Known
    ) -> Reference | Trouble:
        """The snapshot of the version before; one that isn't there is taken."""
        if replaced is None:
            return _FIRST
        found = self._cache.get("ConfigMap", of.namespace, rendered.name(of))
        if found is not None and is_owned(found["metadata"], of):
            kept = rendered.kept(found, replaced, judgement.snapshot_queries(spec))
            if kept is not None:
                known.failed = None
                return kept
        if known.failed and known.failed[1] > self._clock.now():
            return known.failed[0]
        if known.taking is None:
            known.taking = asyncio.get_running_loop().create_task(self._take(of, spec, replaced, known))
        return known.failed[0] if known.failed else _TAKING

    async def _take(self, of: Owner, spec: ModelDeploymentSpec, replaced: Replaced, known: _Known) -> None:
        try:
            trouble = await self._taken(of, spec, replaced)
        except NotLeader:
            return
        except NameTaken as taken:
            trouble = Trouble(MISSING, taken.message)
        except KubeError as error:
            trouble = Trouble(MISSING, f"ConfigMap {rendered.name(of)} can't be written: {error.message}")
        except Exception:
            logger.exception("%s/%s: no snapshot of the previous version", of.namespace, of.name)
            trouble = Trouble(MISSING, "its snapshot can't be taken; the operator's log says why")
        known.taking = None
        pause = PAUSE if trouble and trouble.reason else LONG_PAUSE
        known.failed = (trouble, self._clock.now() + pause) if trouble else None
        self._wake(of)

    async def _taken(self, of: Owner, spec: ModelDeploymentSpec, replaced: Replaced) -> Trouble | None:
        who = Ticket(of.namespace, of.name, Endpoint.of(spec.monitoring.prometheus))
        span, asked = judgement.windows(spec).reference, judgement.snapshot_queries(spec)
        found = await self._sampler.snapshot(who, asked, replaced.revision, replaced.at, span)
        if isinstance(found, QueryFailed):
            return Trouble(MISSING, found.reason)
        if not found.histograms:
            gone = f"Prometheus has no {', '.join(asked)} of version {replaced.model_version} any more"
            return Trouble("", gone)
        await self._applier.carry_out(
            [rendered.config_map(of, replaced, asked, found)],
            (),
            namespace=of.namespace,
            is_ours=lambda one: is_owned(one["metadata"], of),
            settled={},
        )
        return None


def _wanted(spec: ModelDeploymentSpec | None) -> dict[str, ReferenceFile | None]:
    """Metrics with a reference that is kept: the file that holds it, None for the snapshot."""
    found: dict[str, ReferenceFile | None] = {}
    for metric in spec.monitoring.metrics if spec else ():
        reference = metric.drift.reference if metric.drift else None
        if reference is None:
            continue
        if reference.source is ReferenceSource.PREVIOUS:
            found[metric.name] = None
        elif reference.source is ReferenceSource.TRAINING and reference.config_map:
            found[metric.name] = reference.config_map
    return found
