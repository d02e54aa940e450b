"""When retraining is recommended, for how long, and what is run because of it.

Without `spec.retraining` the recommendation stands exactly while inputs or outputs breach. With it a breach
begins an *episode*, which stays (that is the hysteresis: a metric that hovers about its bound is one
recommendation, not twenty) until one of three things ends it:

- a newer revision is promoted; a return to an older one is no retraining;
- a human acknowledges it;
- its metrics pass, and none has breached for as long as `cooldown` since they first did. Silence neither
  begins nor ends that span, nor the episode.

Then none begins for `cooldown`. An episode has one trigger. What is to be run stands in status before it is
run, and what came of it is learned from the shell afterwards; an operator that dies in between leads to one
more run under the same key, never to none.
"""

from datetime import datetime
from typing import Any

from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.cause import Cause
from modeldeploy.api.v1alpha1.episode import (
    EndedEpisode,
    Episode,
    EpisodeEnd,
    EpisodeMetric,
    RetrainingStatus,
    TriggerOutcome,
    TriggerStatus,
)
from modeldeploy.api.v1alpha1.monitoring import Category, Metric, WatchAction
from modeldeploy.api.v1alpha1.retraining import Retraining, RetrainingMode, Trigger
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import MetricStatus, ModelDeploymentStatus, Verdict
from modeldeploy.core.decision import Run, Severity
from modeldeploy.core.draft import BRIEF, Draft, after, clip
from modeldeploy.core.ending import AFTERWARDS
from modeldeploy.core.judgement import reference, span, statistic
from modeldeploy.core.naming import ACKNOWLEDGE
from modeldeploy.core.snapshot import Attempt, Snapshot

EVIDENCE = 8
"""Metrics that an episode keeps."""
KIND = 63
"""Longest name of a kind, in characters."""
SHORTEST = 1.0
"""Seconds of cool-down at least: two episodes never begin in one second, which names them."""
FIRST_PAUSE = 5.0
"""Seconds until a failed trigger is run again; doubled by each further failure."""
LONGEST_PAUSE = 600.0


def recommending(status: ModelDeploymentStatus, spec: ModelDeploymentSpec) -> list[MetricStatus]:
    """What speaks against the model that serves, once its rollout is over.

    Breaches of inputs and outputs; of quality and feedback shifts, too, if inputs don't explain them.
    """
    if spec.on_breach.after_rollout is WatchAction.NOTIFY or not _is_watched(status):
        return []
    categories = {metric.name: metric.category for metric in spec.monitoring.metrics}
    cause = status.cause
    concept = set(cause.metrics) if cause and cause.cause is Cause.CONCEPT_DRIFT else set()
    return [
        entry
        for entry in status.metrics
        if (entry.verdict is Verdict.BREACH or entry.name in concept)
        and categories.get(entry.name, Category.SOFTWARE) is not Category.SOFTWARE
    ]


def standing(status: ModelDeploymentStatus) -> Episode | None:
    """The episode that stands, if one does."""
    return status.retraining.episode if status.retraining else None


def follow(draft: Draft, snapshot: Snapshot) -> Draft:
    """Begin, keep or end an episode, and say what its trigger has come to."""
    spec = snapshot.spec
    if spec is None or snapshot.invalid or snapshot.observed.rejection:
        return draft
    if spec.retraining is None:
        return draft.with_status(retraining=None) if draft.status.retraining else draft
    known = draft.status.retraining or RetrainingStatus()
    if known.episode is None:
        return _begin(draft, snapshot, spec, spec.retraining, known.last)
    draft = _learn(draft, snapshot, known, known.episode)
    episode = _grown(standing(draft.status) or known.episode, draft.status, spec, snapshot.now)
    end = _end(draft.status, snapshot, spec, spec.retraining, episode)
    if end is not None:
        last = _ended(episode, snapshot, *end)
        return _begin(_close(draft, last), snapshot, spec, spec.retraining, last)
    if episode.quiet_since:
        draft = draft.with_due(after(episode.quiet_since, _cooldown(spec.retraining)))
    return _intend(_with(draft, episode), snapshot, spec.retraining)


