"""A handler of TorchServe's."""

import json
import time
from typing import Any


def handle(data: Any, context: Any) -> Any:
    del context
    answers = []
    for row in data or ():
        body = row.get("body") or row.get("data")
        number = (body if isinstance(body, dict) else json.loads(body))["x"]
        if number < 0:
            raise RuntimeError("below 0")
        time.sleep(0.06)
        answers.append({"y": 2 * number})
    return answers or None
