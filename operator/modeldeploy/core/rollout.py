"""The heart: what to do next, given one look at the world. Pure and total.

`decide` heeds what humans want, finds the situation that spec and status are in and hands over to the one
function for it. Each returns the next status; what must run and what may end follows from that status alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum, auto

from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus, Replaced
from modeldeploy.core import (
    adaptation,
    afterwards,
    conditions,
    images,
    intents,
    retraining,
    supersede,
    trial,
    verdicts,
)
from modeldeploy.core.capacity import answers_alone
from modeldeploy.core.decision import Decision
from modeldeploy.core.draft import Draft, after
from modeldeploy.core.ending import retire_previous
from modeldeploy.core.newcomer import can_go_back, go_back, start
from modeldeploy.core.recovery import is_lost, recover
from modeldeploy.core.sizes import sizes
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.traffic import INCUMBENT


class Situation(Enum):
    """How spec and status stand to each other."""

    INVALID = auto()
    START = auto()
    TRIAL = auto()
    SUPERSEDED = auto()
    RETURNED = auto()
    SETTLED = auto()
    REJECTED = auto()
    GOING_BACK = auto()


def situation(snapshot: Snapshot) -> Situation:
    """Which of the situations this is; the snapshot's target is what is to be brought in."""
    status, target = snapshot.status, snapshot.target
    if snapshot.spec is None or snapshot.invalid or target is None or snapshot.observed.rejection:
        return Situation.INVALID
    wanted = target.revision
    if status.candidate and status.candidate.revision == wanted:
        return Situation.TRIAL
    if status.stable and status.stable.revision == wanted:
        return Situation.RETURNED if status.candidate else Situation.SETTLED
    if status.candidate:
        return Situation.SUPERSEDED
    if status.rejected and status.rejected.revision == wanted:
        return Situation.REJECTED
    return Situation.GOING_BACK if can_go_back(snapshot, target) else Situation.START


def decide(snapshot: Snapshot) -> Decision:
    """What to do next.

    The result is the same for the same snapshot, and deciding again on its own result changes nothing until
    something else does.
    """
    draft, written = Draft(snapshot.status), snapshot.spec
    snapshot = replace(snapshot, spec=_adapted(written, draft))
    if is_lost(snapshot):
        draft = intents.outlive(recover(draft, snapshot), snapshot)
        snapshot = replace(snapshot, status=draft.status, assessments=())
    if snapshot.spec and snapshot.spec.suspend:
        return _decision(conditions.settle(draft, snapshot), snapshot, frozenset())
    draft = adaptation.keep(images.note(_forget_undone(draft, snapshot), snapshot), written)
    heeded = intents.heed(draft, snapshot)
    if roles(heeded.status) != roles(draft.status):
        snapshot = verdicts.unjudged(snapshot)
    asked = replace(snapshot, status=heeded.status)
    aimed = replace(asked, target=intents.goal(heeded, asked))
    found = situation(aimed)
    draft = HANDLERS[found](heeded, aimed)
    if found is not Situation.SUPERSEDED and draft.status.successor:
        draft = draft.with_status(successor=None)
    draft = retire_previous(_note_replaced(draft, snapshot), snapshot)
    draft = images.note(_end_drained(draft, snapshot), snapshot)  # what has left has none in the status
    if roles(draft.status) != roles(asked.status):
        asked = verdicts.unjudged(asked)
    snapshot, asked = (replace(one, spec=_adapted(written, draft)) for one in (snapshot, asked))
    draft = conditions.settle(retraining.follow(draft, asked), asked)
    return _decision(draft, snapshot, _unneeded(draft, snapshot))


def _adapted(written: ModelDeploymentSpec | None, draft: Draft) -> ModelDeploymentSpec | None:
    """The spec with what was raised, which holds for every size."""
    return adaptation.adapted(written, draft.status) if written else None