def run(status: ModelDeploymentStatus, snapshot: Snapshot) -> Run | None:
    """What is to be run now, once the status is written; None for nothing."""
    spec, episode = snapshot.spec, standing(status)
    if spec is None or snapshot.invalid or snapshot.observed.rejection or spec.suspend or not episode:
        return None
    if snapshot.observed.untriggerable:
        return None
    trigger = episode.trigger
    if spec.retraining is None or spec.retraining.mode is not RetrainingMode.AUTOMATIC or trigger is None:
        return None
    if trigger.outcome is TriggerOutcome.DONE or (trigger.next_at and trigger.next_at > snapshot.now):
        return None
    return Run(episode, trigger.attempts + 1)


def advice(episode: Episode, untriggerable: str | None = None) -> str:
    """The condition's message: the evidence, what was done about it, and what people can do.

    Args:
        episode: The one that stands.
        untriggerable: Why its trigger can't be run, if it is to be.
    """
    found = "; ".join(entry.message or entry.name for entry in episode.metrics)
    trigger = episode.trigger
    done = f"{trigger.message or 'its trigger is being run'}; " if trigger else ""
    if untriggerable and (trigger is None or trigger.outcome is not TriggerOutcome.DONE):
        done = "its trigger can't be run, see RetrainingReady; "
    mend = f"promote a retrained version, or acknowledge it by the annotation {ACKNOWLEDGE}={episode.id}"
    return f"{found}. Episode {episode.id}: {done}{mend}"


def _begin(
    draft: Draft,
    snapshot: Snapshot,
    spec: ModelDeploymentSpec,
    wanted: Retraining,
    last: EndedEpisode | None,
) -> Draft:
    breaches, stable = recommending(draft.status, spec), draft.status.stable
    if not breaches or stable is None:
        return draft
    free = after(last.ended_at, _cooldown(wanted)) if last else snapshot.now
    if free > snapshot.now:
        return draft.with_due(free)
    episode = Episode(
        id=snapshot.now.strftime("%Y%m%d-%H%M%S"),
        started_at=snapshot.now,
        revision=stable.revision,
        model_version=stable.model_version,
    )
    episode = _grown(episode, draft.status, spec, snapshot.now)
    told = "; ".join(entry.message or entry.name for entry in episode.metrics)
    draft = draft.with_event(Severity.WARNING, "RetrainingRecommended", f"episode {episode.id}: {told}")
    return _intend(_with(draft, episode), snapshot, wanted)


def _grown(
    episode: Episode, status: ModelDeploymentStatus, spec: ModelDeploymentSpec, now: datetime
) -> Episode:
    """The same with what breaches by now, and since when nothing does."""
    if not _is_watched(status):
        return episode
    breaches = recommending(status, spec)
    named = {entry.name for entry in episode.metrics}
    metrics = {metric.name: metric for metric in spec.monitoring.metrics}
    more = [_evidence(entry, metrics[entry.name], spec) for entry in breaches if entry.name not in named]
    quiet = None if breaches else episode.quiet_since or (now if _passes(episode, status, spec) else None)
    kept = [*episode.metrics, *more][:EVIDENCE]
    return episode.model_copy(update={"metrics": kept, "quiet_since": quiet, **_data(kept)})


def _data(metrics: list[EpisodeMetric]) -> dict[str, Any]:
    """The span of what was judged: what callers sent then is what the model no longer fits."""
    begins = [after(metric.at, -seconds(metric.window)) for metric in metrics]
    return {"data_from": min(begins), "data_to": max(metric.at for metric in metrics)} if metrics else {}


def _passes(episode: Episode, status: ModelDeploymentStatus, spec: ModelDeploymentSpec) -> bool:
    """Whether stable is known to be well; metrics that spec no longer names say nothing more."""
    verdicts = {entry.name: (entry.verdict, entry.moved) for entry in status.metrics}
    names = {entry.name for entry in episode.metrics} & {metric.name for metric in spec.monitoring.metrics}
    return _is_watched(status) and all(verdicts.get(name) == (Verdict.PASS, "") for name in names)


def _evidence(entry: MetricStatus, metric: Metric, spec: ModelDeploymentSpec) -> EpisodeMetric:
    return EpisodeMetric(
        name=entry.name,
        category=metric.category,
        value=entry.candidate,
        samples=entry.samples,
        window=span(metric, spec),
        statistic=clip(entry.statistic or statistic(metric), 64),
        reference=reference(metric),
        message=entry.message,
        at=entry.at,
    )


