from datetime import UTC, datetime

import pytest

from modeldeploy.cli.look import Share, read
from unit.cli.rollouts import digits, ended, on_trial

pytestmark = pytest.mark.unit


def test_a_rollout_is_read_with_its_shares_and_verdicts() -> None:
    look = read(on_trial(10, nulls="Breach"))
    assert look.shares == (Share("stable", "v1", "1f614960", 90), Share("candidate", "v2", "d227f256", 10))
    assert look.candidate == look.shares[1]
    assert look.progress == "1/2"
    assert [(entry.name, entry.verdict, entry.stable) for entry in look.metrics] == [
        ("p95", "Pass", "11 ms"),
        ("nulls", "Breach", ""),
    ]
    assert not look.ready


def test_ready_must_speak_of_the_present_spec() -> None:
    assert read(digits()).ready
    outdated = {"type": "Ready", "status": "True", "reason": "Promoted", "observedGeneration": 1}
    assert not read(digits(conditions=[outdated])).ready


def test_an_object_that_no_operator_has_seen_is_empty() -> None:
    look = read({"metadata": {"namespace": "ns", "name": "new"}})
    assert (look.phase, look.shares, look.metrics, look.history, look.ready) == ("", (), (), (), False)


def test_the_replaced_revision_comes_last_and_gets_nothing() -> None:
    look = read(digits(previous={"revision": "aa", "modelVersion": "v0", "until": "2026-11-22T16:00:00Z"}))
    assert look.shares[-1] == Share("previous", "v0", "aa", 0)


def test_the_latest_end_of_a_version_counts() -> None:
    look = read(digits(history=[ended("Promoted"), ended("RolledBack", at="2026-11-21T00:00:00Z")]))
    found = look.ended("v2")
    assert found is not None
    assert found.outcome == "Promoted"
    assert found.at == datetime(2026, 11, 22, 15, 9, 33, 985779, tzinfo=UTC)
    assert look.ended("v3") is None


def test_a_candidate_whose_pods_start_is_in_no_step() -> None:
    starting = {"revision": "d2", "modelVersion": "v2", "weight": 0, "step": 0, "progress": "0/2"}
    assert read(digits(candidate=starting)).progress == ""
    assert read(digits(candidate={**starting, "step": 1, "progress": "1/2"})).progress == "1/2"
