"""The requests that a load sends, and whether an answer is one."""

import json
import random
from collections.abc import Sequence
from typing import Any

import aiohttp

from digits.dataset import split

MODEL = "digits"


def pictures(rng: random.Random, missing: float) -> list[str]:
    """The held-out images, each as the 64 numbers of a JSON list; ``missing`` is the share sent as null."""
    _, held_out = split()
    return [
        ",".join("null" if rng.random() < missing else str(int(pixel)) for pixel in image)
        for image in held_out.images
    ]


def body(request_id: str, images: Sequence[str]) -> bytes:
    """An inference request that asks for the digits of images given by :func:`pictures`."""
    tensor = f'{{"name":"image","datatype":"FP32","shape":[{len(images)},64],"data":[{",".join(images)}]}}'
    return f'{{"id":"{request_id}","inputs":[{tensor}],"outputs":[{{"name":"digit"}}]}}'.encode()


def check_answer(content: bytes, request_id: str, count: int) -> tuple[str, int]:
    """Check an answer against the Open Inference Protocol.

    Returns:
        The model version that it names, and how many of its digits are null.

    Raises:
        ValueError: it isn't an answer to this request, or isn't in the protocol's form.
    """
    answer = json.loads(content)
    if not isinstance(answer, dict) or answer.get("model_name") != MODEL or answer.get("id") != request_id:
        raise ValueError(f"not an answer of model {MODEL} to request {request_id}: {content[:200]!r}")
    tensor = _tensor(answer.get("outputs"))
    data = tensor.get("data")
    if tensor.get("shape") != [count] or not isinstance(data, list) or len(data) != count:
        raise ValueError(f"no output digit of shape [{count}]: {content[:200]!r}")
    if not all(digit is None or (type(digit) is int and 0 <= digit <= 9) for digit in data):  # noqa: PLR2004
        raise ValueError(f"not digits: {data}")
    return str(answer.get("model_version", "")), data.count(None)


def failure_kind(error: Exception) -> str:
    """The name under which a request that got no answer is counted."""
    match error:
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientConnectorError():
            return "connect"
        case aiohttp.ServerDisconnectedError():
            return "disconnected"
        case OSError():
            return "reset"
        case _:
            return type(error).__name__


def _tensor(outputs: Any) -> dict[str, Any]:
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, dict) and output.get("name") == "digit":
            return output
    raise ValueError(f"no output digit among {outputs!r:.200}")