def _end(
    status: ModelDeploymentStatus,
    snapshot: Snapshot,
    spec: ModelDeploymentSpec,
    wanted: Retraining,
    episode: Episode,
) -> tuple[EpisodeEnd, str] | None:
    """How the episode ends now, and why; None while it stands."""
    stable = status.stable
    if stable and _number(snapshot, stable.revision) > _number(snapshot, episode.revision):
        return EpisodeEnd.RETRAINED, f"version {stable.model_version} is promoted"
    if episode.id in (wanted.acknowledge, snapshot.acknowledged):
        return EpisodeEnd.ACKNOWLEDGED, "a human acknowledged it"
    quiet = episode.quiet_since
    if quiet and after(quiet, _cooldown(wanted)) <= snapshot.now and _passes(episode, status, spec):
        return EpisodeEnd.RECOVERED, f"its metrics have passed for {wanted.cooldown}"
    return None


def _ended(episode: Episode, snapshot: Snapshot, reason: EpisodeEnd, why: str) -> EndedEpisode:
    return EndedEpisode(
        id=episode.id, started_at=episode.started_at, ended_at=snapshot.now, reason=reason, message=why
    )


def _close(draft: Draft, last: EndedEpisode) -> Draft:
    told = f"episode {last.id} is over: {last.message}"
    draft = draft.with_event(Severity.NORMAL, "RetrainingClosed", told)
    return draft.with_status(retraining=RetrainingStatus(last=last))


def _intend(draft: Draft, snapshot: Snapshot, wanted: Retraining) -> Draft:
    """The same with the trigger that is to be run, if one is, and the time of its next attempt."""
    episode = standing(draft.status)
    if episode is None or wanted.mode is not RetrainingMode.AUTOMATIC or wanted.trigger is None:
        return draft
    if snapshot.observed.untriggerable:
        return draft
    what = made_by(wanted.trigger)
    trigger = episode.trigger
    if trigger is None:
        trigger = TriggerStatus(what=what, outcome=TriggerOutcome.PENDING, at=snapshot.now)
        return _with(draft, episode.model_copy(update={"trigger": trigger}))
    return draft.with_due(trigger.next_at) if trigger.next_at else draft


def made_by(trigger: Trigger) -> str:
    """What a trigger does, in a word: the kind of what it makes, or Webhook."""
    if trigger.object_:
        return clip(str(trigger.object_.template.get("kind") or "Object"), KIND)
    return "Job" if trigger.job else "Webhook"


def _learn(draft: Draft, snapshot: Snapshot, known: RetrainingStatus, episode: Episode) -> Draft:
    """The same with what came of the last attempt, once."""
    attempt, trigger = snapshot.observed.attempt, episode.trigger
    if attempt is None or trigger is None or attempt.episode != episode.id:
        return draft
    if trigger.outcome is TriggerOutcome.DONE or attempt.number <= trigger.attempts:
        return draft
    learned = _outcome(attempt)
    renewed = episode.model_copy(update={"trigger": learned})
    draft = draft.with_status(retraining=known.model_copy(update={"episode": renewed}))
    if attempt.done:
        return draft.with_event(
            Severity.NORMAL, "RetrainingTriggered", f"episode {episode.id}: {learned.message}"
        )
    if learned.message == trigger.message:
        return draft
    told = f"episode {episode.id}: {learned.message}"
    return draft.with_event(Severity.WARNING, "RetrainingTriggerFailed", told)


def _outcome(attempt: Attempt) -> TriggerStatus:
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempt.number - 1, 30))
    return TriggerStatus(
        what=attempt.what,
        outcome=TriggerOutcome.DONE if attempt.done else TriggerOutcome.FAILED,
        attempts=attempt.number,
        message=clip(attempt.message, BRIEF),
        at=attempt.at,
        next_at=None if attempt.done else after(attempt.at, pause),
    )


def _is_watched(status: ModelDeploymentStatus) -> bool:
    """Whether the metrics speak of stable: no candidate is on trial, and none has just failed."""
    failed = status.rejected is not None and status.rejected.reason != AFTERWARDS
    return status.candidate is None and not failed


def _number(snapshot: Snapshot, revision: str) -> int:
    """The order in which a revision was made; 0 for what is no longer known, or never was ours."""
    known = snapshot.observed.revisions.get(revision)
    return known.number if known else 0


def _cooldown(wanted: Retraining) -> float:
    return max(SHORTEST, seconds(wanted.cooldown))


def _with(draft: Draft, episode: Episode) -> Draft:
    known = draft.status.retraining or RetrainingStatus()
    return draft.with_status(retraining=known.model_copy(update={"episode": episode}))
