"""What must never happen: each has happened to users of other systems. One test per row of the design.

The rows about two operators, Secrets and URLs are the shell's and tested there.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from modeldeploy.api.v1alpha1.base import dump
from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.api.v1alpha1.rollout import Control, Intent
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus, Verdict
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Routers, Snapshot, Workload
from modeldeploy.core.steps import steps
from modeldeploy.core.traffic import shares
from unit.core.build import (
    NOW,
    TRAFFIC,
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
    spec,
    stable,
    starting,
    status,
    unready,
    waiting,
)

pytestmark = pytest.mark.unit

BOTH = {"v1": ready(), "v2": ready()}
SECOND = status(candidate=candidate("v2", weight=10, step=1, since=ago(hours=1)))


@pytest.mark.parametrize(
    ("pods", "share"),
    [(unready(0), 0), (Workload(wanted=2, ready=2, settled=False), 0), (unready(1), 0), (ready(2), 10)],
)
def test_weight_on_a_revision_that_is_not_ready(pods: Workload, share: int) -> None:
    decision = decide(snapshot("v2", status(candidate=starting()), observed({"v1": ready(), "v2": pods})))
    assert shares(decision.status).get(rev("v2"), 0) == share


@pytest.mark.parametrize(("left", "share"), [(4, 50), (2, 50), (1, 25)])
def test_weight_above_its_ready_capacity(left: int, share: int) -> None:
    on_trial = candidate("v2", weight=50, step=2).model_copy(update={"size": 4, "demand": 4})
    seen = observed({"v1": ready(4), "v2": Workload(wanted=4, ready=left)})
    decision = decide(snapshot("v2", status(candidate=on_trial), seen, replicas={"min": 4}))
    assert shares(decision.status) == {rev("v1"): 100 - share, rev("v2"): share}


def test_final_weight_set_before_the_pods_for_it_are_there() -> None:
    """Proportional: after the last step the candidate grows first, and is promoted only then."""
    on_trial = candidate("v2", weight=50, step=2, since=ago(hours=1))
    on_trial = on_trial.model_copy(update={"size": 1})
    seen = observed({"v1": ready(2), "v2": ready(1)})
    before = snapshot("v2", status(candidate=on_trial), seen, says=[passing()], scaling="Proportional")
    grows = decide(before)
    assert grows.sizes[rev("v2")] == 2
    assert shares(grows.status)[rev("v2")] == 50
    promoted = decide(later(before, grows, observed=observed(BOTH)))
    assert shares(promoted.status) == {rev("v2"): 100}


@pytest.mark.parametrize("serving", [TRAFFIC, None])
def test_stable_scaled_down_before_traffic_has_left_it(serving: int | None) -> None:
    last = status(candidate=candidate("v2", weight=50, step=2, since=ago(hours=1)))
    before = snapshot("v2", last, observed(BOTH), says=[passing()], keepPrevious="0s", drain="30s")
    promoted = decide(before)
    behind = observed(BOTH, routers=Routers(ready=2, serving=serving))
    days_later = decide(later(before, promoted, observed=behind, now=NOW + timedelta(days=1)))
    assert rev("v1") in days_later.running
    assert days_later.retired == frozenset()
    follow = observed(BOTH, routers=Routers(ready=2, serving=promoted.status.traffic_generation))
    drains = decide(later(before, days_later, observed=follow, now=NOW + timedelta(days=1)))
    assert drains.requeue_at == NOW + timedelta(days=1, seconds=30), "drain counts from when routers follow"
    gone = decide(later(before, drains, observed=follow, now=NOW + timedelta(days=1, seconds=30)))
    assert gone.retired == {rev("v1")}


def wants(before: Snapshot, **intents: Intent) -> Snapshot:
    assert before.spec
    rollout = before.spec.rollout.model_copy(update={"control": Control(**intents)})
    return replace(before, spec=before.spec.model_copy(update={"rollout": rollout}))


def test_abort_with_nothing_in_progress_scaling_stable_to_0() -> None:
    before = wants(snapshot("v1"), abort=Intent(revision=rev("v1")))
    decision = decide(before)
    assert decision.sizes == {rev("v1"): 2}
    assert shares(decision.status) == {rev("v1"): 100}
    refused = decision.status.control[0]
    assert (refused.accepted, refused.message) == (
        False,
        "revision revv1 is not on trial; no rollout is in progress",
    )


def test_abort_then_autoscaler_scaling_the_candidate_up_again() -> None:
    before = wants(snapshot("v2", SECOND, observed(BOTH)), abort=Intent(revision=rev("v2")))
    decision = decide(before)
    assert rev("v2") not in decision.sizes
    assert decision.leaving == {rev("v2")}
    again = decide(later(before, decision, now=NOW + timedelta(days=1)))
    assert again.status.candidate is None
    assert rev("v2") not in again.sizes


@pytest.mark.parametrize("verdict", [Verdict.NO_DATA, Verdict.INCONCLUSIVE])
def test_a_zero_sample_or_nan_analysis_counted_as_success(verdict: Verdict) -> None:
    late = NOW + timedelta(days=1)
    decision = decide(snapshot("v2", SECOND, observed(BOTH), says=[waiting(verdict)], now=late))
    assert shares(decision.status)[rev("v2")] == 10


def test_an_outage_of_the_metrics_store_counted_as_failure() -> None:
    late = NOW + timedelta(days=1)
    decision = decide(snapshot("v2", SECOND, observed(BOTH), says=[waiting(Verdict.ERROR)], now=late))
    assert shares(decision.status)[rev("v2")] == 10
    assert decision.status.rejected is None


@pytest.mark.parametrize("on_supersede", ["StableFirst", "StraightOn"])
def test_a_third_version_inheriting_the_seconds_verdicts(on_supersede: str) -> None:
    second = candidate("v2", weight=50, step=2, started=ago(hours=2), since=ago(hours=1))
    approved = second.model_copy(update={"approved": 2, "promoting": True})
    seen = observed({"v1": ready(), "v2": ready(), "v3": ready()})
    before = snapshot("v3", status(candidate=approved), seen, says=[passing()], onSupersede=on_supersede)
    third = decide(before).status.candidate
    assert third
    assert (third.revision, third.step, third.weight) == (rev("v3"), 1, 10)
    assert (third.approved, third.promoting, third.started_at) == (0, False, NOW)
    assert decide(before).status.metrics == []


@pytest.mark.parametrize("on_supersede", ["StableFirst", "StraightOn"])
def test_a_third_version_arriving_mid_rollout_giving_5xx(on_supersede: str) -> None:
    """Stable has lost its pods and the candidate answers everybody: it does until the third can."""
    second = status(candidate=candidate("v2", weight=100, step=2), stable=stable(weight=0))
    down = observed({"v1": unready(), "v2": ready()})
    before = snapshot("v3", second, down, onSupersede=on_supersede)
    decision = decide(before)
    assert shares(decision.status) == {rev("v2"): 100}
    assert decision.sizes[rev("v3")] == 2
    there = observed({"v1": unready(), "v2": ready(), "v3": ready()})
    assert shares(decide(later(before, decision, observed=there)).status) == {rev("v3"): 100}


def test_our_own_write_read_back_late_undoing_a_later_decision() -> None:
    """Traffic only ever goes forward: the generation that routers compare by grows with each change."""
    before = snapshot("v2", SECOND, observed(BOTH), says=[breach()])
    back = decide(before)
    assert back.status.traffic_generation == TRAFFIC + 1
    assert decide(later(before, back)).status == back.status


def test_an_operator_restart_repeating_skipping_or_resetting_a_step() -> None:
    since = ago(seconds=30)
    held = status(candidate=candidate("v2", weight=10, step=1, started=ago(hours=1), since=since))
    kept = ModelDeploymentStatus.model_validate(dump(held))
    found = decide(snapshot("v2", kept, observed(BOTH), says=[])).status.candidate
    assert found
    assert (found.step, found.step_started_at, found.started_at) == (1, since, ago(hours=1))


@pytest.mark.parametrize(
    ("strategy", "more", "first"),
    [
        ("Shadow", {}, (0, 100, False)),
        ("Canary", {}, (5, 0, False)),
        ("BlueGreen", {}, (0, 0, True)),
        ("BlueGreen", {"switch": "Gradual"}, (0, 0, True)),
    ],
)
def test_a_strategy_silently_ignored(
    strategy: str, more: dict[str, Any], first: tuple[int, int, bool]
) -> None:
    before = snapshot(
        "v2", status(candidate=starting()), observed(BOTH), strategy=strategy, steps=None, **more
    )
    found = decide(before).status.candidate
    assert found
    assert (found.weight, found.mirror, found.preview is not None) == first


def test_immediate_takes_all_at_once() -> None:
    before = snapshot("v2", status(candidate=starting()), observed(BOTH), strategy="Immediate")
    assert steps(spec(strategy="Immediate")) == ()
    assert shares(decide(before).status) == {rev("v2"): 100}


def test_a_rejected_version_tried_again_by_itself() -> None:
    before = snapshot("v2", status(rejected=rejected("v2")), observed(BOTH), now=NOW + timedelta(days=9))
    assert decide(before).status.candidate is None


def test_inputs_blaming_a_candidate() -> None:
    said = [passing(), breach("missing", Category.INPUT)]
    decision = decide(snapshot("v2", SECOND, observed(BOTH), says=said))
    assert decision.status.rejected is None
