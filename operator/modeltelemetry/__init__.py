"""The part that runs beside a model: what a model server exports, so that a rollout can be judged.

Three things, for any ASGI server (Starlette, FastAPI, Quart):

- :class:`Telemetry` holds the metrics, :class:`Recorder` is one module's handle on them;
- :class:`TelemetryMiddleware` counts and times the requests of the model's own paths;
- :func:`telemetry_routes` gives ``GET /metrics`` and ``POST /feedback``.

In a Starlette application::

    telemetry = Telemetry(("digits",))
    recorder = telemetry.module("digits")

    async def infer(request):
        ...
        recorder.inputs(size=2, values=128, missing=0)
        recorder.outputs(values=2, nulls=0, confidence=(0.98, 0.87))
        ...

    app = Starlette(routes=[Route("/infer", infer, methods=["POST"]), *telemetry_routes(telemetry)])
    app.add_middleware(TelemetryMiddleware, telemetry=telemetry, paths={"/infer": "digits"})

A training job writes with :class:`Reference` what the model was trained on, in the same buckets, so that
drift can be measured from it.

Revision and model version are never labels here: scraping puts them on from the pod's labels, so a server
cannot claim to be another revision. Request ids are never labels either.
"""

from modeltelemetry.endpoints import feedback_endpoint, metrics_endpoint, telemetry_routes
from modeltelemetry.metrics import Buckets
from modeltelemetry.middleware import TelemetryMiddleware
from modeltelemetry.recorder import Recorder
from modeltelemetry.reference import Reference
from modeltelemetry.telemetry import Telemetry

__all__ = [
    "Buckets",
    "Recorder",
    "Reference",
    "Telemetry",
    "TelemetryMiddleware",
    "feedback_endpoint",
    "metrics_endpoint",
    "telemetry_routes",
]
