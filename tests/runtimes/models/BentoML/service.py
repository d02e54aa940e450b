"""A service of BentoML's."""

import time

import bentoml


@bentoml.service(workers=1)
class Tiny:
    @bentoml.api
    def predict(self, x: float) -> float:
        if x < 0:
            raise RuntimeError("below 0")
        time.sleep(0.06)
        return 2 * x
