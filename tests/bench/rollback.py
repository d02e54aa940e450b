"""How soon nobody meets a bad candidate any more: after the metrics show it, and after it is decided."""

import statistics
import time
from datetime import datetime

from bench.figure import Figure, quantile
from bench.replay import Replay
from bench.written import Written
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
    """The spec goes back to stable in mid-canary: from the decision to the last request to the candidate.

    The figure counts from `status.trafficChangedAt`, the operator's clock as it decides, so the write of the
    status, the API server's speed, is in it. `written_to_safe_ms` counts from the news of that write; it is
    never below 0, since routers may act on it before a watcher has heard. All clocks are one machine's.
    """
    since_written, since_decided = [], []
    place.apply(_manifest(place, "v1", "v1", drain="10m"))
    written = Written(place)
    for number in range(DECISIONS):
        _name(place, "v3")
        trial = place.until_step("v3")["status"]["candidate"]["revision"]
        _until_answering(load, trial)
        _name(place, "v1")
        left = place.until(lambda status: not status.get("candidate"), "the end of the trial")["status"]
        time.sleep(ANSWERED)
        last = load.snapshot().revisions[trial].last_sent
        since_written.append(max(0.0, 1000 * (last - written.at(left["trafficGeneration"]))))
        since_decided.append(max(0.0, 1000 * (last - _seconds(left["trafficChangedAt"]))))
        say(
            f"  decision {number + 1} of {DECISIONS}: last request {since_decided[-1]:.1f} ms after it, "
            f"{since_written[-1]:.1f} ms after its status was written"
        )
    place.apply(_manifest(place, "v1", "v1"))
    spread = f"ms, p95 of {DECISIONS}"
    middle = f"ms, median of {DECISIONS}"
    return [
        Figure("decision_to_safe_ms", statistics.median(since_decided), middle, DECISION_BAR),
        Figure("decision_to_safe_p95_ms", quantile(since_decided, 0.95), spread),
        Figure("written_to_safe_ms", statistics.median(since_written), middle),
    ]


def _manifest(place: Place, version: str, called: str, *, drain: str = "2s") -> Object:
    """One replica and one long step. With a long drain the pods of a version taken back wait for its turn."""
    obj = place.manifest(version, called=called)
    obj["spec"]["server"]["replicas"] = {"min": 1}
    steps = [{"weight": WEIGHT, "hold": "10m"}]
    obj["spec"]["rollout"] |= {"steps": steps, "drain": drain}
    obj["spec"]["monitoring"] |= {"interval": f"{INTERVAL:g}s"}
    return obj


def _name(place: Place, version: str) -> None:
    """Let the spec name a version, without the bustle of a program at the moment that is measured."""
    manifest = _manifest(place, version, version, drain="10m")
    place.api.patch("ModelDeployment", place.namespace, "digits", {"spec": manifest["spec"]})


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
