"""A breach of stable once its rollout is over, and the way back while the version before it is kept.

It is one change of traffic and starts no pod. There is no second one: what was left is rejected, and what was
gone back to has no version before it.
"""

from datetime import datetime

from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.monitoring import Category, WatchAction
from modeldeploy.api.v1alpha1.status import (
    ModelDeploymentStatus,
    Outcome,
    Previous,
    Rejected,
    Stable,
)
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.cause import Who
from modeldeploy.core.decision import Severity
from modeldeploy.core.draft import BRIEF, Draft, after, clip
from modeldeploy.core.ending import AFTERWARDS
from modeldeploy.core.newcomer import can_go_back
from modeldeploy.core.snapshot import Snapshot, Target
from modeldeploy.core.traffic import INCUMBENT
from modeldeploy.core.verdicts import breaches, keep_numbers


def follow(draft: Draft, snapshot: Snapshot) -> Draft:
    """The same, gone back to the version before if what breaches is the model's doing and it still can."""
    stable, previous = draft.status.stable, draft.status.previous
    seen = _of_the_model(snapshot)
    if not seen or stable is None or previous is None or why_not(snapshot) != "":
        return draft
    message = "; ".join(entry.message or entry.name for entry in seen)
    draft = keep_numbers(draft, snapshot)
    draft = draft.with_history(stable, Outcome.ROLLED_BACK, AFTERWARDS, message, now=snapshot.now)
    back = Stable(revision=previous.revision, model_version=previous.model_version, weight=100)
    rejected = Rejected(
        revision=stable.revision,
        model_version=stable.model_version,
        reason=AFTERWARDS,
        message=clip(f"{message}, after its rollout", BRIEF),
        at=snapshot.now,
    )
    draft = draft.with_weights(back, None, snapshot.now).with_draining(stable.revision)
    draft = draft.with_status(previous=None, rejected=rejected, metrics=[], verdict=None, cause=None)
    told = (
        f"version {stable.model_version} breached after its rollout: {message}; "
        f"all traffic back to {previous.model_version}"
    )
    return draft.with_event(Severity.WARNING, str(Outcome.ROLLED_BACK), told)


def why_not(snapshot: Snapshot) -> str | None:
    """Why a breach of stable rolls nothing back; empty if it does, None if nobody asked for it."""
    spec, status = snapshot.spec, snapshot.status
    if spec is None or status.stable is None or spec.on_breach.after_rollout is not WatchAction.ROLLBACK:
        return None
    if not snapshot.assessments:  # before a look nothing new can be said
        return None
    previous = status.previous
    if previous is None or not _is_kept(previous, snapshot):
        return "no version is kept any more to go back to"
    name, target = f"version {previous.model_version}", Target(previous.revision, previous.model_version)
    reasons = {
        f"{name} was left on purpose": status.undone or _is_newer(previous, status.stable, snapshot),
        f"inputs have moved, which {name} would get as well": _inputs_moved(snapshot),
        "there is only a number, without a count behind it": not _of_the_model(snapshot),
        f"{name} has too few ready pods to answer everything": not can_go_back(snapshot, target),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _of_the_model(snapshot: Snapshot) -> tuple[Assessment, ...]:
    """The breaches that speak against the model: callers send what they did, and there is a count."""
    if _inputs_moved(snapshot):
        return ()
    return tuple(entry for entry in breaches(snapshot) if entry.who is not Who.UNSURE)


def _inputs_moved(snapshot: Snapshot) -> bool:
    return any(entry.category is Category.INPUT and entry.moved for entry in snapshot.assessments)


def _is_kept(previous: Previous, snapshot: Snapshot) -> bool:
    """Whether `keepPrevious` still lasts; an incumbent of the user's own stays for longer than that."""
    if previous.until is not None:
        return previous.until > snapshot.now
    spec, promoted = snapshot.spec, _promotion(snapshot.status)
    if spec is None or promoted is None:
        return False
    return after(promoted, seconds(spec.rollout.keep_previous)) > snapshot.now


def _promotion(status: ModelDeploymentStatus) -> datetime | None:
    """When stable was promoted, as far as history goes back."""
    revision = status.stable.revision if status.stable else None
    ways = (one.at for one in status.history if (one.revision, one.outcome) == (revision, Outcome.PROMOTED))
    return next(ways, None)


def _is_newer(previous: Previous, stable: Stable, snapshot: Snapshot) -> bool:
    """Whether what is kept was made after stable: spec has gone back from it."""
    known = snapshot.observed.revisions
    if previous.revision == INCUMBENT or previous.revision not in known or stable.revision not in known:
        return False
    return known[previous.revision].number > known[stable.revision].number
