"""Each intent in each situation: accepted or refused, with the sentence that its author reads."""

from dataclasses import replace

import pytest

from modeldeploy.api.v1alpha1.rollout import Control, Intent
from modeldeploy.api.v1alpha1.status import IntentStatus, Undone
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Snapshot, Workload
from modeldeploy.core.traffic import INCUMBENT, shares
from unit.core.build import (
    NOW,
    ago,
    candidate,
    later,
    observed,
    passing,
    ready,
    rejected,
    rev,
    snapshot,
    starting,
    status,
)

pytestmark = pytest.mark.unit

BOTH = {"v1": ready(), "v2": ready()}
ASKING = ({"weight": 10, "hold": "1m", "approval": "Required"}, {"weight": 50, "hold": "1m"})
AT_REST = snapshot("v1")
STARTING = snapshot("v2", status(candidate=starting()), observed({"v1": ready()}))
ON_TRIAL = snapshot("v2", status(candidate=candidate("v2")), observed(BOTH), says=[passing()])
WAITING = snapshot(
    "v2",
    status(candidate=candidate("v2", since=ago(hours=1))),
    observed(BOTH),
    says=[passing()],
    steps=ASKING,
)
LEAVING = snapshot(
    "v3", status(candidate=candidate("v2")), observed(BOTH), says=[passing()], onSupersede="StraightOn"
)
FIRST = snapshot("v1", status(candidate=starting("v1"), stable=None), observed({}, revisions=["v1"]))
ENDED = snapshot("v2", status(rejected=rejected("v2")), observed(BOTH))


def asks(before: Snapshot, name: str, revision: str, nonce: str | None = None) -> Snapshot:
    assert before.spec
    control = Control(**{name: Intent(revision=revision, nonce=nonce)})
    rollout = before.spec.rollout.model_copy(update={"control": control})
    return replace(before, spec=before.spec.model_copy(update={"rollout": rollout}))


def answer(before: Snapshot) -> tuple[bool, str]:
    (told,) = decide(before).status.control
    return told.accepted, told.message


AGAIN = "approve with another nonce when a step waits for it"
NOT_ON_TRIAL = "revision revv2 is not on trial; no rollout is in progress"
LEAVES = "spec names another version by now, which takes the place of version v2"


@pytest.mark.parametrize(
    ("before", "name", "revision", "said"),
    [
        (ON_TRIAL, "abort", "v2", (True, "version v2 is ended")),
        (STARTING, "abort", "v2", (True, "version v2 is ended")),
        (AT_REST, "abort", "v2", (False, NOT_ON_TRIAL)),
        (ON_TRIAL, "abort", "v9", (False, "revision revv9 is not on trial; revision revv2 is")),
        (
            FIRST,
            "abort",
            "v1",
            (
                False,
                "it is the first version, there is none to return to; delete the object or change spec.model",
            ),
        ),
        (WAITING, "approve", "v2", (True, "step 1 may end")),
        (WAITING, "approve", "v1", (False, "revision revv1 is not on trial; revision revv2 is")),
        (
            ON_TRIAL,
            "approve",
            "v2",
            (
                False,
                "step 1 of 2 needs no approval; approve with another nonce when a step waits for it",
            ),
        ),
        (
            STARTING,
            "approve",
            "v2",
            (
                False,
                f"its pods still start, which needs no approval; {AGAIN}",
            ),
        ),
        (AT_REST, "approve", "v2", (False, NOT_ON_TRIAL)),
        (LEAVING, "approve", "v2", (False, LEAVES)),
        (ON_TRIAL, "promote", "v2", (True, "version v2 skips the rest of its steps")),
        (AT_REST, "promote", "v2", (False, NOT_ON_TRIAL)),
        (LEAVING, "promote", "v2", (False, LEAVES)),
        (
            FIRST,
            "promote",
            "v1",
            (False, "it is the first version and is served as soon as it is ready anyway"),
        ),
        (ENDED, "retry", "v2", (True, "version v2 is tried again")),
        (
            ENDED,
            "retry",
            "v1",
            (False, "spec names revision revv2, not revv1; change spec.model to try that"),
        ),
        (
            ON_TRIAL,
            "retry",
            "v2",
            (False, "revision revv2 was neither rolled back, aborted nor undone: nothing to retry"),
        ),
        (ON_TRIAL, "undo", "v1", (True, "a human went back to version v1")),
        (ENDED, "undo", "v1", (False, "revision revv1 is stable already")),
        (
            ON_TRIAL,
            "undo",
            "v2",
            (False, "spec names revision revv2 itself; use retry if it was rolled back or undone"),
        ),
        (ON_TRIAL, "undo", "v7", (False, "no revision revv7 is kept; kept are: revv1, revv2")),
    ],
)
def test_what_comes_of_it(before: Snapshot, name: str, revision: str, said: tuple[bool, str]) -> None:
    assert answer(asks(before, name, rev(revision))) == said


