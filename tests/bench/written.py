"""When a status was written, as somebody sees it who watches."""

import contextlib
import json
import threading
import time

import httpx

from e2e.reach import until
from e2e.support import Place
from modeldeploy.adapters.kube.resources import MODEL_DEPLOYMENT


class Written:
    """Watches an object from a thread and notes when each generation of its traffic arrived.

    The moment is a little after the write itself, about when the operator has the API server's answer.
    """

    def __init__(self, place: Place, name: str = "digits") -> None:
        self._place = place
        self._name = name
        self._arrived: dict[int, float] = {}
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def at(self, generation: int) -> float:
        """Seconds since 1970 when a status with this `trafficGeneration` arrived."""
        until(lambda: generation in self._arrived, f"the news of traffic generation {generation}", timeout=10)
        return self._arrived[generation]

    def _watch(self) -> None:
        path = MODEL_DEPLOYMENT.path(self._place.namespace)
        asked = {"watch": "true", "fieldSelector": f"metadata.name={self._name}", "timeoutSeconds": "900"}
        patience = httpx.Timeout(30, read=None)
        with (
            contextlib.suppress(httpx.HTTPError, httpx.StreamError),  # the connection ends with the bench
            self._place.api._client.stream("GET", path, params=asked, timeout=patience) as events,
        ):
            for line in events.iter_lines():
                now = time.time()
                status = json.loads(line)["object"].get("status") or {}
                self._arrived.setdefault(status.get("trafficGeneration", 0), now)
