"""A model of KServe's SDK."""

import argparse
import asyncio
from typing import Any

from kserve import Model, ModelServer, model_server


class Tiny(Model):
    def __init__(self) -> None:
        super().__init__("tiny")
        self.ready = True

    async def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        del headers, response_headers
        number = payload["instances"][0]
        if number < 0:
            raise RuntimeError("below 0")
        await asyncio.sleep(0.06)
        return {"predictions": [2 * number]}


if __name__ == "__main__":
    argparse.ArgumentParser(parents=[model_server.parser]).parse_known_args()
    ModelServer().start([Tiny()])
