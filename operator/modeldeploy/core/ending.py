"""The ways a rollout ends. Each returns or hands over all traffic in one change of weights."""

from datetime import datetime

from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.cause import Cause
from modeldeploy.api.v1alpha1.rollout import Surge
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Candidate, Outcome, Previous, Rejected, Stable
from modeldeploy.core.decision import Severity
from modeldeploy.core.draft import BRIEF, Draft, after, clip
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.traffic import INCUMBENT

AFTERWARDS = "BreachedAfterRollout"
"""Why a version was rolled back that had been promoted."""


def end_candidate(draft: Draft, snapshot: Snapshot, outcome: Outcome, reason: str, message: str) -> Draft:
    """End a trial in favour of stable. What had traffic drains; what had none may end at once."""
    candidate, stable = draft.status.candidate, draft.status.stable
    if candidate is None:
        return draft
    draft = draft.with_history(candidate, outcome, reason, message, now=snapshot.now)
    back = stable.model_copy(update={"weight": 100}) if stable else None
    ended = draft.with_weights(back, None, snapshot.now).with_status(metrics=[], verdict=None, cause=None)
    if candidate.step:  # it may have had more requests than it has now
        ended = ended.with_draining(candidate.revision)
    where = f"at {candidate.weight}% of traffic" if candidate.weight else "before it got traffic"
    severity = Severity.WARNING if outcome is Outcome.ROLLED_BACK else Severity.NORMAL
    served = f"; all traffic to {stable.model_version}" if stable else ""
    return ended.with_event(
        severity, str(outcome), f"version {candidate.model_version} ended {where}: {message}{served}"
    )


def roll_back(draft: Draft, snapshot: Snapshot, reason: str, message: str) -> Draft:
    """End a trial because the candidate failed it; the revision isn't tried again while spec names it."""
    candidate = draft.status.candidate
    if candidate is None:
        return draft
    evidence, verdict, cause = draft.status.metrics, draft.status.verdict, draft.status.cause
    in_world = cause is not None and cause.cause is Cause.CANDIDATE_AND_WORLD
    rejected = Rejected(
        revision=candidate.revision,
        model_version=candidate.model_version,
        reason=reason,
        message=clip(message, BRIEF),
        at=snapshot.now,
    )
    ended = end_candidate(draft, snapshot, Outcome.ROLLED_BACK, reason, message)
    return ended.with_status(
        rejected=rejected, metrics=evidence, verdict=verdict, cause=cause if in_world else None
    )


def promote(draft: Draft, snapshot: Snapshot, reason: str, message: str) -> Draft:
    """Make the candidate stable: all traffic in one change, no pod restarted, the replaced one kept warm."""
    candidate, replaced = draft.status.candidate, draft.status.stable
    if candidate is None:
        return draft
    draft = draft.with_history(candidate, Outcome.PROMOTED, reason, message, now=snapshot.now)
    draft = _keep_warm(draft, snapshot, replaced, candidate)
    draft = draft.with_weights(_as_stable(candidate), None, snapshot.now).with_status(
        metrics=[], verdict=None, cause=None
    )
    return draft.with_event(
        Severity.NORMAL, "Promoted", f"version {candidate.model_version} answers all requests: {message}"
    )


def retire_previous(draft: Draft, snapshot: Snapshot) -> Draft:
    """Let the replaced revision go once `keepPrevious` is over."""
    previous = draft.status.previous
    if previous is None or previous.until is None:
        return draft
    if previous.until > snapshot.now:
        return draft.with_due(previous.until)
    return draft.with_status(previous=None).with_draining(previous.revision)


def _keep_warm(draft: Draft, snapshot: Snapshot, replaced: Stable | None, by: Candidate) -> Draft:
    older = draft.status.previous
    if older and older.revision != INCUMBENT:
        draft = draft.with_draining(older.revision)
    if replaced is None or snapshot.spec is None:
        return draft.with_status(previous=None)
    kept = Previous(
        revision=replaced.revision,
        model_version=replaced.model_version,
        until=_until(snapshot.spec, replaced, snapshot.now),
        size=None if replaced.revision == INCUMBENT else _left(snapshot, replaced, by),
    )
    return draft.with_status(previous=kept)


def _until(spec: ModelDeploymentSpec, replaced: Stable, now: datetime) -> datetime | None:
    """An incumbent that spec merely points at stays; one that was adopted ends like a revision."""
    if replaced.revision == INCUMBENT and spec.adopt is None:
        return None
    keep = 0.0 if spec.rollout.surge is Surge.NONE else seconds(spec.rollout.keep_previous)
    return after(now, keep)


def _left(snapshot: Snapshot, replaced: Stable, by: Candidate) -> int:
    """The size to keep the replaced revision at: what it had, so that it can take everything back."""
    workload = snapshot.observed.workloads.get(replaced.revision)
    return max(by.demand, workload.wanted if workload else 0)


def _as_stable(candidate: Candidate) -> Stable:
    return Stable(revision=candidate.revision, model_version=candidate.model_version, weight=100)
