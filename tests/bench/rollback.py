"""How soon nobody meets a bad candidate any more: after the metrics show it, and after it is decided."""

import statistics
import time
from datetime import datetime

from bench.figure import Figure, quantile
from bench.replay import Replay
from cluster.progress import say
from digits.load import Load
from e2e.reach import Object
from e2e.support import Place, ending

RATE = 60.0
BREACHES = 5
DECISIONS = 20
INTERVAL = 1.0
SLACK = 0.2
DECISION_BAR = 30.0
WEIGHT = 90
"""Percent to the candidate: with most of the requests its last one is known to some 20 ms."""
ANSWERED = 1.0
"""Seconds after which the last answers are in."""


def measure_breaches(place: Place, load: Load, prometheus: str) -> list[Figure]:
    """The worst of several bad versions: from the first scrape that shows the breach to its last request."""
    taken = []
    for number in range(BREACHES):
        version = f"bad-{number}"
        place.apply(_manifest(place, "v2-nulls", version))
        trial = place.until_step(version)
        place.until_ended(version, "RolledBack")
        time.sleep(ANSWERED)
        last = load.snapshot().revisions[trial["status"]["candidate"]["revision"]].last_sent
        first = Replay(prometheus, trial).first_breach()
        assert first is not None, f"no scrape shows why {version} was rolled back\n{place.describe()}"
        taken.append(last - first)
        decided = _seconds(ending(place.status(), version)["at"]) - first
        say(f"  breach {number + 1} of {BREACHES}: decided after {decided:.3f} s, safe after {taken[-1]:.3f}")
        place.apply(_manifest(place, "v1", "v1"))
        place.until_ready("v1")
    return [Figure("breach_to_safe_s", max(taken), f"s, worst of {BREACHES}", INTERVAL + SLACK)]


def measure_decisions(place: Place, load: Load) -> list[Figure]:
    """The spec goes back to stable in mid-canary: from the moment of the decision to the last request.

    The moment is `status.trafficChangedAt`: the operator's clock as it decides, before the status is
    written, so that the write counts, too. All clocks are one machine's.
    """
    taken = []
    for number in range(DECISIONS):
        place.apply(_manifest(place, "v3", "v3", drain="10m"))
        trial = place.until_step("v3")["status"]["candidate"]["revision"]
        _until_answering(load, trial)
        place.apply(_manifest(place, "v1", "v1", drain="10m"))
        left = place.until(lambda status: not status.get("candidate"), "the end of the trial", pause=0.05)
        time.sleep(ANSWERED)
        seen = load.snapshot().revisions[trial]
        taken.append(1000 * (seen.last_sent - _seconds(left["status"]["trafficChangedAt"])))
        say(f"  decision {number + 1} of {DECISIONS}: last request there after {taken[-1]:.1f} ms")
    place.apply(_manifest(place, "v1", "v1"))
    return [
        Figure("decision_to_safe_ms", statistics.median(taken), f"ms, median of {DECISIONS}", DECISION_BAR),
        Figure("decision_to_safe_p95_ms", quantile(taken, 0.95), f"ms, p95 of {DECISIONS}"),
    ]


def _manifest(place: Place, version: str, called: str, *, drain: str = "2s") -> Object:
    """One replica and one long step. With a long drain the pods of a version taken back wait for its turn."""
    obj = place.manifest(version, called=called)
    obj["spec"]["server"]["replicas"] = {"min": 1}
    steps = [{"weight": WEIGHT, "hold": "10m"}]
    obj["spec"]["rollout"] |= {"steps": steps, "drain": drain}
    obj["spec"]["monitoring"] |= {"interval": f"{INTERVAL:g}s"}
    return obj


def _until_answering(load: Load, revision: str) -> None:
    """Wait until requests have gone to the revision for a while."""
    before = load.snapshot().revisions.get(revision)
    known = before.answers if before else 0
    deadline = time.monotonic() + 30
    while True:
        now = load.snapshot().revisions.get(revision)
        if now and now.answers > known + RATE / 4:
            return
        assert time.monotonic() < deadline, f"revision {revision} answers nothing"
        time.sleep(0.05)


def _seconds(time_text: str) -> float:
    return datetime.fromisoformat(time_text).timestamp()
