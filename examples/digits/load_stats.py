"""What a load generator has seen: counts, latencies and who answered when."""

import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

# Latencies are kept in buckets that grow by 1%, so that memory doesn't grow with requests.
_GROWTH = math.log(1.01)
_SMALLEST = 1e-5


class Latencies:
    """Seconds, of which quantiles are wanted. Quantiles are right to 1%."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._count = 0

    def add(self, seconds: float) -> None:
        """Add one latency."""
        self._buckets[math.ceil(math.log(max(seconds, _SMALLEST) / _SMALLEST) / _GROWTH)] += 1
        self._count += 1

    def quantile(self, share: float) -> float | None:
        """The latency in seconds that ``share`` of the answers did not exceed; None before any answer."""
        if not self._count:
            return None
        rest = math.ceil(share * self._count)
        for bucket, count in sorted(self._buckets.items()):
            rest -= count
            if rest <= 0:
                return _SMALLEST * math.exp(bucket * _GROWTH)
        raise AssertionError("the buckets hold fewer latencies than were counted")


@dataclass(slots=True)
class RevisionSeen:
    """What one revision answered.

    Args:
        answers: answers of any status.
        ok: those with status 200 and in the protocol's form.
        errors: the others, deliberate ones included.
        nulls: outputs that were null.
        first_answer: ``time.time()`` when its first answer had arrived.
        last_answer: ``time.time()`` when its last answer had arrived.
        last_sent: ``time.time()`` when the latest of the requests that it answered was sent.
    """

    answers: int = 0
    ok: int = 0
    errors: int = 0
    nulls: int = 0
    first_answer: float = 0.0
    last_answer: float = 0.0
    last_sent: float = 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state at one moment; a copy, which does not change any more.

    Args:
        at: ``time.time()``.
        seconds: since the start.
        sent: requests sent.
        in_flight: sent, and neither answered nor failed yet.
        ok: answered with status 200 in the protocol's form.
        failed: number of failures by kind: ``http_503``, ``connect``, ``disconnected``, ``reset``,
            ``timeout``, ``bad_answer``, ``not_sent`` (too many were outstanding), ``crashed`` (the load
            itself), or the name of another client error.
        deliberate: status 500 with the mark of the fault that v2-errors is made to have.
        outputs: outputs received, null ones included.
        nulls: null outputs received.
        late: requests sent over 10 ms after they were due.
        latest: the longest delay of such a request, in seconds.
        p50, p95, p99: latency in seconds from sending to the answer's last byte, over all answers; to 1%.
        revisions: by the router's header ``x-modeldeploy-revision``; empty without a router.
        versions: good answers by the ``model_version`` that they name.
        first_failure: the first failure in words.
    """

    at: float
    seconds: float
    sent: int
    in_flight: int
    ok: int
    failed: dict[str, int]
    deliberate: int
    outputs: int
    nulls: int
    late: int
    latest: float
    p50: float | None
    p95: float | None
    p99: float | None
    revisions: dict[str, RevisionSeen]
    versions: dict[str, int]
    first_failure: str | None

    @property
    def failures(self) -> int:
        """All failures, deliberate errors not included."""
        return sum(self.failed.values())

    def clean(self, *, expect_errors: bool = False) -> bool:
        """Whether something was sent and nothing failed; ``expect_errors`` permits deliberate errors."""
        return self.sent > 0 and not self.failures and (expect_errors or not self.deliberate)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "failures": self.failures}


@dataclass(slots=True)
class Tally:
    """Counts while the load runs. Written by the loop's thread alone."""

    sent: int = 0
    done: int = 0
    ok: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    deliberate: int = 0
    outputs: int = 0
    nulls: int = 0
    late: int = 0
    latest: float = 0.0
    latencies: Latencies = field(default_factory=Latencies)
    revisions: dict[str, RevisionSeen] = field(default_factory=dict)
    versions: Counter[str] = field(default_factory=Counter)
    first_failure: str | None = None

    def fail(self, kind: str, detail: str) -> None:
        """Count a failure."""
        self.failed[kind] += 1
        self.first_failure = self.first_failure or f"{kind}: {detail}"

    def seen(self, revision: str, sent_at: float, now: float) -> RevisionSeen:
        """Note an answer of a revision."""
        seen = self.revisions.setdefault(revision, RevisionSeen(first_answer=now))
        seen.answers += 1
        seen.last_answer = now
        seen.last_sent = max(seen.last_sent, sent_at)
        return seen

    def snapshot(self, at: float, seconds: float) -> Snapshot:
        """A copy."""
        quantile = self.latencies.quantile
        return Snapshot(
            at=at,
            seconds=round(seconds, 3),
            sent=self.sent,
            in_flight=self.sent - self.done,
            ok=self.ok,
            failed=dict(self.failed),
            deliberate=self.deliberate,
            outputs=self.outputs,
            nulls=self.nulls,
            late=self.late,
            latest=self.latest,
            p50=quantile(0.5),
            p95=quantile(0.95),
            p99=quantile(0.99),
            revisions={name: RevisionSeen(**asdict(seen)) for name, seen in self.revisions.items()},
            versions=dict(self.versions),
            first_failure=self.first_failure,
        )
