"""A decision in the making: traffic generations, bounded lists."""

import json
from datetime import timedelta

import pytest

from modeldeploy.api.v1alpha1.base import dump
from modeldeploy.api.v1alpha1.status import MetricStatus, ModelDeploymentStatus, Outcome, Verdict
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.draft import DRAINING_LIMIT, EVIDENCE_LIMIT, HISTORY_LIMIT, Draft, clip
from modeldeploy.core.rollout import decide
from modeldeploy.core.traffic import shares
from unit.core.build import (
    NOW,
    TRAFFIC,
    ago,
    breach,
    candidate,
    draining,
    later,
    observed,
    ready,
    rev,
    snapshot,
    stable,
    starting,
    status,
)

pytestmark = pytest.mark.unit

DRAFT = Draft(status(candidate=candidate("v2", 10)))


def test_other_shares_make_a_new_traffic_generation() -> None:
    now = DRAFT.with_weights(stable(weight=50), candidate("v2", 50), NOW).status
    assert (now.traffic_generation, now.traffic_changed_at) == (TRAFFIC + 1, NOW)


@pytest.mark.parametrize("another", [candidate("v2", 10, step=2), candidate("v2", 10, since=ago(days=1))])
def test_the_same_shares_do_not(another: object) -> None:
    now = DRAFT.with_weights(stable(weight=90), another, NOW).status  # type: ignore[arg-type]
    assert now.traffic_generation == TRAFFIC
    assert now.candidate == another


def test_the_same_weights_of_another_revision_do() -> None:
    now = DRAFT.with_weights(stable(weight=90), candidate("v3", 10), NOW).status
    assert now.traffic_generation == TRAFFIC + 1


def test_shares_leave_out_what_gets_nothing() -> None:
    assert shares(status(candidate=starting("v2"))) == {rev("v1"): 100}
    assert shares(ModelDeploymentStatus()) == {}


def test_a_revision_drains_once_from_the_last_time_on() -> None:
    before = Draft(status(draining=[draining("a"), draining("b")]))
    draft = before.with_draining(rev("a"))
    found = [(entry.revision, entry.since) for entry in draft.status.draining]
    assert found == [(rev("b"), NOW), (rev("a"), None)]
    draft = DRAFT.with_draining("a").with_draining("b")
    assert [entry.revision for entry in draft.without_draining("b").status.draining] == ["a"]


def test_the_longest_drained_are_left_out_of_very_many() -> None:
    draft = DRAFT
    for number in range(DRAINING_LIMIT + 3):
        draft = draft.with_draining(f"r{number}")
    assert [entry.revision for entry in draft.status.draining] == [
        f"r{number}" for number in range(3, DRAINING_LIMIT + 3)
    ]


def test_what_is_left_out_of_the_list_is_not_retired_before_the_routers_follow() -> None:
    names = [f"v{number}" for number in range(2, DRAINING_LIMIT + 2)]
    full = status(candidate=candidate("v99"), draining=[draining(name) for name in names])
    seen = observed({name: ready() for name in ["v1", "v99", *names]})
    decision = decide(snapshot("v1", full, seen))
    assert rev("v2") not in decision.running
    assert decision.retired == frozenset()


def test_history_keeps_the_latest_and_evidence_of_few() -> None:
    draft = Draft(DRAFT.status.model_copy(update={"metrics": metrics(15)}))
    for number in range(HISTORY_LIMIT + 5):
        draft = draft.with_history(candidate(f"v{number}"), Outcome.ABORTED, "Why", "x" * 9999, now=NOW)
    history = draft.status.history
    assert [entry.model_version for entry in history] == [f"v{n}" for n in range(24, 4, -1)]
    assert [len(entry.evidence) for entry in history[:4]] == [15, 15, EVIDENCE_LIMIT - 30, 0]


def test_status_stays_small_after_many_rollouts_with_everything_at_its_longest() -> None:
    named = [
        {"name": f"m{number:02}" + "x" * 37, "category": "Output", "preset": "nullRatio", "max": "5%"}
        for number in range(32)
    ]
    says = tuple(
        Assessment(
            str(metric["name"]),
            breach().category,
            Verdict.BREACH,
            breach().who,
            "9" * 99,
            "9" * 99,
            10**7,
            "m" * 2000,
        )
        for metric in named
    )
    last = ModelDeploymentStatus()
    for number in range(HISTORY_LIMIT + 5):
        version = f"v{number:058}"
        on_trial = last.model_copy(
            update={"stable": stable(weight=90), "candidate": candidate(version), "rejected": None}
        )
        before = snapshot(
            version, on_trial, observed({"v1": ready(), version: ready()}), says=says, metrics=named
        )
        before = later(before, decide(before), now=NOW + timedelta(minutes=number))
        last = before.status
    assert len(last.history) == HISTORY_LIMIT
    assert len(json.dumps(dump(last))) < 64 * 1024


@pytest.mark.parametrize(("text", "expected"), [("", ""), ("abcd", "abcd"), ("abcde", "abc…")])
def test_clip(text: str, expected: str) -> None:
    assert clip(text, 4) == expected


def metrics(count: int) -> list[MetricStatus]:
    return [MetricStatus(name=f"m{number}", verdict=Verdict.PASS, at=NOW) for number in range(count)]
