"""`status.retraining`: episodes of recommended retraining."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from modeldeploy.api.v1alpha1.base import StatusPart
from modeldeploy.api.v1alpha1.monitoring import Category


class TriggerOutcome(StrEnum):
    """What came of an episode's trigger so far."""

    PENDING = "Pending"
    FAILED = "Failed"
    DONE = "Done"


class TriggerStatus(StatusPart):
    """The one trigger of an episode. It stands here before it is run."""

    what: str = Field(max_length=63, description="Webhook, or the kind of what is made: Job, Workflow.")
    outcome: TriggerOutcome = Field(
        description="Pending: it is being run. Failed: it is run again at `nextAt`. Done: it need not be run "
        "again."
    )
    attempts: int = Field(default=0, ge=0, description="How often it was run, as far as is known.")
    message: str = Field(default="", max_length=1024, description="What came of the last attempt.")
    at: datetime = Field(description="When the outcome was learned.")
    next_at: datetime | None = Field(default=None, description="When a failed one is run again.")


class EpisodeMetric(StatusPart):
    """Why retraining is recommended: one metric as it stood when it breached."""

    name: str = Field(max_length=40, description="As in spec.")
    category: Category = Field(description="Input or Output.")
    value: str | None = Field(default=None, max_length=40, description="Its value, with its unit.")
    samples: int | None = Field(default=None, ge=0, description="Observations behind the value.")
    window: str = Field(max_length=32, description="Span over which the value was taken.")
    statistic: str = Field(max_length=64, description="What found the breach.")
    reference: str = Field(max_length=128, description="What it was compared with.")
    message: str = Field(max_length=1024, description="All of it in a sentence.")
    at: datetime = Field(description="When the breach was found.")


class Episode(StatusPart):
    """A recommendation to retrain that stands."""

    id: str = Field(max_length=15, description="Names it, e.g. 20261122-120000, when it began in UTC.")
    started_at: datetime = Field(description="When it began.")
    revision: str = Field(max_length=63, description="The revision that no longer fits.")
    model_version: str = Field(max_length=63, description="Its `spec.model.version`.")
    metrics: list[EpisodeMetric] = Field(default_factory=list, max_length=8, description="The evidence.")
    data_from: datetime | None = Field(
        default=None,
        description="What was asked from here on no longer fits: where to begin in the payload log.",
    )
    data_to: datetime | None = Field(default=None, description="The end of what was judged.")
    quiet_since: datetime | None = Field(
        default=None, description="Since when its metrics pass again, if they do."
    )
    trigger: TriggerStatus | None = Field(default=None, description="What was run because of it.")


class EpisodeEnd(StrEnum):
    """How an episode ended."""

    RETRAINED = "Retrained"
    ACKNOWLEDGED = "Acknowledged"
    RECOVERED = "Recovered"


class EndedEpisode(StatusPart):
    """The latest episode that has ended; the next one waits for the cool-down after it."""

    id: str = Field(max_length=15, description="Its name.")
    started_at: datetime = Field(description="When it began.")
    ended_at: datetime = Field(description="When it ended.")
    reason: EpisodeEnd = Field(description="Retrained, Acknowledged or Recovered.")
    message: str = Field(max_length=1024, description="Why, in a sentence.")


class RetrainingStatus(StatusPart):
    """Episodes of recommended retraining; there is one at a time."""

    episode: Episode | None = Field(default=None, description="The one that stands.")
    last: EndedEpisode | None = Field(default=None, description="The latest that has ended.")
