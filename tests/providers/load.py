"""The constant load, by host name, with what each model version answered: gateways don't name revisions."""

import json
import time
from typing import Any

from digits.load import Load


class HostLoad(Load):
    """A load on a gateway.

    Args:
        url: The gateway.
        host: The host name that the route has.
        rate: Requests per second.
        headers: Sent with every request, besides.
    """

    def __init__(self, url: str, host: str, rate: float = 30, headers: dict[str, str] | None = None) -> None:
        super().__init__(url, rate=rate, timeout=60, headers={"host": host, **(headers or {})})

    def _answered(self, response: Any, received: bytes, sent_at: float, request_id: str, count: int) -> None:
        if response.status == 200:
            self._tally.seen(str(json.loads(received).get("model_version")), sent_at, time.time())
        super()._answered(response, received, sent_at, request_id, count)
