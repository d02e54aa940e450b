"""An application of Ray Serve's."""

import asyncio
import sys

import ray
from ray import serve
from starlette.requests import Request


@serve.deployment
class Tiny:
    async def __call__(self, request: Request) -> dict[str, float]:
        number = (await request.json())["x"]
        if number < 0:
            raise RuntimeError("below 0")
        await asyncio.sleep(0.06)
        return {"y": 2 * number}


app = Tiny.bind()

if __name__ == "__main__":
    http, metrics, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    ray.init(
        num_cpus=2,
        object_store_memory=100_000_000,
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        _metrics_export_port=metrics,
        _temp_dir=folder,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": http})
    serve.run(app, blocking=True)
