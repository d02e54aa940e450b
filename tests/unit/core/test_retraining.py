"""Episodes of recommended retraining: when they begin, what they run, what ends them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from modeldeploy.api.v1alpha1.base import dump
from modeldeploy.api.v1alpha1.episode import EndedEpisode, Episode, EpisodeEnd, RetrainingStatus
from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.api.v1alpha1.status import Condition, ModelDeploymentStatus, Verdict
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.decision import Decision
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Attempt, Snapshot
from unit.core.build import (
    MISSING,
    NOW,
    NULLS,
    ago,
    breach,
    candidate,
    later,
    observed,
    passing,
    ready,
    rejected,
    rev,
    snapshot,
    stable,
    status,
    unreadable,
    waiting,
)

pytestmark = pytest.mark.unit

ID = "20261122-120000"
MANUAL: Mapping[str, Any] = {"cooldown": "1h"}
HOOK = {"webhook": {"url": "https://pipelines.example.org/retrain"}}
AUTOMATIC: Mapping[str, Any] = {"mode": "Automatic", "cooldown": "1h", "trigger": HOOK}
HOUR = timedelta(hours=1)
BOTH = {"v1": ready(), "v2": ready()}


def look(
    now_is: ModelDeploymentStatus | None = None,
    says: Assessment | None = None,
    *,
    version: str = "v1",
    now: datetime = NOW,
    retraining: Mapping[str, Any] | None = MANUAL,
    attempt: Attempt | None = None,
    metric: Mapping[str, Any] = NULLS,
    **others: Any,
) -> Snapshot:
    return snapshot(
        version,
        now_is or status(stable=stable()),
        observed(BOTH, attempt=attempt),
        says=[says or breach()],
        now=now,
        metrics=[metric],
        retraining=retraining,
        **others,
    )


def begun(retraining: Mapping[str, Any] = MANUAL) -> Decision:
    return decide(look(retraining=retraining))


def episode(of: Decision) -> Episode:
    assert of.status.retraining
    assert of.status.retraining.episode
    return of.status.retraining.episode


def last(of: Decision) -> EndedEpisode:
    assert of.status.retraining
    assert of.status.retraining.episode is None
    assert of.status.retraining.last
    return of.status.retraining.last


def recommendation(of: Decision) -> Condition | None:
    return next((one for one in of.status.conditions if one.type == "RetrainingRecommended"), None)


def told(of: Decision) -> list[str]:
    return [event.reason for event in of.events if event.reason.startswith("Retraining")]


def next_look(after: Decision, **changes: Any) -> Snapshot:
    kept = ModelDeploymentStatus.model_validate(dump(after.status))
    return look(kept, **changes)


def attempt(number: int = 1, *, done: bool = True, message: str = "said", at: datetime = NOW) -> Attempt:
    return Attempt(ID, number, "Webhook", done, message, at)


def test_without_the_field_the_flag_stands_while_the_breach_does() -> None:
    flagged = decide(look(retraining=None))
    assert flagged.status.retraining is None
    assert recommendation(flagged)
    assert told(flagged) == []
    assert recommendation(decide(later(look(retraining=None), flagged, assessments=(passing(),)))) is None


def test_a_trigger_that_cannot_be_run_holds_nothing() -> None:
    fault = "spec.retraining.trigger.webhook.url: nowhere is not on the operator's allow-list"
    asked = look(retraining=AUTOMATIC)
    asked = replace(asked, observed=replace(asked.observed, untriggerable=fault))
    decision = decide(asked)
    assert (decision.run, episode(decision).trigger) == (None, None)
    told_of = {one.type: one for one in decision.status.conditions}
    trigger = told_of["RetrainingReady"]
    assert (trigger.status, trigger.reason, trigger.message) == ("False", "InvalidTrigger", fault)
    assert told_of["Ready"].status == "True"
    assert "its trigger can't be run, see RetrainingReady" in told_of["RetrainingRecommended"].message
    assert [one.message for one in decision.events if one.reason == "InvalidTrigger"] == [fault]
    again = decide(later(asked, decision))
    assert again.events == ()
    mended = decide(later(asked, decision, observed=observed(BOTH)))
    assert mended.run
    assert {one.type: one.reason for one in mended.status.conditions}["RetrainingReady"] == "TriggerAccepted"


def test_without_a_trigger_none_is_ready() -> None:
    assert "RetrainingReady" not in {one.type for one in begun().status.conditions}


def test_an_annotation_acknowledges() -> None:
    first = begun()
    for other in (None, "20261121-120000"):
        assert episode(decide(replace(next_look(first), acknowledged=other)))
    closed = decide(replace(next_look(first, says=passing()), acknowledged=ID))
    assert last(closed).reason is EpisodeEnd.ACKNOWLEDGED


def test_an_episode_names_the_data_that_no_longer_fits() -> None:
    first = begun()
    assert (episode(first).data_from, episode(first).data_to) == (ago(minutes=2), NOW)


@pytest.mark.parametrize(
    ("trigger", "what"),
    [
        ({"webhook": {"url": "https://pipelines.example.org/"}}, "Webhook"),
        ({"job": {"template": {}}}, "Job"),
        ({"object": {"template": {"kind": "Workflow"}}}, "Workflow"),
        ({"object": {"template": {}}}, "Object"),
    ],
)
def test_what_is_run_is_named(trigger: Mapping[str, Any], what: str) -> None:
    found = episode(begun({**AUTOMATIC, "trigger": trigger})).trigger
    assert found
    assert found.what == what


def test_a_breach_begins_an_episode_with_its_evidence() -> None:
    decision = begun()
    found = episode(decision)
    assert (found.id, found.revision, found.model_version) == (ID, "revv1", "v1")
    (metric,) = found.metrics
    assert (metric.name, metric.category, metric.value, metric.samples) == (
        "nulls",
        Category.OUTPUT,
        "24%",
        412,
    )
    assert (metric.window, metric.reference) == ("2m", "max 5%")
    assert metric.statistic == "Shiryaev-Roberts e-detector"
    assert told(decision) == ["RetrainingRecommended"]
    condition = recommendation(decision)
    assert condition
    assert condition.message == (
        f"nulls 24% of 412 answers (max 5%). Episode {ID}: promote a retrained version, "
        f"or acknowledge it by the annotation modeldeploy.dev/acknowledge={ID}"
    )
    assert decision.run is None


@pytest.mark.parametrize(
    "before",
    [
        look(says=passing()),
        look(
            says=breach("errors", Category.SOFTWARE),
            metric={**NULLS, "name": "errors", "category": "Software"},
        ),
        look(status(candidate=candidate()), version="v2"),
        look(status(rejected=rejected("v2")), version="v2"),
        look(suspend=True),
        replace(look(), invalid="spec.retraining.trigger.webhook.url: not allowed"),
        look(after="Notify"),
    ],
    ids=["passes", "software", "a candidate's", "just rolled back", "suspended", "invalid", "told only"],
)
def test_what_begins_no_episode(before: Snapshot) -> None:
    decision = decide(before)
    assert decision.status.retraining is None
    assert told(decision) == []


def test_it_stays_while_the_metric_hovers_about_its_bound() -> None:
    decision = begun()
    for minutes in range(1, 7):
        says = passing() if minutes % 2 else breach()
        decision = decide(next_look(decision, says=says, now=NOW + timedelta(minutes=minutes)))
        assert episode(decision).id == ID
        assert recommendation(decision)
        assert told(decision) == []


def test_another_metric_adds_to_the_evidence() -> None:
    decision = decide(next_look(begun(), says=breach("missing", Category.INPUT), metric=MISSING))
    assert [metric.name for metric in episode(decision).metrics] == ["nulls", "missing"]


def test_it_ends_when_its_metrics_pass_for_the_cool_down() -> None:
    calm = decide(next_look(begun(), says=passing()))
    assert calm.requeue_at == NOW + HOUR
    almost = decide(next_look(calm, says=passing(), now=NOW + HOUR - timedelta(seconds=1)))
    assert episode(almost).quiet_since == NOW
    over = decide(next_look(almost, says=passing(), now=NOW + HOUR))
    assert (last(over).id, last(over).reason) == (ID, EpisodeEnd.RECOVERED)
    assert last(over).message == "its metrics have passed for 1h"
    assert told(over) == ["RetrainingClosed"]
    assert recommendation(over) is None


@pytest.mark.parametrize("verdict", [Verdict.NO_DATA, Verdict.ERROR, Verdict.INCONCLUSIVE])
def test_silence_neither_begins_nor_ends_the_calm(verdict: Verdict) -> None:
    silent = decide(next_look(begun(), says=waiting(verdict)))
    assert episode(silent).quiet_since is None
    calm = decide(next_look(begun(), says=passing()))
    silent = decide(next_look(calm, says=waiting(verdict), now=NOW + timedelta(minutes=5)))
    assert episode(silent).quiet_since == NOW
    assert episode(decide(next_look(calm, says=waiting(verdict), now=NOW + HOUR))).id == ID


def test_a_trial_that_was_ended_proves_nothing_of_stable() -> None:
    calm = decide(next_look(begun(), says=passing()))
    left = calm.status.model_copy(update={"metrics": []})
    before = replace(look(left, now=NOW + 2 * HOUR), assessments=())
    assert episode(decide(before)).id == ID


def test_a_breach_ends_the_calm() -> None:
    calm = decide(next_look(begun(), says=passing()))
    assert episode(decide(next_look(calm, now=NOW + HOUR))).quiet_since is None


def test_a_metric_that_spec_no_longer_names_keeps_nothing_open() -> None:
    calm = decide(next_look(begun(), says=passing("missing", Category.INPUT), metric=MISSING))
    assert episode(calm).quiet_since == NOW


def test_a_human_acknowledges_it_by_its_id() -> None:
    other = decide(next_look(begun(), retraining={**MANUAL, "acknowledge": "20251122-120000"}))
    assert episode(other).id == ID
    ended = decide(next_look(other, retraining={**MANUAL, "acknowledge": ID}))
    assert last(ended).reason is EpisodeEnd.ACKNOWLEDGED
    assert recommendation(ended) is None


def test_none_begins_during_the_cool_down() -> None:
    known = RetrainingStatus(
        last=EndedEpisode(
            id="20261122-090000",
            started_at=ago(hours=3),
            ended_at=ago(minutes=30),
            reason=EpisodeEnd.ACKNOWLEDGED,
            message="a human acknowledged it",
        )
    )
    waits = decide(look(status(stable=stable(), retraining=known)))
    assert last(waits).id == "20261122-090000"
    assert recommendation(waits) is None
    assert waits.requeue_at == NOW + timedelta(minutes=30)
    assert episode(decide(next_look(waits, now=NOW + timedelta(minutes=30)))).id == "20261122-123000"


def test_a_newer_version_ends_it_once_promoted() -> None:
    before = begun()
    trial = before.status.model_copy(
        update={"candidate": candidate("v2", weight=0, step=0), "stable": stable(), "metrics": []}
    )
    on_trial = decide(look(trial, passing(), version="v2"))
    assert episode(on_trial).id == ID
    promoted = before.status.model_copy(update={"stable": stable("v2"), "metrics": []})
    ended = decide(look(promoted, passing(), version="v2"))
    assert (last(ended).reason, last(ended).message) == (EpisodeEnd.RETRAINED, "version v2 is promoted")


def test_a_return_to_an_older_version_does_not() -> None:
    newer = decide(look(status(stable=stable("v2")), version="v2"))
    assert episode(newer).revision == rev("v2")
    returned = newer.status.model_copy(update={"stable": stable("v1"), "metrics": []})
    assert episode(decide(look(returned, passing()))).id == ID


def test_taking_the_field_away_ends_everything() -> None:
    assert decide(next_look(begun(AUTOMATIC), retraining=None)).status.retraining is None


def test_a_spec_that_cannot_be_read_keeps_it() -> None:
    decision = decide(unreadable(next_look(begun(AUTOMATIC))))
    assert episode(decision).id == ID
    assert recommendation(decision)
    assert decision.run is None


def test_the_intent_stands_in_status_before_the_trigger_is_run() -> None:
    decision = begun(AUTOMATIC)
    trigger = episode(decision).trigger
    assert trigger
    assert (trigger.what, trigger.outcome, trigger.attempts) == ("Webhook", "Pending", 0)
    assert decision.run
    assert (decision.run.episode.id, decision.run.attempt) == (ID, 1)


def test_an_operator_that_died_before_it_knew_runs_it_again_under_the_same_key() -> None:
    again = decide(next_look(begun(AUTOMATIC), retraining=AUTOMATIC))
    assert again.run
    assert (again.run.episode.id, again.run.attempt) == (ID, 1)


def test_once_done_it_is_never_run_again() -> None:
    done = decide(next_look(begun(AUTOMATIC), retraining=AUTOMATIC, attempt=attempt()))
    trigger = episode(done).trigger
    assert trigger
    assert (trigger.outcome, trigger.attempts, trigger.message) == ("Done", 1, "said")
    assert done.run is None
    assert told(done) == ["RetrainingTriggered"]
    much_later = decide(next_look(done, retraining=AUTOMATIC, now=NOW + timedelta(days=9)))
    assert (much_later.run, told(much_later)) == (None, [])


def test_a_failed_one_is_run_again_later_and_later() -> None:
    decision, now, pauses = begun(AUTOMATIC), NOW, []
    for number in range(1, 10):
        failed = attempt(number, done=False, message="HTTP 500", at=now)
        decision = decide(next_look(decision, retraining=AUTOMATIC, attempt=failed, now=now))
        trigger = episode(decision).trigger
        assert trigger
        assert trigger.next_at
        assert decision.run is None
        assert decision.requeue_at == trigger.next_at
        assert told(decision) == (["RetrainingTriggerFailed"] if number == 1 else [])
        pauses.append((trigger.next_at - now).total_seconds())
        now = trigger.next_at
        decision = decide(next_look(decision, retraining=AUTOMATIC, attempt=failed, now=now))
        assert decision.run
        assert decision.run.attempt == number + 1
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 600, 600]


def test_what_came_of_an_attempt_at_another_episode_means_nothing() -> None:
    other = replace(attempt(), episode="20251122-120000")
    decision = decide(next_look(begun(AUTOMATIC), retraining=AUTOMATIC, attempt=other))
    assert decision.run
    assert told(decision) == []


def test_manual_runs_nothing_and_automatic_takes_up_what_waited() -> None:
    waits = begun({**AUTOMATIC, "mode": "Manual"})
    assert (waits.run, episode(waits).trigger) == (None, None)
    taken_up = decide(next_look(waits, retraining=AUTOMATIC))
    assert taken_up.run
    assert decide(next_look(taken_up, retraining=MANUAL)).run is None
    assert decide(next_look(taken_up, retraining=AUTOMATIC, suspend=True)).run is None
