"""A status that was lost (a restored cluster) is rebuilt from the children, never taken for a first start."""

from modeldeploy.api.v1alpha1.status import Routing, Stable
from modeldeploy.core.decision import Severity
from modeldeploy.core.draft import Draft
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.traffic import INCUMBENT


def is_lost(snapshot: Snapshot) -> bool:
    """Whether something of ours runs, or did, that no status accounts for."""
    status = snapshot.status
    empty = status.stable is None and status.candidate is None and status.observed_generation == 0
    return empty and bool(_survivors(snapshot))


def recover(draft: Draft, snapshot: Snapshot) -> Draft:
    """Take up what the Service names as stable, else the oldest ready revision, else the oldest.

    The recorded one is taken even while its pods start and others are ready: it is the one that was proven.
    The traffic generation starts at the present second: beyond any count that routers may have seen before.
    """
    observed = snapshot.observed
    names = sorted(_survivors(snapshot), key=lambda name: _age(snapshot, name))
    running = [name for name in names if name in observed.workloads]
    ready = [name for name in running if observed.workloads[name].ready]
    recorded = [name for name in running if name == observed.recorded_stable]
    found = (recorded or ready or names)[0]
    chosen = INCUMBENT if observed.recorded_stable == INCUMBENT in observed.workloads else found
    version = INCUMBENT if chosen == INCUMBENT else _version(snapshot, chosen)
    port = observed.recorded_port
    return draft.with_status(
        stable=Stable(revision=chosen, model_version=version, weight=100),
        traffic_generation=int(snapshot.now.timestamp()),
        traffic_changed_at=snapshot.now,
        routing=draft.status.routing or (Routing(port=port) if port else None),
    ).with_event(
        Severity.WARNING,
        "StatusRecovered",
        f"the status was lost; version {version} was found running and is taken as stable",
    )


def _survivors(snapshot: Snapshot) -> set[str]:
    """Revisions that served before, as far as the children tell; a mere ControllerRevision served nothing."""
    observed = snapshot.observed
    found = {name for name in observed.workloads if name and name != INCUMBENT}
    if observed.recorded_stable in observed.revisions:
        found.add(str(observed.recorded_stable))
    return found


def _age(snapshot: Snapshot, name: str) -> tuple[bool, int, str]:
    """Sorts the oldest first, and behind them what has lost its ControllerRevision."""
    revision = snapshot.observed.revisions.get(name)
    return (revision is None, revision.number if revision else 0, name)


def _version(snapshot: Snapshot, name: str) -> str:
    """The model version of a revision; its own name where nothing tells any more."""
    revision, target = snapshot.observed.revisions.get(name), snapshot.target
    if revision:
        return revision.model_version
    return target.model_version if target and target.revision == name else name
