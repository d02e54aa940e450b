"""Asking for something once: approve, promote, abort, retry, undo; and pausing, which lasts."""

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.resources import MODEL_DEPLOYMENT, Object

MANAGER = "modeldeploy-cli"
PATIENCE = 15.0
"""Seconds within which an operator is expected to have heeded an intent."""
PAUSE = 0.2
WHAT = {
    "approve": "let the step under way end",
    "promote": "skip the rest of the steps",
    "abort": "return all traffic to stable",
    "retry": "try the revision in spec again",
    "undo": "go back to a revision that is kept",
}
STATES = {"pause": True, "resume": False}


class NothingMeantError(Exception):
    """There is no revision that the intent could mean; the message says why."""


async def ask(
    kube: Kube,
    namespace: str,
    name: str,
    intent: str,
    revision: str | None,
    say: Callable[[str], None],
    *,
    form: str,
) -> bool:
    """Put an intent into spec and wait for what comes of it; whether it was accepted.

    Args:
        kube: The API server.
        namespace: The object's.
        name: The object's.
        intent: One of `WHAT`, or of `STATES`.
        revision: The revision that is meant; None for the one that it must be.
        say: Gets the answer.
        form: `text` or `json`.

    Raises:
        NothingMeantError: No revision was named, and none comes into question.
        KubeError: The API server refuses.
    """
    if intent in STATES:
        await _set(kube, namespace, name, {"paused": STATES[intent]})
        message = "the rollout stays at its step" if STATES[intent] else "the rollout goes on"
        say(_spell({"intent": intent, "accepted": True, "message": message}, form))
        return True
    obj = await kube.get(MODEL_DEPLOYMENT, namespace, name)
    meant = revision or _meant(intent, obj.get("status") or {})
    asked = {"revision": meant, "nonce": secrets.token_hex(4)}
    await _set(kube, namespace, name, {intent: asked})
    answer = await _answer(kube, namespace, name, {"intent": intent, **asked})
    say(_spell(answer, form))
    return bool(answer["accepted"])


async def _set(kube: Kube, namespace: str, name: str, control: Mapping[str, Any]) -> None:
    change = {"spec": {"rollout": {"control": dict(control)}}}
    await kube.patch(MODEL_DEPLOYMENT, namespace, name, change, manager=MANAGER)


async def _answer(kube: Kube, namespace: str, name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while asyncio.get_running_loop().time() < deadline:
        obj = await kube.get(MODEL_DEPLOYMENT, namespace, name)
        for entry in (obj.get("status") or {}).get("control") or ():
            if asked.items() <= entry.items():
                return dict(entry)
        await asyncio.sleep(PAUSE)
    message = f"no operator has answered within {PATIENCE:.0f} s; it will act when one does"
    return {**asked, "accepted": False, "message": message}


def _meant(intent: str, status: Object) -> str:
    """The revision that an intent must mean where none is named."""
    roles = {"undo": ("previous",), "retry": ("rejected", "undone")}.get(intent, ("candidate",))
    for role in roles:
        if status.get(role):
            return str(status[role]["revision"])
    raise NothingMeantError(
        {
            "undo": "no replaced revision is running any more; name one with --revision "
            "(kubectl get controllerrevisions shows those that are kept)",
            "retry": "the revision in spec was neither rolled back nor aborted",
        }.get(intent, "no rollout is in progress")
    )


def _spell(answer: Mapping[str, Any], form: str) -> str:
    if form == "json":
        return json.dumps(answer)
    return f"{answer['intent']}{'' if answer['accepted'] else ' refused'}: {answer['message']}"
