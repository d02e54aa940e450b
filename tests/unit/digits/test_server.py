"""The server's endpoints and what they record, through real ASGI calls."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from digits.dataset import Dataset, brightness
from digits.drain import Drain
from digits.model import DigitsModel
from digits.server import MAX_BODY_BYTES, DigitsApp

pytestmark = pytest.mark.unit

INFER = "/v2/models/digits/infer"
Client = Callable[[str], httpx.AsyncClient]


def request_of(images: Any) -> dict[str, Any]:
    data = [[None if np.isnan(pixel) else pixel for pixel in image] for image in images]
    return {"inputs": [{"name": "image", "datatype": "FP32", "shape": [len(data), 64], "data": data}]}


async def metric(client: httpx.AsyncClient, name: str, **labels: str) -> float:
    text = (await client.get("/metrics")).text
    labels = labels or {"module": "digits"}
    [value] = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return value


@pytest.fixture
def drain() -> Drain:
    return Drain()


@pytest.fixture
async def client(models: dict[str, DigitsModel], drain: Drain) -> AsyncIterator[Client]:
    async with AsyncExitStack() as clients:

        def of(version: str) -> httpx.AsyncClient:
            app = DigitsApp(models[version], drain).asgi()
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            made = httpx.AsyncClient(transport=transport, base_url="http://digits")
            clients.push_async_callback(made.aclose)
            return made

        yield of


@pytest.mark.parametrize("path", [INFER, "/v2/models/digits/versions/v1/infer"])
async def test_held_out_images_get_their_digits(
    client: Client, data: tuple[Dataset, Dataset], path: str
) -> None:
    v1, held_out = client("v1"), data[1]
    answer = (await v1.post(path, json=request_of(held_out.images[:50]))).json()
    assert (answer["model_name"], answer["model_version"]) == ("digits", "v1")
    digits, confidence = (output["data"] for output in answer["outputs"])
    right = np.mean([digit == label for digit, label in zip(digits, held_out.labels[:50], strict=True)])
    assert right > 0.85
    assert all(0.1 <= number <= 1 for number in confidence)
    assert await metric(v1, "model_requests_total", code="200") == 1


async def test_inputs_and_outputs_are_recorded(client: Client, data: tuple[Dataset, Dataset]) -> None:
    v1, images = client("v1"), data[1].images[:3].copy()
    images[0, :5] = np.nan
    await v1.post(INFER, json=request_of(images))
    complete = np.where(np.isnan(images), data[0].images.mean(axis=0), images)
    assert await metric(v1, "model_input_size_sum") == 3
    assert await metric(v1, "model_input_values_total") == 192
    assert await metric(v1, "model_input_missing_total") == 5
    assert await metric(v1, "model_input_brightness_sum") == pytest.approx(brightness(complete).sum())
    assert await metric(v1, "model_output_values_total") == 3
    assert await metric(v1, "model_output_null_total") == 0
    assert await metric(v1, "model_output_confidence_count") == 3


async def test_v2_nulls_answers_null_for_bright_images_and_counts_them(
    client: Client, data: tuple[Dataset, Dataset]
) -> None:
    nulls = client("v2-nulls")
    order = brightness(data[1].images).argsort()
    images = data[1].images[[order[0], order[-1]]]
    answer = (await nulls.post(INFER, json=request_of(images))).json()
    dark, bright = answer["outputs"][0]["data"]
    assert dark is not None
    assert bright is None
    assert answer["outputs"][1]["data"][1] is None
    assert await metric(nulls, "model_output_null_total") == 1
    assert await metric(nulls, "model_output_values_total") == 2
    assert await metric(nulls, "model_output_confidence_count") == 1


async def test_v2_errors_answers_500_with_the_mark_of_its_fault(
    client: Client, data: tuple[Dataset, Dataset]
) -> None:
    errors = client("v2-errors")
    brightest = data[1].images[brightness(data[1].images).argmax()]
    answer = await errors.post(INFER, json=request_of([brightest]))
    assert answer.status_code == 500
    assert answer.headers["x-digits-fault"] == "deliberate"
    assert "brightness" in answer.json()["error"]
    assert await metric(errors, "model_requests_total", code="500") == 1


async def test_an_error_that_nobody_planned_is_a_500_in_the_protocols_form_without_the_mark(
    client: Client, models: dict[str, DigitsModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    v1 = client("v1")

    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(models["v1"].estimator, "predict_proba", broken)
    answer = await v1.post(INFER, json=request_of(np.zeros((1, 64))))
    assert answer.status_code == 500
    assert "x-digits-fault" not in answer.headers
    assert answer.json() == {"error": "internal error; the server's log has the cause"}
    assert await metric(v1, "model_requests_total", code="500") == 1


async def test_a_bad_request_is_a_400_that_says_what_is_wrong(client: Client) -> None:
    v1 = client("v1")
    answer = await v1.post(INFER, json={"inputs": []})
    assert answer.status_code == 400
    assert answer.json() == {"error": 'inputs must be a list of one tensor, named "image"'}
    assert await metric(v1, "model_requests_total", code="400") == 1
    assert await metric(v1, "model_input_size_count") == 0


async def test_a_request_that_is_too_large_is_refused(client: Client) -> None:
    answer = await client("v1").post(INFER, content=b" " * (MAX_BODY_BYTES + 1))
    assert answer.status_code == 413
    assert answer.json() == {"error": "a request of more than 1000000 bytes"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/other", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("POST", "/v2/models/digits/versions/v9/infer", 404),
        ("GET", INFER, 405),
    ],
)
async def test_unknown_paths_and_methods_are_errors_in_the_protocols_form(
    client: Client, method: str, path: str, status: int
) -> None:
    answer = await client("v1").request(method, path)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2", {"name": "digits", "version": "v3", "extensions": []}),
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/digits/ready", {"name": "digits", "ready": True}),
    ],
)
async def test_health_and_metadata(client: Client, path: str, expected: dict[str, Any]) -> None:
    answer = await client("v3").get(path)
    assert (answer.status_code, answer.json()) == (200, expected)


async def test_model_metadata_describes_inputs_and_outputs(client: Client) -> None:
    metadata = (await client("v3").get("/v2/models/digits")).json()
    assert metadata["versions"] == ["v3"]
    assert metadata["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 64]}]
    assert [output["name"] for output in metadata["outputs"]] == ["digit", "confidence"]


async def test_probes_are_not_counted_as_requests_of_the_model(client: Client) -> None:
    v1 = client("v1")
    for path in ("/v2/health/ready", "/v2/health/live", "/v2/models/digits/ready"):
        await v1.get(path)
    assert await metric(v1, "model_request_duration_seconds_count") == 0


async def test_a_server_told_to_end_is_not_ready_and_gives_connections_back_but_answers(
    client: Client, drain: Drain
) -> None:
    v1 = client("v1")
    assert "connection" not in (await v1.get("/v2/health/ready")).headers
    drain.begin()
    for path in ("/v2/health/ready", "/v2/models/digits/ready"):
        assert (await v1.get(path)).status_code == 503
    assert (await v1.get("/v2/health/live")).status_code == 200
    answer = await v1.post(INFER, json=request_of(np.zeros((1, 64))))
    assert answer.status_code == 200
    assert answer.headers["connection"] == "close"


async def test_feedback_is_taken(client: Client) -> None:
    v1 = client("v1")
    assert (await v1.post("/feedback", json={"event": "redo", "request_id": "a-1"})).status_code == 202
    assert await metric(v1, "model_feedback_total", event="redo") == 1
