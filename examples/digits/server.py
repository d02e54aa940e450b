"""The model server: ``python -m digits.server``.

Environment:

================== ================= ==================================================================
``DIGITS_MODEL``   model.joblib      the file that ``digits.train`` wrote
``DIGITS_HOST``    0.0.0.0           address to listen on
``DIGITS_PORT``    8080              port to listen on
``DIGITS_QUIET``   3                 when ending: seconds without a request after which it closes
``DIGITS_LIMIT``   20                when ending: seconds after which it closes anyway
================== ================= ==================================================================
"""

import asyncio
import json
import logging
import os
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from digits import oip
from digits.drain import KEEP_ALIVE_SECONDS, Drain, DrainingServer, DrainMiddleware
from digits.model import DeliberateFaultError, DigitsModel
from modeltelemetry import Buckets, Telemetry, TelemetryMiddleware, telemetry_routes

MAX_BODY_BYTES = 1_000_000
FAULT_HEADER = "x-digits-fault"
PROBES = frozenset({"/v2/health/live", "/v2/health/ready", "/metrics"})
# Finer than a tenth where this model's inputs lie: half of the training images are between 0.25 and 0.31.
BUCKETS = Buckets(
    size=(1, 2, 3, 4, 6, 8, 16, 32, 64),
    brightness=(0.1, 0.15, 0.2, 0.22, 0.24, 0.26, 0.28, 0.3, 0.32, 0.34, 0.36, 0.4, 0.5, 0.7),
)


class DigitsApp:
    """The endpoints.

    Args:
        model: a trained version.
        drain: whether the server is ending.
    """

    def __init__(self, model: DigitsModel, drain: Drain) -> None:
        self._model = model
        self._drain = drain
        self._telemetry = Telemetry((oip.NAME,), codes=(200, 400, 404, 405, 413, 499, 500), buckets=BUCKETS)
        self._recorder = self._telemetry.module(oip.NAME)
        # The first prediction is the slowest: no user should wait for it.
        model.predict(np.zeros((1, oip.PIXELS)), np.zeros(1))

    def asgi(self) -> Starlette:
        """The application."""
        model = f"/v2/models/{oip.NAME}"
        version = f"{model}/versions/{self._model.version}"
        routes = [
            Route("/v2", self.server_metadata),
            Route("/v2/health/live", self.live),
            Route("/v2/health/ready", self.ready),
            *telemetry_routes(self._telemetry),
        ]
        for base in (model, version):
            routes += [
                Route(base, self.model_metadata),
                Route(f"{base}/ready", self.model_ready),
                Route(f"{base}/infer", self.infer, methods=["POST"]),
            ]
        paths = {f"{base}/infer": oip.NAME for base in (model, version)}
        return Starlette(
            routes=routes,
            middleware=[
                Middleware(DrainMiddleware, drain=self._drain, ignore=PROBES),
                Middleware(TelemetryMiddleware, telemetry=self._telemetry, paths=paths),
            ],
            exception_handlers={HTTPException: _http_error, Exception: _unexpected},
        )

    async def server_metadata(self, _: Request) -> Response:
        """``GET /v2``."""
        return JSONResponse(oip.server_metadata(self._model.version))

    async def live(self, _: Request) -> Response:
        """``GET /v2/health/live``: the process answers."""
        return JSONResponse({"live": True})

    async def ready(self, _: Request) -> Response:
        """``GET /v2/health/ready``: 200, or 503 once the server has been told to end."""
        ready = not self._drain.begun
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    async def model_metadata(self, _: Request) -> Response:
        """``GET /v2/models/digits``."""
        return JSONResponse(oip.model_metadata(self._model.version))

    async def model_ready(self, _: Request) -> Response:
        """``GET /v2/models/digits/ready``."""
        ready = not self._drain.begun
        return JSONResponse({"name": oip.NAME, "ready": ready}, 200 if ready else 503)

    async def infer(self, request: Request) -> Response:
        """``POST /v2/models/digits/infer``."""
        try:
            asked = oip.parse(await _body(request))
        except oip.ProtocolError as error:
            return JSONResponse({"error": str(error)}, error.status)
        images = self._model.complete(asked.images)
        brightness = images.mean(axis=1) / oip.WHITE
        self._recorder.inputs(
            size=len(images), brightness=brightness, values=images.size, missing=asked.missing
        )
        wait = self._model.wait_seconds()
        if wait:
            await asyncio.sleep(wait)
        try:
            prediction = self._model.predict(images, brightness)
        except DeliberateFaultError as error:
            return JSONResponse({"error": str(error)}, 500, {FAULT_HEADER: "deliberate"})
        confidence = [number for number in prediction.confidence if number is not None]
        self._recorder.outputs(values=len(images), nulls=prediction.nulls, confidence=confidence)
        return JSONResponse(oip.answer(asked, prediction, self._model.version))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise oip.ProtocolError(f"a request of more than {MAX_BODY_BYTES} bytes", 413)
    return bytes(body)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _unexpected(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"error": "internal error; the server's log has the cause"}, 500)


def main() -> None:
    """Serve until told to end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    model: DigitsModel = joblib.load(Path(os.environ.get("DIGITS_MODEL", "model.joblib")))
    drain = Drain()
    config = uvicorn.Config(
        DigitsApp(model, drain).asgi(),
        host=os.environ.get("DIGITS_HOST", "0.0.0.0"),  # noqa: S104 - a pod is reached from outside
        port=int(os.environ.get("DIGITS_PORT", "8080")),
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=5,
        log_config=None,
    )
    print(json.dumps({"serving": oip.NAME, "version": model.version}), flush=True)
    DrainingServer(
        config,
        drain,
        quiet=float(os.environ.get("DIGITS_QUIET", "3")),
        limit=float(os.environ.get("DIGITS_LIMIT", "20")),
    ).run()


if __name__ == "__main__":
    main()
