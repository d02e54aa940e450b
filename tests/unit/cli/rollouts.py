"""A ModelDeployment in the middle of a rollout, as the API server gives it."""

from typing import Any


def digits(**status: Any) -> dict[str, Any]:
    """The object with this status on top of a healthy one's; None takes a field away."""
    whole = {
        "phase": "Healthy",
        "message": "version v1 serves",
        "stable": {"revision": "1f614960", "modelVersion": "v1", "weight": 100},
        "conditions": [{"type": "Ready", "status": "True", "reason": "Promoted", "observedGeneration": 2}],
        **status,
    }
    return {
        "metadata": {"namespace": "ns", "name": "digits", "uid": "u1", "generation": 2},
        "status": {key: value for key, value in whole.items() if value is not None},
    }


def on_trial(weight: int = 10, nulls: str = "Inconclusive") -> dict[str, Any]:
    """v2 gets a share of the requests."""
    return digits(
        phase="Progressing",
        message=f"canary v2 at {weight}%: step 1 of 2",
        stable={"revision": "1f614960", "modelVersion": "v1", "weight": 100 - weight},
        candidate={
            "revision": "d227f256",
            "modelVersion": "v2",
            "weight": weight,
            "step": 1,
            "progress": "1/2",
        },
        conditions=[{"type": "Ready", "status": "False", "reason": "Progressing", "observedGeneration": 2}],
        metrics=[
            {
                "name": "p95",
                "verdict": "Pass",
                "candidate": "12 ms",
                "stable": "11 ms",
                "message": "p95 12 ms of 90",
            },
            {
                "name": "nulls",
                "verdict": nulls,
                "candidate": "24.3%",
                "message": "nulls 24.3% of 41 (max 5%)",
            },
        ],
    )


def ended(outcome: str, at: str = "2026-11-22T15:09:33.985779Z", **fields: str) -> dict[str, str]:
    """An entry of the history."""
    of = {"revision": "d227f256", "modelVersion": "v2", "reason": "MetricBreached", "message": "nulls 24.3%"}
    return {**of, "outcome": outcome, "at": at, **fields}


def event(reason: str, message: str, kind: str = "Normal") -> dict[str, str]:
    """An Event about it."""
    return {"type": kind, "reason": reason, "message": message, "lastTimestamp": "2026-11-22T15:09:18Z"}
