"""Some made-up episodes through the real core; `python -m bench` plays five hundred (`cause_recall_min`)."""

import pytest

from bench.causes import GUILTY, play, quiet
from bench.episodes import CAUSES, episodes

pytestmark = pytest.mark.unit

FEW = {episode.cause: episode for episode in episodes(len(CAUSES), seed=2)}
QUICK = ("Candidate", "CandidateAndWorld", "Interference")


@pytest.mark.parametrize("cause", QUICK)
def test_the_cause_is_found(cause: str) -> None:
    played = play(FEW[cause])
    assert played.finds(cause)
    assert played.rolled_back == (cause in GUILTY)


def test_a_quiet_day_raises_no_flag() -> None:
    assert not quiet(1, seed=3)
