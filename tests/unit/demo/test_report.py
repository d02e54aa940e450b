from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from demo.cases import CASES
from demo.observer import Seen
from demo.report import Facts, crowded, figures, problems, restarts, tell, timeline
from digits.load_stats import RevisionSeen, Snapshot
from modeldeploy.cli.look import read
from unit.cli.rollouts import digits, ended
from unit.demo.snapshots import snapshot

pytestmark = pytest.mark.unit

START = 1_795_360_000.0


def at(seconds: float) -> str:
    return datetime.fromtimestamp(START + seconds, UTC).isoformat()


BAD = ended("RolledBack", at=at(40), modelVersion="v2-nulls", revision="bad")
GOOD = ended("Promoted", at=at(90), modelVersion="v3", revision="good", reason="Passed")


def load(**fields: Any) -> Snapshot:
    bad = RevisionSeen(
        answers=60,
        ok=60,
        nulls=20,
        first_answer=START + 20,
        last_answer=START + 40.3,
        last_sent=START + 40.1,
    )
    whole = {
        "seconds": 85.0,
        "sent": 4250,
        "ok": 4250,
        "outputs": 10_000,
        "nulls": 20,
        "revisions": {"bad": bad},
    }
    return snapshot(**{**whole, **fields})


def facts(*history: dict[str, str], case: str = "nulls", **fields: Any) -> Facts:
    on_trial = digits(
        stable={"revision": "1f", "modelVersion": "v1", "weight": 90},
        candidate={"revision": "bad", "modelVersion": "v2-nulls", "weight": 10, "step": 1},
    )
    seen = [
        Seen(START + 8, read(digits())),
        Seen(START + 20, read(on_trial)),
        Seen(START + 21, read(on_trial)),
        Seen(START + 91, read(digits(history=list(history)))),
    ]
    whole = {
        "applied": {"v1": START, "v2-nulls": START + 15, "v3": START + 45},
        "loaded_at": START + 9,
        "first_bad": START + 24.1,
        "load": load(),
        "restarted": 0,
        "seen": seen,
    }
    return Facts(CASES[case], **{**whole, **fields})


def test_all_is_well_when_one_was_rolled_back_one_promoted_and_nothing_failed() -> None:
    assert problems(facts(GOOD, BAD)) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (facts(GOOD), "v2-nulls was not rolled back"),
        (
            facts(GOOD, {**BAD, "outcome": "Promoted"}),
            "v2-nulls ended as Promoted instead of being rolled back",
        ),
        (
            facts(GOOD, {**BAD, "reason": "CandidateUnavailable"}),
            "v2-nulls was rolled back, but not for its metric",
        ),
        (facts(BAD), "v3 was not promoted"),
        (facts({**GOOD, "outcome": "RolledBack"}, BAD), "v3 was not promoted: nulls 24.3%"),
        (facts(GOOD, BAD, restarted=2), "promotion started 2 pods or containers anew"),
        (facts(GOOD, BAD, load=None), "no request was sent"),
        (
            facts(
                GOOD, BAD, load=load(failed={"http_503": 3}, first_failure="http_503: no healthy upstream")
            ),
            "3 of 4250 requests failed (http_503 3); http_503: no healthy upstream",
        ),
        (
            facts(GOOD, BAD, load=load(deliberate=4)),
            "4 requests got an error that no version of this case makes",
        ),
    ],
)
def test_what_is_missing_is_said_plainly(found: Facts, said: str) -> None:
    assert [each for each in problems(found) if each.startswith(said)], problems(found)
    assert len(problems(found)) == 1


def test_the_errors_case_forgives_its_own_errors_only() -> None:
    bad = {**BAD, "modelVersion": "v2-errors"}
    assert problems(facts(GOOD, bad, case="errors", load=load(deliberate=4))) == []
    assert problems(facts(GOOD, bad, case="errors", load=load(deliberate=4, failed={"reset": 1})))


def test_the_timeline_is_in_order_and_has_every_moment_once() -> None:
    assert [(round(when - START, 1), text) for when, text in timeline(facts(GOOD, BAD))] == [
        (0, "v1 applied"),
        (8, "v1 is Ready"),
        (9, "the load begins"),
        (15, "v2-nulls applied"),
        (20, "v2-nulls gets 10% of the requests"),
        (24.1, "the fault of v2-nulls is scraped for the first time"),
        (40, "v2-nulls is rolled back"),
        (40.1, "the last request that v2-nulls gets"),
        (40.3, "the last answer of v2-nulls"),
        (45, "v3 applied"),
        (90, "v3 is promoted"),
    ]


def test_safe_is_when_the_last_request_had_gone_there() -> None:
    assert facts(GOOD, BAD).seconds_to_safe == pytest.approx(16.0, abs=0.01)
    assert facts(GOOD, BAD, first_bad=None).seconds_to_safe is None
    assert facts(GOOD).seconds_to_safe is None


def test_the_table_tells_the_numbers() -> None:
    out = StringIO()
    tell(Console(file=out, width=100), facts(GOOD, BAD), "5s")
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert "24.1 the fault of v2-nulls is scraped for the first time" in lines
    assert any(line.startswith("16.0 s from the first scrape that shows the fault") for line in lines)
    assert "4250 requests sent in 85 s" in lines
    assert "0 of them failed" in lines
    assert "0 pods started anew by the promotion of v3" in lines


def test_a_run_that_ended_at_once_still_has_a_table() -> None:
    tell(Console(file=StringIO()), Facts(CASES["slow"]), "5s")
    assert figures(Facts(CASES["slow"]), "5s") == []


@pytest.mark.parametrize(
    ("after", "count"),
    [({"a": 0, "b": 1}, 0), ({"a": 1, "b": 1}, 1), ({"a": 0, "c": 0}, 1), ({"b": 1}, 0)],
    ids=["as before", "a container anew", "another pod", "one has ended"],
)
def test_restarts_are_counted_by_pod(after: dict[str, int], count: int) -> None:
    assert restarts({"a": 0, "b": 1}, after) == count


def test_a_crowded_machine_is_named_as_a_possible_cause() -> None:
    assert crowded(3.9, 2) == ""
    assert "load average 17.2 on 2 cores" in crowded(17.2, 2)
