"""What humans want of a rollout: each intent acts once, on the revision that it names, or is refused.

An intent stays in `spec.rollout.control` after it has acted, perhaps for ever, as in Git. What came of it
stands in status, and the same revision and nonce never act again.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from modeldeploy.api.v1alpha1.rollout import Intent
from modeldeploy.api.v1alpha1.status import Candidate, IntentStatus, Outcome, Rejected, Undone
from modeldeploy.core.decision import Severity
from modeldeploy.core.draft import BRIEF, Draft, clip
from modeldeploy.core.ending import end_candidate
from modeldeploy.core.snapshot import Snapshot, Target
from modeldeploy.core.steps import position, stage_at, steps
from modeldeploy.core.traffic import INCUMBENT, has_incumbent

LEAVES = "spec names another version by now, which takes the place of version {}"


class Answer(NamedTuple):
    """What came of an intent: the draft with its effect, or unchanged with the reason."""

    draft: Draft
    accepted: bool
    message: str


def heed(draft: Draft, snapshot: Snapshot) -> Draft:
    """The same with every new intent carried out or refused."""
    if snapshot.spec is None or snapshot.target is None or snapshot.spec.suspend:
        return draft
    for name, act in INTENTS.items():
        intent = getattr(snapshot.spec.rollout.control, name)
        if intent is not None and not _is_done(draft, name, intent):
            answer = act(draft, snapshot, intent)
            draft = _told(answer, snapshot, name, intent)
    return draft


def outlive(draft: Draft, snapshot: Snapshot) -> Draft:
    """The same after the status was lost: what is written in spec has been heeded long ago and acts no more.

    Only an `undo` to what was found stable is still in force.
    """
    target, stable = snapshot.target, draft.status.stable
    if snapshot.spec is None or target is None or stable is None:
        return draft
    why = "the status was lost, and nobody knows whether this was done; give another nonce to ask again"
    for name in INTENTS:
        intent = getattr(snapshot.spec.rollout.control, name)
        if intent is None or _is_done(draft, name, intent):
            continue
        if name == "undo" and intent.revision == stable.revision != target.revision:
            undone = Undone(revision=target.revision, to=stable.revision, model_version=stable.model_version)
            answer = Answer(draft.with_status(undone=undone), accepted=True, message="it is still in force")
        else:
            answer = Answer(draft, accepted=False, message=why)
        draft = _told(answer, snapshot, name, intent)
    return draft


def goal(draft: Draft, snapshot: Snapshot) -> Target | None:
    """The revision to bring in: spec's, unless a human went back from it or none has proven itself yet."""
    target, undone = snapshot.target, draft.status.undone
    if target is None:
        return None
    spec = snapshot.spec
    if draft.status.stable is None and snapshot.baseline and spec and not has_incumbent(spec):
        return snapshot.baseline
    if undone and undone.revision == target.revision:
        return Target(undone.to, undone.model_version)
    return target


def _is_done(draft: Draft, name: str, intent: Intent) -> bool:
    known = (intent.revision, intent.nonce)
    return any(
        entry.intent == name and (entry.revision, entry.nonce) == known for entry in draft.status.control
    )


def _told(answer: Answer, snapshot: Snapshot, name: str, intent: Intent) -> Draft:
    draft = answer.draft
    entry = IntentStatus(
        intent=name,
        revision=intent.revision,
        nonce=intent.nonce,
        accepted=answer.accepted,
        message=clip(answer.message, BRIEF),
        at=snapshot.now,
    )
    others = [one for one in draft.status.control if one.intent != name]
    draft = draft.with_status(control=[*others, entry])
    if answer.accepted:
        return draft.with_event(Severity.NORMAL, "IntentAccepted", f"{name}: {answer.message}")
    return draft.with_event(Severity.WARNING, "IntentRefused", f"{name} was refused: {answer.message}")


def _abort(draft: Draft, snapshot: Snapshot, intent: Intent) -> Answer:
    candidate = _named(draft, intent)
    if candidate is None:
        return Answer(draft, accepted=False, message=_not_on_trial(draft, intent))
    if draft.status.stable is None:
        why = "it is the first version, there is none to return to; delete the object or change spec.model"
        return Answer(draft, accepted=False, message=why)
    message = "a human ended it"
    ended = end_candidate(draft, snapshot, Outcome.ABORTED, "AbortedByUser", message)
    return Answer(
        ended.with_status(undone=None, rejected=_rejected(draft, snapshot, candidate, message)),
        accepted=True,
        message=f"version {candidate.model_version} is ended",
    )


def _rejected(draft: Draft, snapshot: Snapshot, candidate: Candidate, message: str) -> Rejected | None:
    """What must not be tried again by itself: what spec names, even if it was the way back that was ended."""
    target, stable = snapshot.target, draft.status.stable
    if target is None or (stable and stable.revision == target.revision):
        return None
    on_trial = candidate.revision == target.revision
    return Rejected(
        revision=target.revision,
        model_version=target.model_version,
        reason="Aborted",
        message=message if on_trial else f"going back to version {candidate.model_version} instead was ended",
        at=snapshot.now,
    )