@pytest.mark.parametrize("name", ["abort", "undo", "retry", "approve", "promote"])
def test_what_was_answered_before_acts_no_more(name: str) -> None:
    """As in Git, where it stays for ever; the answer stays too."""
    known = IntentStatus(
        intent=name, revision=rev("v2"), nonce="a", accepted=False, message="not then", at=ago(days=1)
    )
    before = replace(ON_TRIAL, status=ON_TRIAL.status.model_copy(update={"control": [known]}))
    decision = decide(asks(before, name, rev("v2"), nonce="a"))
    assert decision.status.control == [known]
    assert decision.events == ()
    assert answer(asks(before, name, rev("v2"), nonce="b"))[1] != "not then"


def test_an_undo_is_one_change_of_traffic_and_holds_until_spec_names_another() -> None:
    before = asks(ON_TRIAL, "undo", rev("v1"))
    decision = decide(before)
    assert shares(decision.status) == {rev("v1"): 100}
    assert decision.status.undone == Undone(revision=rev("v2"), to=rev("v1"), model_version="v1")
    assert decide(later(before, decision)).status.candidate is None
    third = replace(later(before, decision), target=snapshot("v3").target, spec=snapshot("v3").spec)
    assert decide(third).status.undone is None


def test_an_aborted_way_back_leaves_spec_untried() -> None:
    undone = Undone(revision=rev("v2"), to=rev("v0"), model_version="v0")
    back = snapshot("v2", status(candidate=starting("v0"), undone=undone), observed({"v1": ready()}))
    decision = decide(asks(back, "abort", rev("v0")))
    assert (decision.status.undone, decision.status.candidate) == (None, None)
    assert decision.status.rejected
    assert decision.status.rejected.revision == rev("v2")
    assert decision.status.rejected.message == "going back to version v0 instead was ended"


def test_undo_leads_back_to_the_incumbent() -> None:
    seen = observed({"v1": ready()})
    seen = replace(seen, workloads={**seen.workloads, INCUMBENT: Workload(wanted=1, ready=1)})
    before = snapshot("v1", None, seen, traffic={"incumbent": {"service": "before"}})
    assert shares(decide(asks(before, "undo", INCUMBENT)).status) == {INCUMBENT: 100}


def test_a_lost_status_leaves_old_intents_without_effect_but_an_undo_in_force() -> None:
    seen = observed(BOTH, recorded_stable=rev("v1"))
    lost = snapshot("v2", status(), seen)
    aborts = decide(asks(lost, "abort", rev("v2")))
    assert [one.accepted for one in aborts.status.control] == [False]
    undo = decide(asks(lost, "undo", rev("v1")))
    assert undo.status.undone
    assert undo.status.candidate is None


def test_a_suspended_object_answers_no_intent() -> None:
    before = replace(ON_TRIAL, spec=snapshot("v2", suspend=True).spec)
    decision = decide(asks(before, "abort", rev("v2")))
    assert decision.status.control == []
    assert decision.status.candidate == ON_TRIAL.status.candidate
    assert decision.status.message == "version v1 serves; nothing is changed while spec.suspend is true"
    assert before.now == NOW


def test_undo_to_an_incumbent_that_is_not_yet_stable_brings_nothing_in() -> None:
    seen = observed({})
    seen = replace(seen, workloads={INCUMBENT: Workload(wanted=1, ready=1)})
    before = snapshot("v1", status(), seen, traffic={"incumbent": {"service": "before"}})
    now = decide(asks(before, "undo", INCUMBENT)).status
    assert shares(now) == {INCUMBENT: 100}
    assert (now.candidate, now.previous) == (None, None)
