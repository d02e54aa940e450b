"""`onBreach.afterRollout: Rollback`: back to the version before, once, while it is kept."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.api.v1alpha1.status import Outcome, Phase, Undone, Verdict
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.cause import Who
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.traffic import shares
from unit.core.build import (
    ERRORS,
    MISSING,
    NOW,
    NULLS,
    TRAFFIC,
    breach,
    later,
    observed,
    passing,
    previous,
    ready,
    rev,
    snapshot,
    stable,
    status,
    unready,
)

pytestmark = pytest.mark.unit

METRICS = (NULLS, ERRORS, MISSING)
BOTH = {"v1": ready(), "v2": ready()}
BACK = {rev("v1"): 100}
STAYS = {rev("v2"): 100}
SEEN = breach(who=Who.STABLE)


def promoted(
    *says: Assessment, now_is: Mapping[str, Any] | None = None, version: str = "v2", **written: Any
) -> Snapshot:
    """A version that was promoted; the one before it is still warm."""
    known = {"stable": stable("v2"), "previous": previous("v1"), **(now_is or {})}
    after = {"after": "Rollback", "metrics": METRICS, **written}
    return snapshot(version, status(**known), observed(BOTH), says=says or (SEEN,), **after)


def test_all_traffic_goes_back_in_one_change_and_no_pod_starts() -> None:
    before = promoted()
    decision = decide(before)
    assert shares(decision.status) == BACK
    assert decision.status.traffic_generation == TRAFFIC + 1
    assert decision.sizes == {rev("v1"): 2}
    assert rev("v2") in decision.leaving
    assert (decision.status.candidate, decision.status.previous) == (None, None)


def test_people_are_told_why() -> None:
    decision = decide(promoted())
    entry = decision.status.history[0]
    assert (entry.model_version, entry.outcome, entry.reason) == (
        "v2",
        Outcome.ROLLED_BACK,
        "BreachedAfterRollout",
    )
    assert entry.message == "nulls 24% of 412 answers (max 5%)"
    assert [one.verdict for one in entry.evidence] == [Verdict.BREACH]
    assert decision.status.phase is Phase.ROLLING_BACK
    assert "version v2 was rolled back: nulls 24% of 412 answers (max 5%), after its rollout" in (
        decision.status.message
    )
    told = {one.reason: one.message for one in decision.events}
    assert told["RolledBack"] == (
        "version v2 breached after its rollout: nulls 24% of 412 answers (max 5%); all traffic back to v1"
    )


def test_it_neither_swings_back_nor_is_tried_again() -> None:
    before = promoted()
    first = decide(before)
    for minutes in (1, 10, 600):
        seen = replace(before.observed, routers=replace(before.observed.routers, serving=TRAFFIC + 9))
        at = NOW + timedelta(minutes=minutes)
        for says in (SEEN, passing()):
            again = decide(later(before, first, assessments=(says,), observed=seen, now=at))
            assert (shares(again.status), again.status.candidate) == (BACK, None)
            assert again.status.rejected == first.status.rejected


def test_a_world_that_breaches_the_older_one_too_is_flagged() -> None:
    before = promoted()
    first = decide(before)
    again = decide(later(before, first, assessments=(SEEN,)))
    assert "RetrainingRecommended" in {one.type for one in again.status.conditions}


STAY: Mapping[str, tuple[Snapshot, str | None]] = {
    "nobody asked for it": (promoted(after="FlagRetraining"), None),
    "nothing is kept": (promoted(now_is={"previous": None}), "no version is kept any more to go back to"),
    "keepPrevious is over": (
        promoted(now_is={"previous": previous("v1", NOW)}),
        "no version is kept any more to go back to",
    ),
    "inputs moved as well": (
        promoted(SEEN, breach("missing", Category.INPUT, Who.STABLE)),
        "inputs have moved, which version v1 would get as well",
    ),
    "only inputs moved": (
        promoted(breach("missing", Category.INPUT, Who.STABLE)),
        "inputs have moved, which version v1 would get as well",
    ),
    "there is no count": (promoted(breach(who=Who.UNSURE)), "there is only a number, without a count behind"),
    "a human went back to it": (
        promoted(
            now_is={"undone": Undone(revision=rev("v9"), to=rev("v2"), model_version="v2")}, version="v9"
        ),
        "version v1 was left on purpose",
    ),
    "its pods are gone": (
        replace(promoted(), observed=observed({"v1": unready(1), "v2": ready()})),
        "version v1 has too few ready pods to answer everything",
    ),
    "it is the newer one": (
        replace(promoted(), observed=observed({"v2": ready(), "v1": ready()})),
        "version v1 was left on purpose",
    ),
}


@pytest.mark.parametrize(("before", "why"), STAY.values(), ids=STAY)
def test_what_rolls_nothing_back(before: Snapshot, why: str | None) -> None:
    decision = decide(before)
    assert shares(decision.status) == STAYS
    if not decision.status.undone:
        assert (f"; not rolled back: {why}" in decision.status.message) == (why is not None)


def test_what_cannot_go_back_is_flagged() -> None:
    decision = decide(promoted(now_is={"previous": None}))
    assert "RetrainingRecommended" in {one.type for one in decision.status.conditions}


def test_without_a_breach_nothing_happens() -> None:
    assert shares(decide(promoted(passing())).status) == STAYS
