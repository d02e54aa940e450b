"""The protocol: what is understood, and what is refused with which message."""

import json
from typing import Any

import numpy as np
import pytest

from digits import oip
from digits.model import Prediction

pytestmark = pytest.mark.unit


def tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "image", "shape": [1, 64], "datatype": "FP32", "data": [0] * 64, **changes}


def body(content: Any) -> bytes:
    return json.dumps(content).encode()


def request(**changes: Any) -> bytes:
    return body({"inputs": [tensor(**changes)]})


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ([2, 64], [1.5] * 128),
        ([2, 64], [[1.5] * 64] * 2),
        ([2, 8, 8], [1.5] * 128),
        ([2, 8, 8], [[[1.5] * 8] * 8] * 2),
    ],
    ids=["flat", "rows", "flat pictures", "pictures"],
)
def test_data_may_be_flat_or_nested(shape: list[int], data: list[Any]) -> None:
    parsed = oip.parse(request(shape=shape, data=data))
    assert parsed.images.shape == (2, 64)
    assert (parsed.images == 1.5).all()


def test_null_is_a_missing_pixel() -> None:
    parsed = oip.parse(request(data=[None, *[3] * 62, None]))
    assert parsed.missing == 2
    assert np.isnan(parsed.images[0, [0, 63]]).all()
    assert (parsed.images[0, 1:63] == 3).all()


def test_id_and_outputs_asked_for_come_back() -> None:
    content = {"id": "a-1", "inputs": [tensor()], "outputs": [{"name": "digit"}]}
    answer = oip.answer(oip.parse(body(content)), Prediction([None], [None]), "v1")
    assert answer == {
        "model_name": "digits",
        "model_version": "v1",
        "id": "a-1",
        "outputs": [{"name": "digit", "datatype": "INT64", "shape": [1], "data": [None]}],
    }


def test_without_a_choice_all_outputs_come_back_and_no_id() -> None:
    answer = oip.answer(oip.parse(request()), Prediction([7], [0.9]), "v1")
    assert "id" not in answer
    assert [(out["name"], out["data"]) for out in answer["outputs"]] == [
        ("digit", [7]),
        ("confidence", [0.9]),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be JSON"),
        (b"\xff\xfe", "must be JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "must be a JSON object"),
        (b"{}", "inputs must be a list of one tensor"),
        (body({"inputs": []}), "inputs must be a list of one tensor"),
        (body({"inputs": [tensor(), tensor()]}), "inputs must be a list of one tensor"),
        (body({"inputs": ["image"]}), "inputs must be a list of one tensor"),
        (body({"id": 1, "inputs": [tensor()]}), "id must be a string"),
        (request(name="pixels"), "unknown input 'pixels'; the input is named \"image\""),
        (request(datatype="BYTES"), "datatype must be one of FP32"),
        (request(datatype=["FP32"]), "datatype must be one of FP32"),
        (request(shape=[64]), "shape must be [N, 64] or [N, 8, 8]"),
        (request(shape=None), "shape must be [N, 64] or [N, 8, 8]"),
        (request(shape=[True, 64]), "shape must be [N, 64] or [N, 8, 8]"),
        (request(shape=[0, 64], data=[]), "1 to 64 images a request, not 0"),
        (request(shape=[65, 64]), "1 to 64 images a request, not 65"),
        (request(data=[0] * 63), "data holds 63 values, its shape says 64"),
        (request(data="0"), "data must be a list"),
        (body({"inputs": [{k: v for k, v in tensor().items() if k != "data"}]}), "data must be a list"),
        (request(data=["0"] * 64), "data must be numbers, or null"),
        (request(data=[True] * 64), "data must be numbers, or null"),
        (request(data=[[[[0]] * 8] * 8]), "data must be numbers, or null"),
        (request(data=[-1, *[0] * 63]), "pixels must be from 0 to 16"),
        (request(data=[16.1, *[0] * 63]), "pixels must be from 0 to 16"),
        (request(data=[10**400, *[0] * 63]), "pixels must be from 0 to 16"),
        (request(data=[float("nan"), *[0] * 63]), "NaN is not JSON; a missing pixel is null"),
        (request(data=[float("inf"), *[0] * 63]), "Infinity is not JSON"),
        (request(data=[1234.5, *[0] * 63]).replace(b"1234.5", b"1e999"), "pixels must be from 0 to 16"),
        (body({"inputs": [tensor()], "outputs": "digit"}), "outputs must be a list"),
        (body({"inputs": [tensor()], "outputs": ["digit"]}), "each of outputs must be an object with a name"),
        (body({"inputs": [tensor()], "outputs": [{"name": "class"}]}), "unknown output 'class'"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_what_is_wrong(content: bytes, message: str) -> None:
    with pytest.raises(oip.ProtocolError) as refused:
        oip.parse(content)
    assert message in str(refused.value)
    assert refused.value.status == 400