def _approve(draft: Draft, snapshot: Snapshot, intent: Intent) -> Answer:
    candidate, spec = _named(draft, intent), snapshot.spec
    if candidate is None or spec is None:
        return Answer(draft, accepted=False, message=_not_on_trial(draft, intent))
    if _leaves(draft, snapshot, candidate):
        return Answer(draft, accepted=False, message=LEAVES.format(candidate.model_version))
    number = position(spec, candidate.step)
    stage = stage_at(spec, candidate.step)
    if stage is None or not stage.approval:
        now = f"step {number} of {len(steps(spec))} needs" if number else "its pods still start, which needs"
        why = f"{now} no approval; approve with another nonce when a step waits for it"
        return Answer(draft, accepted=False, message=why)
    if candidate.approved == number:
        return Answer(draft, accepted=False, message=f"step {number} is approved already")
    approved = candidate.model_copy(update={"approved": number})
    return Answer(draft.with_status(candidate=approved), accepted=True, message=f"step {number} may end")


def _promote(draft: Draft, snapshot: Snapshot, intent: Intent) -> Answer:
    candidate = _named(draft, intent)
    if candidate is None:
        return Answer(draft, accepted=False, message=_not_on_trial(draft, intent))
    if _leaves(draft, snapshot, candidate):
        return Answer(draft, accepted=False, message=LEAVES.format(candidate.model_version))
    if draft.status.stable is None:
        why = "it is the first version and is served as soon as it is ready anyway"
        return Answer(draft, accepted=False, message=why)
    return Answer(
        draft.with_status(candidate=candidate.model_copy(update={"promoting": True})),
        accepted=True,
        message=f"version {candidate.model_version} skips the rest of its steps",
    )


def _retry(draft: Draft, snapshot: Snapshot, intent: Intent) -> Answer:
    target, rejected, undone = snapshot.target, draft.status.rejected, draft.status.undone
    if target is None or intent.revision != target.revision:
        named = target.revision if target else "another one"
        why = f"spec names revision {named}, not {intent.revision}; change spec.model to try that"
        return Answer(draft, accepted=False, message=why)
    ended = (rejected and rejected.revision == intent.revision) or (
        undone and undone.revision == intent.revision
    )
    if not ended:
        why = f"revision {intent.revision} was neither rolled back, aborted nor undone: nothing to retry"
        return Answer(draft, accepted=False, message=why)
    return Answer(
        draft.with_status(rejected=None, undone=None),
        accepted=True,
        message=f"version {target.model_version} is tried again",
    )


def _undo(draft: Draft, snapshot: Snapshot, intent: Intent) -> Answer:
    target, to = snapshot.target, _all_kept(snapshot).get(intent.revision)
    why_not = _not_back(draft, snapshot, intent)
    if target is None or to is None or why_not:
        return Answer(draft, accepted=False, message=why_not)
    message = f"a human went back to version {to.model_version}"
    ended = end_candidate(draft, snapshot, Outcome.ABORTED, "UndoneByUser", message)
    undone = Undone(revision=target.revision, to=to.revision, model_version=to.model_version)
    return Answer(ended.with_status(undone=undone, rejected=None), accepted=True, message=message)


def _not_back(draft: Draft, snapshot: Snapshot, intent: Intent) -> str:
    """Why nothing can be undone to a revision; empty if it can."""
    candidate, stable = draft.status.candidate, draft.status.stable
    kept = _all_kept(snapshot)
    if intent.revision not in kept:
        return f"no revision {intent.revision} is kept; kept are: {', '.join(sorted(kept)) or 'none'}"
    if snapshot.target and intent.revision == snapshot.target.revision:
        return f"spec names revision {intent.revision} itself; use retry if it was rolled back or undone"
    if candidate and candidate.revision == intent.revision:
        return f"revision {intent.revision} is on its way already"
    if candidate is None and stable and stable.revision == intent.revision:
        return f"revision {intent.revision} is stable already"
    return ""


INTENTS: Mapping[str, Callable[[Draft, Snapshot, Intent], Answer]] = {
    "abort": _abort,
    "undo": _undo,
    "retry": _retry,
    "approve": _approve,
    "promote": _promote,
}
"""In the order in which they are heeded: what protects users comes first."""


def _named(draft: Draft, intent: Intent) -> Candidate | None:
    candidate = draft.status.candidate
    return candidate if candidate and candidate.revision == intent.revision else None


def _leaves(draft: Draft, snapshot: Snapshot, candidate: Candidate) -> bool:
    wanted = goal(draft, snapshot)
    return wanted is not None and wanted.revision != candidate.revision


def _not_on_trial(draft: Draft, intent: Intent) -> str:
    candidate = draft.status.candidate
    trial = f"revision {candidate.revision} is" if candidate else "no rollout is in progress"
    return f"revision {intent.revision} is not on trial; {trial}"


def _all_kept(snapshot: Snapshot) -> dict[str, Target]:
    observed = snapshot.observed
    found = {name: Target(name, one.model_version) for name, one in observed.revisions.items()}
    if INCUMBENT in observed.workloads:
        found[INCUMBENT] = Target(INCUMBENT, INCUMBENT)
    return found
