"""Looks at the metrics, one per interval and object, in the background: a slow metrics store delays nothing else."""

from collections.abc import Callable
from datetime import datetime

from modeldeploy.adapters.clock import Clock
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus
from modeldeploy.core.assessment import Assessment
from modeldeploy.render.meta import Owner


class Judge:
    def __init__(self, sampler, clock: Clock, wake: Callable[[Owner], None]) -> None:
        pass

    def look(
        self, of: Owner, spec: ModelDeploymentSpec, status: ModelDeploymentStatus, now: datetime
    ) -> tuple[Assessment, ...]:
        return ()

    def next_look(self, uid: str) -> datetime | None:
        return None

    def complaint(self, spec: ModelDeploymentSpec | None) -> str | None:
        return None

    def forget(self, uid: str) -> None: ...
    def forget_all(self) -> None: ...
    async def stop(self) -> None: ...
