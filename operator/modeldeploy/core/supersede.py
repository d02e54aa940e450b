"""Spec names another revision in mid-rollout."""

from modeldeploy.api.v1alpha1.rollout import OnSupersede, Surge
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Candidate, Outcome, Successor
from modeldeploy.core import trial, verdicts, waiting
from modeldeploy.core.capacity import answers_alone
from modeldeploy.core.decision import Severity
from modeldeploy.core.draft import Draft
from modeldeploy.core.ending import end_candidate, promote
from modeldeploy.core.newcomer import can_go_back, go_back, newcomer, start
from modeldeploy.core.snapshot import Snapshot, Target
from modeldeploy.core.steps import steps


def run(draft: Draft, snapshot: Snapshot) -> Draft:
    """A third version: it starts with nothing inherited, by way of stable or straight on."""
    target, spec, candidate = snapshot.target, snapshot.spec, draft.status.candidate
    if target is None or spec is None or candidate is None:
        return draft
    if _goes_straight_on(draft, snapshot, spec, candidate):
        return _straight_on(draft, snapshot, spec, target)
    message = f"version {target.model_version} took its place in spec"
    return _by_way_of_stable(draft, snapshot, target, message)


def return_to_stable(draft: Draft, snapshot: Snapshot) -> Draft:
    """Spec names stable again: the candidate's rollout is over."""
    message = "spec names the stable version again"
    return end_candidate(draft, snapshot, Outcome.ABORTED, "SpecReturnedToStable", message)


def _goes_straight_on(
    draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate
) -> bool:
    """Only a candidate that answers users is worth keeping until the next one can: as asked, or for need."""
    target = snapshot.target
    if draft.status.stable is None or target is None or can_go_back(snapshot, target):
        return False
    if answers_alone(snapshot):
        return True
    asked = spec.rollout.on_supersede is OnSupersede.STRAIGHT_ON and spec.rollout.surge is Surge.FULL
    return asked and not draft.status.undone and candidate.weight > 0 and bool(steps(spec))


def _straight_on(draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, target: Target) -> Draft:
    candidate = draft.status.candidate
    assert candidate is not None, "asked only while one is on trial"  # noqa: S101
    draft = verdicts.record(draft, snapshot)
    failed = trial.failure(snapshot, candidate)
    if failed:
        return _by_way_of_stable(draft, snapshot, target, f"{failed[1]}, while its successor started")
    fresh = newcomer(draft, target, snapshot, spec)
    alone = answers_alone(snapshot)
    if alone:
        fresh = fresh.model_copy(update={"size": fresh.demand})
    draft = _await(draft, snapshot, target, fresh)
    successor = draft.status.successor
    assert successor is not None, "made just now"  # noqa: S101
    fresh = fresh.model_copy(update={"started_at": successor.started_at, "size": successor.size})
    draft = trial.ease(draft, snapshot, spec, candidate)
    deadline = waiting.start_deadline(spec, fresh)
    if snapshot.now >= deadline and not alone:
        return _by_way_of_stable(draft, snapshot, target, "its successor does not get ready")
    workload = snapshot.observed.workloads.get(target.revision)
    if not waiting.carries(workload, fresh) or spec.rollout.control.paused:
        return draft.with_due(deadline)
    message = f"version {target.model_version} took its place"
    return _take_over(draft, snapshot, spec, fresh, message)


def _await(draft: Draft, snapshot: Snapshot, target: Target, fresh: Candidate) -> Draft:
    """Note the successor, whose pods start beside those of the candidate."""
    known = draft.status.successor
    if known and known.revision == target.revision:
        size = max(known.size, fresh.size)
        return draft.with_status(successor=known.model_copy(update={"size": size}))
    successor = Successor(
        revision=target.revision,
        model_version=target.model_version,
        started_at=snapshot.now,
        size=fresh.size,
    )
    draft = draft.without_draining(target.revision).with_status(successor=successor, rejected=None)
    previous = draft.status.previous
    if previous and previous.revision == target.revision:
        draft = draft.with_status(previous=None)
    return draft.with_event(
        Severity.NORMAL,
        "RolloutStarted",
        f"starting pods of version {target.model_version}; the version on trial keeps its share until then",
    )


def _take_over(
    draft: Draft, snapshot: Snapshot, spec: ModelDeploymentSpec, fresh: Candidate, message: str
) -> Draft:
    """One change of weights: the old candidate loses its share, the new one gets that of its first step."""
    generation = draft.status.traffic_generation
    ended = end_candidate(draft, snapshot, Outcome.SUPERSEDED, "Superseded", message)
    ended = ended.with_status(candidate=fresh, successor=None)
    if not steps(spec):
        begun = promote(ended, snapshot, "Immediate", "its strategy asks for no trial")
    else:
        begun = trial.enter(ended, verdicts.unjudged(snapshot), spec, fresh, 1)
    if answers_alone(snapshot) and begun.status.candidate:
        begun = trial.shift(begun, snapshot, begun.status.candidate, 100)
    return begun.with_status(traffic_generation=generation + 1, traffic_changed_at=snapshot.now)


def _by_way_of_stable(draft: Draft, snapshot: Snapshot, target: Target, message: str) -> Draft:
    ended = end_candidate(draft, snapshot, Outcome.SUPERSEDED, "Superseded", message)
    ended = ended.with_status(successor=None)
    return go_back(ended, snapshot) if can_go_back(snapshot, target) else start(ended, snapshot)
