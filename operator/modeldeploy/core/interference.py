"""Both versions got worse soon after the candidate got more traffic: is it the candidate that harms stable?

Its traffic returns to stable, which protects users at once, and stable is watched without it. If stable
keeps its bounds again it was the candidate (`Interference`), and the rollout is over. If stable doesn't, or
nothing is shown in time, it was the world: the candidate gets its share again, cleared for the step under
way, and the other rows of the table say what happens next.
"""

from datetime import datetime

from modeldeploy.api.v1alpha1.cause import Cause
from modeldeploy.api.v1alpha1.rollout import Surge
from modeldeploy.api.v1alpha1.status import Candidate
from modeldeploy.core.capacity import has_no_fallback
from modeldeploy.core.cause import Action, Diagnosis
from modeldeploy.core.causes import mend_of
from modeldeploy.core.decision import Severity
from modeldeploy.core.diagnosis import diagnosis
from modeldeploy.core.draft import Draft, after
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.stepdown import ENDING

WATCHED = 600.0
"""Seconds after which a stable that isn't shown to have recovered clears the candidate."""


def is_watched(candidate: Candidate) -> bool:
    """Whether its traffic is returned, and stable watched without it."""
    return candidate.returned_at is not None


def is_suspected(snapshot: Snapshot, candidate: Candidate) -> bool:
    """Whether traffic is to be returned now: there must be pods, and people's leave, to return it."""
    spec = snapshot.spec
    if spec is None or spec.on_breach.during_rollout not in ENDING:
        return False
    if spec.rollout.surge is Surge.NONE or has_no_fallback(snapshot) or is_watched(candidate):
        return False
    return diagnosis(snapshot).action is Action.RETURN_TRAFFIC


def is_shown(snapshot: Snapshot, candidate: Candidate) -> bool:
    """Whether stable has recovered without the candidate's traffic."""
    return is_watched(candidate) and _recovered(snapshot, diagnosis(snapshot)) is True


def is_refuted(snapshot: Snapshot, candidate: Candidate) -> bool:
    """Whether the candidate may have its traffic again. Before a look nothing can be said."""
    if snapshot.now >= deadline(candidate):
        return True
    found = diagnosis(snapshot)
    if not snapshot.assessments:
        return False
    return found.cause is not Cause.INTERFERENCE or _recovered(snapshot, found) is False


def deadline(candidate: Candidate) -> datetime:
    """Until when stable is watched; only of a candidate whose traffic is returned."""
    assert candidate.returned_at is not None, "asked only while it is"  # noqa: S101
    return after(candidate.returned_at, WATCHED)


def return_traffic(draft: Draft, snapshot: Snapshot, candidate: Candidate) -> Draft:
    """All requests and copies to stable alone, in one change; the candidate stays as it is."""
    stable = draft.status.stable
    if stable is None:
        return draft
    waits = candidate.model_copy(update={"weight": 0, "mirror": 0, "returned_at": snapshot.now})
    draft = draft.with_weights(stable.model_copy(update={"weight": 100}), waits, snapshot.now)
    text = (
        f"version {candidate.model_version} and stable got worse soon after it got more traffic, which "
        "returns to stable to see whether that recovers"
    )
    return draft.with_event(Severity.WARNING, "TrafficReturned", text).with_due(deadline(waits))


def cleared(candidate: Candidate) -> Candidate:
    """The candidate that isn't at fault for what moves both in this step."""
    return candidate.model_copy(update={"returned_at": None, "cleared": True})


def told(message: str) -> str:
    """What is said of a candidate that harmed stable."""
    return f"{message}, which recovered once traffic had returned; {mend_of(Cause.INTERFERENCE)}"


def _recovered(snapshot: Snapshot, found: Diagnosis) -> bool | None:
    """What is shown of stable by the metrics that led to the suspicion; one that stays broken is enough."""
    if found.cause is not Cause.INTERFERENCE:
        return None
    seen = [entry.recovered for entry in snapshot.assessments if entry.name in found.metrics]
    if False in seen:
        return False
    return True if seen and all(seen) else None
