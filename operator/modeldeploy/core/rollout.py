"""The heart: what to do next, given one look at the world. Pure and total.

`decide` finds the situation that spec and status are in and hands over to the one function for it. Each
returns the next status; what must run and what may end follows from that status alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum, auto

from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.status import Candidate, Outcome
from modeldeploy.core import conditions, trial
from modeldeploy.core.decision import Decision, Severity
from modeldeploy.core.draft import Draft, after
from modeldeploy.core.ending import end_candidate, promote, retire_previous
from modeldeploy.core.recovery import is_lost, recover
from modeldeploy.core.snapshot import Snapshot, Target


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
    """Which of the situations this is."""
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
    return Situation.GOING_BACK if _can_go_back(snapshot, target) else Situation.START


def decide(snapshot: Snapshot) -> Decision:
    """What to do next.

    The result is the same for the same snapshot, and deciding again on its own result changes nothing until
    something else does.
    """
    draft = Draft(snapshot.status)
    if is_lost(snapshot):
        draft = recover(draft, snapshot)
        snapshot = replace(snapshot, status=draft.status, assessments=())
    draft = HANDLERS[situation(snapshot)](draft, snapshot)
    draft = retire_previous(draft, snapshot)
    draft = _end_drained(draft, snapshot)
    draft = conditions.settle(draft, snapshot)
    status = draft.status
    running = frozenset(
        entry.revision
        for entry in (status.stable, status.candidate, status.previous, *status.draining)
        if entry
    )
    return Decision(
        status=status,
        running=running,
        retired=_unneeded(draft, snapshot) - running,
        events=draft.events,
        requeue_at=min((at for at in draft.due if at > snapshot.now), default=None),
    )


def _invalid(draft: Draft, snapshot: Snapshot) -> Draft:
    """A spec that can't be carried out changes nothing that serves; a candidate on trial can still fall."""
    return trial.watch_for_breach(draft, snapshot)


def _start(draft: Draft, snapshot: Snapshot) -> Draft:
    target = _target(snapshot)
    started = draft.without_draining(target.revision).with_status(
        candidate=_newcomer(target, snapshot), rejected=None, metrics=[], verdict=None
    )
    previous = started.status.previous
    if previous and previous.revision == target.revision:
        started = started.with_status(previous=None)
    stable = snapshot.status.stable
    instead = f"; version {stable.model_version} stays stable" if stable else ""
    told = started.with_event(
        Severity.NORMAL, "RolloutStarted", f"starting pods of version {target.model_version}{instead}"
    )
    return trial.run(told, _unjudged(snapshot))


def _newcomer(target: Target, snapshot: Snapshot) -> Candidate:
    """The revision in spec as a candidate that has no traffic yet."""
    return Candidate(
        revision=target.revision,
        model_version=target.model_version,
        weight=0,
        step=0,
        progress=trial.progress(snapshot, 0),
        started_at=snapshot.now,
        step_started_at=snapshot.now,
    )


def _superseded(draft: Draft, snapshot: Snapshot) -> Draft:
    """A third version: traffic returns to stable, and the new candidate starts with nothing inherited."""
    target = _target(snapshot)
    message = f"version {target.model_version} took its place in spec"
    ended = end_candidate(draft, snapshot, Outcome.SUPERSEDED, "Superseded", message)
    return _going_back(ended, snapshot) if _can_go_back(snapshot, target) else _start(ended, snapshot)


def _returned(draft: Draft, snapshot: Snapshot) -> Draft:
    """Spec names stable again in mid-rollout: one traffic change and the rollout is over."""
    message = "spec names the stable version again"
    ended = end_candidate(draft, snapshot, Outcome.ABORTED, "SpecReturnedToStable", message)
    return _settled(ended, _unjudged(snapshot))


def _settled(draft: Draft, snapshot: Snapshot) -> Draft:
    if draft.status.rejected:
        draft = draft.with_status(rejected=None)
    return trial.record(draft, snapshot)


def _rejected(draft: Draft, snapshot: Snapshot) -> Draft:
    return trial.record(draft, snapshot)


def _going_back(draft: Draft, snapshot: Snapshot) -> Draft:
    """Spec names the replaced revision while it is still warm: one traffic change, no new pod, no trial."""
    target = _target(snapshot)
    draft = draft.without_draining(target.revision).with_status(
        candidate=_newcomer(target, snapshot), previous=None, rejected=None, metrics=[], verdict=None
    )
    return promote(draft, snapshot, "WentBack", "it was kept warm and had been stable before")


HANDLERS: Mapping[Situation, Callable[[Draft, Snapshot], Draft]] = {
    Situation.INVALID: _invalid,
    Situation.START: _start,
    Situation.TRIAL: trial.run,
    Situation.SUPERSEDED: _superseded,
    Situation.RETURNED: _returned,
    Situation.SETTLED: _settled,
    Situation.REJECTED: _rejected,
    Situation.GOING_BACK: _going_back,
}


def _can_go_back(snapshot: Snapshot, target: Target) -> bool:
    previous = snapshot.status.previous
    if previous is None or previous.revision != target.revision:
        return False
    workload = snapshot.observed.workloads.get(target.revision)
    return workload is not None and workload.is_ready


def _end_drained(draft: Draft, snapshot: Snapshot) -> Draft:
    """Let go of revisions whose last answers are out: routers send them nothing, and `drain` has passed."""
    spec = snapshot.spec
    if spec is None or not draft.status.draining:
        return draft
    drain = seconds(spec.rollout.drain)
    routed_away = _routed_away(draft, snapshot)
    kept = []
    for entry in draft.status.draining:
        end = after(entry.since, drain)
        if routed_away and end <= snapshot.now:
            continue
        kept.append(entry)
        draft = draft.with_due(end)
    return draft if len(kept) == len(draft.status.draining) else draft.with_status(draining=kept)


def _routed_away(draft: Draft, snapshot: Snapshot) -> bool:
    """Whether the routers follow the decided weights: what these leave out gets no request any more."""
    generation = draft.status.traffic_generation
    return generation == 0 or snapshot.observed.routers.follow(generation)


def _unneeded(draft: Draft, snapshot: Snapshot) -> frozenset[str]:
    """What may end unless the status still names it."""
    return frozenset(snapshot.observed.workloads) if _routed_away(draft, snapshot) else frozenset()


def _unjudged(snapshot: Snapshot) -> Snapshot:
    """The same without verdicts: they speak of the rollout that ends here, not of what comes now."""
    return replace(snapshot, assessments=())


def _target(snapshot: Snapshot) -> Target:
    assert snapshot.target is not None, "asked only in situations that have a target"  # noqa: S101
    return snapshot.target