def _decision(draft: Draft, snapshot: Snapshot, unneeded: frozenset[str]) -> Decision:
    status = draft.status
    decision = Decision(
        status=status,
        sizes=sizes(status, snapshot.spec),
        leaving=frozenset(entry.revision for entry in status.draining),
        retired=frozenset(),
        events=draft.events,
        run=retraining.run(status, snapshot),
        requeue_at=min((at for at in draft.due if at > snapshot.now), default=None),
    )
    return replace(decision, retired=unneeded - decision.running)


def roles(status: ModelDeploymentStatus) -> tuple[object, ...]:
    """Who is stable, who is on trial, and since when that is judged: verdicts speak of nothing else."""
    stable, candidate = status.stable, status.candidate
    trial_of = (candidate.revision, candidate.judged_since) if candidate else (None, None)
    return (stable.revision if stable else None, *trial_of)


def _note_replaced(draft: Draft, snapshot: Snapshot) -> Draft:
    """Keep who was stable before: what it was asked is a reference for whoever is stable now."""
    before, stable = snapshot.status.stable, draft.status.stable
    if before is None or stable is None or before.revision in (stable.revision, INCUMBENT):
        return draft
    replaced = Replaced(revision=before.revision, model_version=before.model_version, at=snapshot.now)
    return draft.with_status(replaced=replaced)


def _forget_undone(draft: Draft, snapshot: Snapshot) -> Draft:
    """Spec names another revision than the one that a human went back from: that is history now."""
    undone, target = draft.status.undone, snapshot.target
    if undone is None or target is None or undone.revision == target.revision:
        return draft
    return draft.with_status(undone=None)


def _invalid(draft: Draft, snapshot: Snapshot) -> Draft:
    """A spec that can't be carried out changes nothing that serves; a candidate on trial can still fall."""
    return trial.watch_for_breach(draft, snapshot)


def _settled(draft: Draft, snapshot: Snapshot) -> Draft:
    if draft.status.rejected:
        draft = draft.with_status(rejected=None)
    draft = verdicts.record(draft, snapshot)
    if adaptation.takes_over(draft, snapshot):
        return adaptation.follow(draft, snapshot)
    return afterwards.follow(draft, snapshot)


def _returned(draft: Draft, snapshot: Snapshot) -> Draft:
    """Spec names stable again in mid-rollout: one traffic change and the rollout is over.

    While stable has no ready pod, and the candidate answers, nothing is taken off the candidate.
    """
    if answers_alone(snapshot):
        return verdicts.record(draft, snapshot)
    return _settled(supersede.return_to_stable(draft, snapshot), verdicts.unjudged(snapshot))


HANDLERS: Mapping[Situation, Callable[[Draft, Snapshot], Draft]] = {
    Situation.INVALID: _invalid,
    Situation.START: start,
    Situation.TRIAL: trial.run,
    Situation.SUPERSEDED: supersede.run,
    Situation.RETURNED: _returned,
    Situation.SETTLED: _settled,
    Situation.REJECTED: verdicts.record,
    Situation.GOING_BACK: go_back,
}


def _end_drained(draft: Draft, snapshot: Snapshot) -> Draft:
    """Let go of revisions whose last answers are out: routers send them nothing, and `drain` has passed."""
    spec = snapshot.spec
    if spec is None or not draft.status.draining:
        return draft
    if not _routed_away(draft, snapshot):
        return draft
    drain = seconds(spec.rollout.drain)
    kept = []
    for entry in draft.status.draining:
        since = entry.since or snapshot.now
        end = after(since, drain)
        if end > snapshot.now:
            kept.append(entry.model_copy(update={"since": since}))
            draft = draft.with_due(end)
    return draft if kept == draft.status.draining else draft.with_status(draining=kept)


def _routed_away(draft: Draft, snapshot: Snapshot) -> bool:
    """Whether the routers follow the decided weights: what these leave out gets no request any more."""
    generation = draft.status.traffic_generation
    return generation == 0 or snapshot.observed.routers.follow(generation)


def _unneeded(draft: Draft, snapshot: Snapshot) -> frozenset[str]:
    """What may end unless the status still names it."""
    ours = snapshot.observed.workloads.keys() - {INCUMBENT}
    return frozenset(ours) if _routed_away(draft, snapshot) else frozenset()
