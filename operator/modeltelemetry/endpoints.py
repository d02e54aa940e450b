"""``GET /metrics`` and ``POST /feedback``."""

import json
import logging
import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from modeltelemetry.telemetry import Telemetry

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_FEEDBACK_BYTES = 4096

logger = logging.getLogger("modeltelemetry.feedback")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

Endpoint = Callable[[Request], Awaitable[Response]]


def telemetry_routes(telemetry: Telemetry) -> list[Route]:
    """``GET /metrics`` and ``POST /feedback``, to be put among an application's routes."""
    return [
        Route("/metrics", metrics_endpoint(telemetry), methods=["GET"]),
        Route("/feedback", feedback_endpoint(telemetry), methods=["POST"]),
    ]


def metrics_endpoint(telemetry: Telemetry) -> Endpoint:
    """An endpoint that answers with all metrics in the Prometheus text format."""

    async def metrics(_: Request) -> Response:
        return Response(telemetry.exposition(), headers={"content-type": CONTENT_TYPE})

    return metrics


def feedback_endpoint(telemetry: Telemetry) -> Endpoint:
    """An endpoint that counts what users did with an answer.

    It takes ``{"event": NAME, "request_id": ID}``; the id is optional. The event becomes a label, so only the
    telemetry's own events are counted (422 names them). The id never becomes one: it is logged, at INFO by
    the logger ``modeltelemetry.feedback``, where it can be joined with other records of the same request.
    """

    async def feedback(request: Request) -> Response:
        try:
            event, request_id = _parse(await _body(request))
        except _RefusedError as refused:
            return JSONResponse({"error": str(refused)}, refused.status)
        try:
            telemetry.feedback(event)
        except KeyError:
            known = ", ".join(telemetry.events) or "none"
            return JSONResponse({"error": f"unknown event {event[:64]!r}; known events: {known}"}, 422)
        logger.info("feedback event=%s request_id=%s", event, request_id or "-")
        return JSONResponse({"event": event}, 202)

    return feedback


class _RefusedError(Exception):
    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FEEDBACK_BYTES:
            raise _RefusedError(f"feedback of more than {MAX_FEEDBACK_BYTES} bytes", 413)
    return bytes(body)


def _parse(body: bytes) -> tuple[str, str | None]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise _RefusedError('the body must be JSON: {"event": NAME, "request_id": ID}') from None
    if not isinstance(content, dict):
        raise _RefusedError('the body must be a JSON object: {"event": NAME, "request_id": ID}')
    unknown = sorted(content.keys() - {"event", "request_id"})
    if unknown:
        raise _RefusedError(f"unknown field {unknown[0][:64]!r}; known fields: event, request_id")
    event, request_id = content.get("event"), content.get("request_id")
    if not isinstance(event, str):
        raise _RefusedError("event must be a string")
    if request_id is not None and not (isinstance(request_id, str) and _REQUEST_ID.fullmatch(request_id)):
        raise _RefusedError("request_id must be 1 to 128 of the characters A-Z a-z 0-9 . _ : -")
    return event, request_id
