"""A revision comes in: as a candidate with no traffic yet, or at once where it has proven itself before."""

from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Candidate, Stable
from modeldeploy.core import trial, verdicts, waiting
from modeldeploy.core.capacity import resize
from modeldeploy.core.decision import Severity
from modeldeploy.core.draft import Draft
from modeldeploy.core.ending import promote
from modeldeploy.core.sizes import demand
from modeldeploy.core.snapshot import Snapshot, Target
from modeldeploy.core.traffic import INCUMBENT, has_incumbent


def start(draft: Draft, snapshot: Snapshot) -> Draft:
    """Begin a rollout: the revision's pods start, and nothing else changes."""
    target, spec = snapshot.target, snapshot.spec
    if target is None or spec is None:
        return draft
    draft = _behind_incumbent(draft, snapshot, spec)
    if _lacks_incumbent(draft, spec) or _is_stable(draft, target):
        return draft
    started = draft.without_draining(target.revision).with_status(
        candidate=newcomer(draft, target, snapshot, spec), rejected=None, metrics=[], verdict=None, cause=None
    )
    previous = started.status.previous
    if previous and previous.revision == target.revision:
        started = started.with_status(previous=None)
    stable = draft.status.stable
    instead = f"; version {stable.model_version} stays stable" if stable else ""
    told = started.with_event(
        Severity.NORMAL, "RolloutStarted", f"starting pods of version {target.model_version}{instead}"
    )
    return trial.run(told, verdicts.unjudged(snapshot))


def newcomer(draft: Draft, target: Target, snapshot: Snapshot, spec: ModelDeploymentSpec) -> Candidate:
    """A revision as a candidate that has no traffic yet.

    The first of all needs no trial, nor does one that was stable just before or that a human went back to.
    """
    undone, previous = draft.status.undone, snapshot.status.previous
    proven = (undone and undone.to == target.revision) or (previous and previous.revision == target.revision)
    fresh = Candidate(
        revision=target.revision,
        model_version=target.model_version,
        weight=0,
        step=0,
        progress=waiting.progress(snapshot, 0),
        started_at=snapshot.now,
        step_started_at=snapshot.now,
        size=0,
        demand=demand(snapshot, spec),
        promoting=bool(proven) or draft.status.stable is None,
    )
    return resize(fresh, snapshot, spec)


def can_go_back(snapshot: Snapshot, target: Target) -> bool:
    """Whether a revision is still warm that was stable before, and can take all requests back."""
    previous, spec = snapshot.status.previous, snapshot.spec
    if previous is None or spec is None or previous.revision != target.revision:
        return False
    workload = snapshot.observed.workloads.get(target.revision)
    if workload is None or not workload.settled:
        return False
    return workload.ready >= (1 if target.revision == INCUMBENT else demand(snapshot, spec))


def go_back(draft: Draft, snapshot: Snapshot) -> Draft:
    """The replaced revision is wanted while it is still warm: one traffic change, no new pod, no trial."""
    target, spec = snapshot.target, snapshot.spec
    if target is None or spec is None:
        return draft
    draft = draft.without_draining(target.revision).with_status(
        candidate=newcomer(draft, target, snapshot, spec),
        previous=None,
        rejected=None,
        metrics=[],
        cause=None,
        verdict=None,
    )
    return promote(draft, snapshot, "WentBack", "it was kept warm and had been stable before")


def _behind_incumbent(draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec) -> Draft:
    """Take what answers today as the first stable revision, once it can be led to."""
    workload = snapshot.observed.workloads.get(INCUMBENT)
    if draft.status.stable or not has_incumbent(spec) or workload is None or not workload.ready:
        return draft
    incumbent = Stable(revision=INCUMBENT, model_version=INCUMBENT, weight=100)
    draft = draft.with_weights(incumbent, None, snapshot.now)
    return draft.with_event(
        Severity.NORMAL,
        "IncumbentFound",
        "what answers today is the stable revision until a version is promoted",
    )


def _is_stable(draft: Draft, target: Target) -> bool:
    """Whether a human asked for the incumbent before it was seen to answer: nothing is to be brought in."""
    return draft.status.stable is not None and draft.status.stable.revision == target.revision


def _lacks_incumbent(draft: Draft, spec: ModelDeploymentSpec) -> bool:
    return draft.status.stable is None and has_incumbent(spec)
