"""The Open Inference Protocol v2 over JSON, as far as this model needs it.

One input ``image`` of shape [N, 64] or [N, 8, 8] with pixels from 0 to 16, and two outputs of shape [N]:
``digit`` (INT64) and ``confidence`` (FP32). A missing pixel is ``null`` among the input's data; an image that
got no digit is ``null`` among the outputs' data.
"""

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from digits.model import Prediction

NAME = "digits"
MAX_IMAGES = 64
PIXELS = 64
WHITE = 16
DATATYPES = frozenset(
    {"FP32", "FP64", "UINT8", "INT8", "UINT16", "INT16", "UINT32", "INT32", "UINT64", "INT64"}
)
OUTPUTS = {"digit": "INT64", "confidence": "FP32"}


class ProtocolError(Exception):
    """A request that cannot be answered; becomes ``{"error": …}`` with an HTTP status."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request that was understood.

    Args:
        id: the client's id, to be sent back.
        images: shape [N, 64], NaN where a pixel is missing.
        missing: number of missing pixels.
        outputs: names of the outputs asked for.
    """

    id: str | None
    images: NDArray[np.float64]
    missing: int
    outputs: tuple[str, ...]


def server_metadata(version: str) -> dict[str, Any]:
    """The answer to ``GET /v2``."""
    return {"name": NAME, "version": version, "extensions": []}


def model_metadata(version: str) -> dict[str, Any]:
    """The answer to ``GET /v2/models/digits``."""
    return {
        "name": NAME,
        "versions": [version],
        "platform": "scikit-learn",
        "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, PIXELS]}],
        "outputs": [
            {"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in OUTPUTS.items()
        ],
    }


def parse(body: bytes) -> InferRequest:
    """Understand a request's body.

    Raises:
        ProtocolError: with a message that says what is wrong and what is right.
    """
    try:
        content = json.loads(body, parse_constant=_no_constant)
    except RecursionError:
        raise ProtocolError("the body is nested too deeply") from None
    except ValueError as error:
        raise ProtocolError(f"the body must be JSON: {error}") from None
    if not isinstance(content, dict):
        raise ProtocolError("the body must be a JSON object")
    request_id = content.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise ProtocolError("id must be a string")
    images = _images(_the_input(content.get("inputs")))
    missing = int(np.isnan(images).sum())
    return InferRequest(request_id, images, missing, _outputs(content.get("outputs")))


def answer(request: InferRequest, prediction: Prediction, version: str) -> dict[str, Any]:
    """The response object."""
    count = len(prediction.digits)
    data = {"digit": prediction.digits, "confidence": prediction.confidence}
    response: dict[str, Any] = {"model_name": NAME, "model_version": version}
    if request.id is not None:
        response["id"] = request.id
    response["outputs"] = [
        {"name": name, "datatype": OUTPUTS[name], "shape": [count], "data": data[name]}
        for name in request.outputs
    ]
    return response


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON; a missing pixel is null")


def _the_input(inputs: Any) -> dict[str, Any]:
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise ProtocolError('inputs must be a list of one tensor, named "image"')
    tensor: dict[str, Any] = inputs[0]
    if tensor.get("name") != "image":
        raise ProtocolError(f'unknown input {tensor.get("name")!r:.80}; the input is named "image"')
    datatype = tensor.get("datatype")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise ProtocolError(f"image: datatype must be one of {', '.join(sorted(DATATYPES))}")
    return tensor


def _images(tensor: dict[str, Any]) -> NDArray[np.float64]:
    count = _count(tensor.get("shape"))
    numbers = _flat(tensor.get("data"))
    if len(numbers) != count * PIXELS:
        raise ProtocolError(f"image: data holds {len(numbers)} values, its shape says {count * PIXELS}")
    if not set(map(type, numbers)) <= {int, float, type(None)}:
        raise ProtocolError("image: data must be numbers, or null for a missing pixel")
    try:
        images = np.array(numbers, dtype=np.float64).reshape(count, PIXELS)
    except OverflowError:
        raise ProtocolError("image: pixels must be from 0 to 16") from None
    if bool((images < 0).any()) or bool((images > WHITE).any()):
        raise ProtocolError("image: pixels must be from 0 to 16")
    return images


def _count(shape: Any) -> int:
    """The number of images that a shape says."""
    good = isinstance(shape, list) and all(type(n) is int for n in shape) and shape[1:] in ([PIXELS], [8, 8])
    if not good:
        raise ProtocolError("image: shape must be [N, 64] or [N, 8, 8]")
    count: int = shape[0]
    if not 1 <= count <= MAX_IMAGES:
        raise ProtocolError(f"image: 1 to {MAX_IMAGES} images a request, not {count}")
    return count


def _flat(data: Any) -> list[Any]:
    """The data, flattened; the protocol allows it flat and nested."""
    if not isinstance(data, list):
        raise ProtocolError("image: data must be a list")
    for _ in range(2):
        if data and all(isinstance(part, list) for part in data):
            data = list(itertools.chain.from_iterable(data))
    flat: list[Any] = data
    return flat


def _outputs(asked: Any) -> tuple[str, ...]:
    if asked is None or asked == []:
        return tuple(OUTPUTS)
    if not isinstance(asked, list):
        raise ProtocolError("outputs must be a list")
    names = tuple(_names(asked))
    for name in names:
        if name not in OUTPUTS:
            raise ProtocolError(f"unknown output {name!r:.80}; the outputs are digit and confidence")
    return names


def _names(tensors: Iterable[Any]) -> Iterable[str]:
    for tensor in tensors:
        name = tensor.get("name") if isinstance(tensor, dict) else None
        if not isinstance(name, str):
            raise ProtocolError("each of outputs must be an object with a name")
        yield name
