"""MLServer's own scikit-learn runtime, 60 ms later."""

import asyncio

from mlserver.types import InferenceRequest, InferenceResponse
from mlserver_sklearn import SKLearnModel


class Slow(SKLearnModel):
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        answer = await super().predict(payload)
        await asyncio.sleep(0.06)
        return answer
