"""The same as plain lines, for files, pipes and programs: one for each change, nothing for what stays."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from modeldeploy.cli.look import Look, moment


def differences(before: Look | None, now: Look) -> list[str]:
    """What has changed, a line each: first where the object stands, then the verdicts that are new."""
    lines = []
    if before is None or _standing(before) != _standing(now):
        lines.append(_standing(now))
    known = {entry.name: entry.verdict for entry in before.metrics} if before else {}
    new = (entry for entry in now.metrics if known.get(entry.name) != entry.verdict)
    return lines + [
        f"{each.name}: {each.verdict}{f' - {each.message}' if each.message else ''}" for each in new
    ]


def event(told: Mapping[str, Any]) -> str:
    """An Event in one line."""
    return f"{told.get('type', '')} {told.get('reason', '')}: {told.get('message', '')}"


def clock(told: Mapping[str, Any]) -> str:
    """When an Event was told, in local time; empty if it doesn't say."""
    at = told.get("lastTimestamp") or told.get("eventTime")
    return f"{moment(at).astimezone():%H:%M:%S}" if at else ""


def status_json(look: Look, at: datetime) -> str:
    """Where the object stands, as one line of JSON."""
    return _line(
        {
            "kind": "status",
            "at": at.isoformat(),
            "namespace": look.namespace,
            "name": look.name,
            "phase": look.phase,
            "ready": look.ready,
            "reason": look.reason,
            "message": look.message,
            "step": look.progress,
            "traffic": [
                {
                    "role": share.role,
                    "modelVersion": share.version,
                    "revision": share.revision,
                    "weight": share.weight,
                }
                for share in look.shares
            ],
            "metrics": [
                {
                    "name": entry.name,
                    "verdict": entry.verdict,
                    "candidate": entry.candidate,
                    "stable": entry.stable,
                    "message": entry.message,
                }
                for entry in look.metrics
            ],
        }
    )


def event_json(told: Mapping[str, Any], at: datetime) -> str:
    """An Event as one line of JSON."""
    keep = {key: told.get(key, "") for key in ("type", "reason", "message")}
    return _line({"kind": "event", "at": told.get("lastTimestamp") or at.isoformat(), **keep})


def end_json(why: str, at: datetime) -> str:
    """A line that says `deleted`, or `lost` with the reason in words."""
    kind, _, reason = why.partition(": ")
    return _line({"kind": kind, "at": at.isoformat(), **({"reason": reason} if reason else {})})


def _standing(look: Look) -> str:
    parts = [look.phase or "not seen by an operator yet"]
    if look.progress:
        parts.append(f"step {look.progress}")
    weights = ", ".join(f"{share.version} {share.weight}%" for share in look.shares if share.weight)
    if weights:
        parts.append(weights)
    return f"{' | '.join(parts)}{f' | {look.message}' if look.message else ''}"


def _line(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False)
