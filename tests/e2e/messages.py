"""Listening to what an object says: in which words, and how soon after the first sign of what it says."""

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from e2e.reach import PATIENCE, Object
from e2e.support import SYSTEM, Installation, Place, condition

PROMPT = 5.0
"""Seconds from the first sign that can be seen to the word on the object."""


def hears(
    place: Place, reason: str, *words: str, name: str = "digits", sign: Callable[[], object] | None = None
) -> str:
    """What the object says, once its Ready condition has this reason and all the words, and says it promptly.

    Args:
        place: The object's namespace.
        reason: Of the condition Ready.
        words: What the message must hold.
        name: The object's.
        sign: True once the fault can be seen in the cluster; by default it can be seen now.
    """
    began = time.monotonic()
    seen = None if sign else began
    while True:
        obj = place.model(name)
        said = condition(obj.get("status") or {}, "Ready") or {}
        message = str(said.get("message"))
        current = said.get("observedGeneration") == obj["metadata"]["generation"]
        if current and said["reason"] == reason and all(word in message for word in words):
            assert "\n" not in message
            assert len(message) < 500, message
            return message
        now = time.monotonic()
        if seen is None and sign and sign():
            seen = now
        late = seen is not None and now - seen > PROMPT
        assert not late, f"not within {PROMPT} s: {reason} {words}\n{place.describe(name)}"
        assert now - began < PATIENCE, f"no sign of {reason} {words}\n{place.describe(name)}"
        time.sleep(0.1)


def containers(place: Place, name: str = "digits") -> list[Object]:
    """The statuses of the containers of all of a model's pods."""
    return [
        one
        for pod in place.api.list("Pod", place.namespace, f"modeldeploy.dev/name={name}")
        for one in pod["status"].get("containerStatuses", [])
    ]


@contextlib.contextmanager
def calm(installed: Installation) -> Iterator[None]:
    """What users do wrong is no surprise: the operator's log of this time holds no traceback."""
    since = datetime.now(UTC).isoformat()
    yield
    selector = "--selector=app.kubernetes.io/component=operator"
    log = installed.cluster.run_kubectl(
        *("logs", "--namespace", SYSTEM, selector, "--tail=-1", f"--since-time={since}")
    )
    assert "Traceback" not in log, log
