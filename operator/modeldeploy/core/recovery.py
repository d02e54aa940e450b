"""A status that was lost (a restored cluster) is rebuilt from the children, never taken for a first deployment."""

from modeldeploy.api.v1alpha1.status import Routing, Stable
from modeldeploy.core.decision import Severity
from modeldeploy.core.draft import Draft
from modeldeploy.core.snapshot import Snapshot


def is_lost(snapshot: Snapshot) -> bool:
    """Whether pods of ours run that no status accounts for."""
    status = snapshot.status
    return status.stable is None and status.candidate is None and bool(snapshot.observed.workloads)


def recover(draft: Draft, snapshot: Snapshot) -> Draft:
    """Take up the revision that the Service names as stable, else the oldest one that is ready, else the oldest.

    The traffic generation starts at the present second: beyond any count that routers may have seen before.
    """
    observed = snapshot.observed
    known = [observed.revisions[name] for name in observed.workloads if name in observed.revisions]
    if not known:
        return draft
    by_age = sorted(known, key=lambda revision: revision.number)
    ready = [revision for revision in by_age if observed.workloads[revision.name].ready]
    recorded = [revision for revision in by_age if revision.name == observed.recorded_stable]
    chosen = (recorded or ready or by_age)[0]
    port = observed.recorded_port
    return draft.with_status(
        stable=Stable(revision=chosen.name, model_version=chosen.model_version, weight=100),
        traffic_generation=int(snapshot.now.timestamp()),
        traffic_changed_at=snapshot.now,
        routing=draft.status.routing or (Routing(port=port) if port else None),
    ).with_event(
        Severity.WARNING,
        "StatusRecovered",
        f"the status was lost; version {chosen.model_version} runs and stays stable",
    )
