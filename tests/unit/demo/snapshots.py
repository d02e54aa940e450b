"""What a load has counted, for tests."""

from typing import Any

from digits.load_stats import Snapshot


def snapshot(**fields: Any) -> Snapshot:
    """A snapshot in which nothing has happened but these."""
    nothing = {
        "at": 0.0,
        "seconds": 0.0,
        "sent": 0,
        "in_flight": 0,
        "ok": 0,
        "failed": {},
        "deliberate": 0,
        "outputs": 0,
        "nulls": 0,
        "late": 0,
        "latest": 0.0,
        "p50": None,
        "p95": None,
        "p99": None,
        "revisions": {},
        "versions": {},
        "first_failure": None,
    }
    return Snapshot(**{**nothing, **fields})
