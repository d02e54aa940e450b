"""The cause of what is seen now, by the table of `modeldeploy.core.causes`, and what status keeps of it."""

from modeldeploy.api.v1alpha1.cause import Cause, CauseStatus
from modeldeploy.api.v1alpha1.monitoring import RolloutAction
from modeldeploy.api.v1alpha1.status import MetricStatus, ModelDeploymentStatus
from modeldeploy.core.cause import LATELY, Action, Diagnosis, Moved, Scene, what
from modeldeploy.core.causes import diagnose, mend_of
from modeldeploy.core.draft import BRIEF, Draft, after, clip
from modeldeploy.core.saying import told
from modeldeploy.core.snapshot import Snapshot

STOPS = frozenset({Action.ROLL_BACK, Action.RETURN_TRAFFIC, Action.HOLD})
"""What keeps a step from ending, unless people want to be told only."""


def diagnosis(snapshot: Snapshot) -> Diagnosis:
    """Why what moved has moved, as far as the metrics tell now."""
    return diagnose(_scene(snapshot))


def stops(snapshot: Snapshot) -> Diagnosis | None:
    """What keeps the step under way from ending; None where nothing does, or people want to be told only."""
    spec = snapshot.spec
    if spec is None or spec.on_breach.during_rollout is RolloutAction.NOTIFY:
        return None
    found = diagnosis(snapshot)
    return found if found.action in STOPS else None


def keep(draft: Draft, snapshot: Snapshot) -> Draft:
    """The same with the cause as it is now; its time is that of its beginning."""
    found, known = diagnosis(snapshot), draft.status.cause
    if found.cause is Cause.NONE:
        return draft.with_status(cause=None) if known else draft
    note = clip(snapshot.off_weight or "", BRIEF) if found.off_weight else ""
    since = known.since if known and known.cause is found.cause else snapshot.now
    if known and note and known.note:  # numbers that merely move write nothing
        note = known.note
    cause = CauseStatus(cause=found.cause, metrics=list(found.metrics), note=note, since=since)
    return draft if cause == known else draft.with_status(cause=cause)


def sentence(status: ModelDeploymentStatus, cause: CauseStatus) -> str:
    """A cause in words: the metrics as they were recorded, and the mend."""
    found = [cause.note, told(_led(status, cause)), mend_of(cause.cause)]
    return "; ".join(part for part in found if part)


def _led(status: ModelDeploymentStatus, cause: CauseStatus) -> list[MetricStatus]:
    return [entry for entry in status.metrics if entry.name in cause.metrics]


def _scene(snapshot: Snapshot) -> Scene:
    spec, candidate = snapshot.spec, snapshot.status.candidate
    if spec is None:
        return Scene()
    metrics = {metric.name: metric for metric in spec.monitoring.metrics}
    moved = tuple(
        Moved(entry.name, what(metrics[entry.name]), entry.who)
        for entry in snapshot.assessments
        if entry.moved and entry.name in metrics
    )
    if candidate is None:
        return Scene(moved)
    gets_some = bool(candidate.weight or candidate.mirror) and not candidate.cleared
    lately = gets_some and snapshot.now <= after(candidate.step_started_at, LATELY)
    lately = lately or candidate.returned_at is not None
    return Scene(moved, on_trial=True, off_weight=snapshot.off_weight is not None, lately=lately)
