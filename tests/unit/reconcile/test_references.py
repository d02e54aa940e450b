"""What references do to an object: its conditions, its status, and the ConfigMap that it keeps."""

from dataclasses import replace

import pytest

from modeldeploy.api.v1alpha1.monitoring import Category
from modeldeploy.api.v1alpha1.status import MetricStatus, ModelDeploymentStatus, Replaced, Verdict
from modeldeploy.core import naming
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.drift.buckets import Histogram
from modeldeploy.core.drift.reference import Reference
from modeldeploy.core.judgement import BEYOND_WARN
from modeldeploy.core.rollout import decide
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.traffic import INCUMBENT
from modeldeploy.reconcile.wanted import unwanted_objects
from modeldeploy.render.meta import Owner, is_owned
from modeldeploy.render.reference import config_map, is_snapshot, kept, name
from unit.core.build import NOW, observed, ready, rev, snapshot, stable, starting, status

pytestmark = pytest.mark.unit

OF = Owner("shop", "digits", "uid-1")
REPLACED = Replaced(revision="aaaa1111", model_version="v1", at=NOW)
REFERENCE = Reference({"model_input_size": (Histogram((1.0, float("inf")), (3.0, 4.0), 9.0), 1.5)})
LENGTH = {"name": "length", "category": "Input", "preset": "inputSize", "drift": {"fail": 0.25}}


def said(verdict: Verdict, reason: str = "", message: str = "length: something") -> Assessment:
    return Assessment("length", Category.INPUT, verdict, message=message, holds=False, reason=reason)


def settled(*assessments: Assessment, before: ModelDeploymentStatus | None = None) -> Snapshot:
    found = snapshot("v1", before or status(stable=stable()), observed({"v1": ready()}), metrics=[LENGTH])
    return replace(found, assessments=assessments)


def conditions(decided: ModelDeploymentStatus) -> dict[str, str]:
    return {one.type: one.reason for one in decided.conditions if one.status == "True"}


def test_a_reference_that_is_missing_is_a_condition_while_it_is() -> None:
    decided = decide(settled(said(Verdict.ERROR, "ReferenceMissing", "length: there is no ConfigMap"))).status
    found = {one.type: one for one in decided.conditions}
    assert found["MonitoringLimited"].reason == "ReferenceMissing"
    assert found["MonitoringLimited"].message == "length: there is no ConfigMap"
    assert conditions(decided)["Ready"]
    assert "DriftDetected" not in conditions(decided)
    mended = decide(settled(said(Verdict.PASS), before=decided)).status
    assert "MonitoringLimited" not in conditions(mended)
    assert mended.metrics[0].reason is None


def test_beyond_warn_is_told_once_and_limits_nothing() -> None:
    decision = decide(settled(said(Verdict.PASS, BEYOND_WARN, "length PSI 0.14")))
    assert [(one.reason, one.message) for one in decision.events] == [("MetricBeyondWarn", "length PSI 0.14")]
    assert decision.status.metrics[0].reason == BEYOND_WARN
    assert "MonitoringLimited" not in conditions(decision.status)
    again = decide(settled(said(Verdict.PASS, BEYOND_WARN), before=decision.status))
    assert again.events == ()
    assert again.status == decision.status


def test_what_falls_back_from_a_breach_below_fail_is_no_news() -> None:
    entry = MetricStatus(name="length", verdict=Verdict.BREACH, message="x", at=NOW)
    before = status(stable=stable()).model_copy(update={"metrics": [entry]})
    decision = decide(settled(said(Verdict.PASS, BEYOND_WARN), before=before))
    assert not any(one.reason == "MetricBeyondWarn" for one in decision.events)


def test_who_was_stable_before_is_kept_at_promotion() -> None:
    seen = observed({"v1": ready(), "v2": ready()})
    found = snapshot("v2", status(candidate=starting("v2")), seen, strategy="Immediate")
    decided = decide(found).status
    assert decided.stable is not None
    assert decided.stable.revision == rev("v2")
    assert decided.replaced == Replaced(revision=rev("v1"), model_version="v1", at=NOW)
    assert decide(replace(found, status=decided)).status.replaced == decided.replaced


def test_a_first_version_and_an_incumbent_leave_no_reference() -> None:
    first = snapshot("v1", status(stable=None, candidate=starting("v1")), observed({"v1": ready()}))
    assert decide(first).status.replaced is None
    unknown = stable("v0").model_copy(update={"revision": INCUMBENT})
    taken = snapshot(
        "v1",
        status(stable=unknown, candidate=starting("v1")),
        observed({"v1": ready()}),
        strategy="Immediate",
        traffic={"incumbent": {"service": "old", "port": 80}},
    )
    found = replace(
        taken, observed=replace(taken.observed, workloads={**taken.observed.workloads, INCUMBENT: ready()})
    )
    decided = decide(found).status
    assert decided.stable is not None
    assert decided.stable.revision == rev("v1")
    assert decided.replaced is None


def test_a_snapshot_is_read_as_it_was_written() -> None:
    made = config_map(OF, REPLACED, ["model_input_size", "model_input_brightness"], REFERENCE)
    assert made["metadata"]["name"] == name(OF) == "digits-reference"
    assert made["metadata"]["labels"][naming.REVISION] == "aaaa1111"
    assert is_owned(made["metadata"], OF)
    assert is_snapshot(made)
    assert kept(made, REPLACED, ["model_input_size"]) == REFERENCE
    assert kept(made, REPLACED, ["model_input_brightness"]) == REFERENCE
    assert kept(made, REPLACED, ["model_output_confidence"]) is None
    assert kept(made, REPLACED.model_copy(update={"revision": "bbbb2222"}), ["model_input_size"]) is None
    assert kept({**made, "data": {"reference.json": "{"}}, REPLACED, ["model_input_size"]) is None


@pytest.mark.parametrize(("metrics", "count"), [([LENGTH], 0), ([], 1)])
def test_a_snapshot_that_nobody_asks_for_goes(metrics: list[dict[str, object]], count: int) -> None:
    made = config_map(OF, REPLACED, ["model_input_size"], REFERENCE)
    found = snapshot("v1", status(stable=stable()), observed({"v1": ready()}), metrics=metrics)
    present = {("ConfigMap", made["metadata"]["name"]): made}
    assert found.spec is not None
    assert len(unwanted_objects(found.spec, {}, decide(found), present)) == count
