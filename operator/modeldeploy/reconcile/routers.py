"""The routers of a namespace, which all its ModelDeployments own together."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from modeldeploy.adapters.clock import Clock
from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import Forbidden, Invalid, KubeError, Terminating
from modeldeploy.core.naming import COMPONENT, MANAGED_BY
from modeldeploy.core.plan import Key
from modeldeploy.reconcile.apply import CONFLICT_PAUSE, Applier, NameTaken
from modeldeploy.reconcile.observe import owner
from modeldeploy.render.traffic.router_objects import NAME, RouterSettings, router

Object = Mapping[str, Any]


class RouterReconciler:
    """Keeps each namespace's router.

    Args:
        kube: The API server.
        cache: What was last seen of it.
        settings: The installation's.
        clock: The time.
        troubled: Told of a namespace whose `problem` has changed.
    """

    def __init__(
        self,
        kube: Kube,
        cache: Cache,
        settings: RouterSettings,
        clock: Clock,
        troubled: Callable[[str], None],
    ) -> None:
        self._cache = cache
        self._applier = Applier(kube, cache)
        self._settings = settings
        self._clock = clock
        self._troubled = troubled
        self._settled: dict[str, dict[Key, str]] = {}
        self._problems: dict[str, NameTaken | KubeError] = {}

    def problem(self, namespace: str) -> NameTaken | KubeError | None:
        """Why the namespace's router can't be made; None while nothing is in the way."""
        return self._problems.get(namespace)

    async def reconcile(self, namespace: str) -> datetime | None:
        """One look. With the namespace's last ModelDeployment the garbage collector takes the router."""
        owners = [
            owner(obj)
            for obj in self._cache.objects("ModelDeployment", namespace)
            if not obj["metadata"].get("deletionTimestamp")
        ]
        if not owners:
            self._settled.pop(namespace, None)
            self._problems.pop(namespace, None)
            return None
        wanted = router(namespace, owners, self._settings)
        try:
            await self._applier.carry_out(
                wanted,
                self._old_configurations(namespace, wanted),
                namespace=namespace,
                is_ours=_is_ours,
                settled=self._settled.setdefault(namespace, {}),
            )
        except Terminating:
            return None
        except NameTaken as taken:
            self._note(namespace, taken)
            return self._clock.now() + CONFLICT_PAUSE
        except (Invalid, Forbidden) as error:
            self._note(namespace, error)
            raise
        self._note(namespace, None)
        return None

    def _note(self, namespace: str, problem: NameTaken | KubeError | None) -> None:
        before = self._problems.pop(namespace, None)
        if problem:
            self._problems[namespace] = problem
        if (before and before.message) != (problem and problem.message):
            self._troubled(namespace)

    def _old_configurations(self, namespace: str, wanted: list[dict[str, Any]]) -> list[Object]:
        """Configurations that no pod mounts any more: the Deployment has rolled to the present one."""
        deployment = self._cache.get("Deployment", namespace, NAME)
        if deployment is None or not _has_rolled(deployment):
            return []
        names = {item["metadata"]["name"] for item in wanted}
        return [
            found
            for found in self._cache.objects("ConfigMap", namespace)
            if _is_ours(found) and found["metadata"]["name"] not in names
        ]


def _is_ours(obj: Object) -> bool:
    labels = obj["metadata"].get("labels") or {}
    return bool(labels.get(MANAGED_BY) == "modeldeploy" and labels.get(COMPONENT) == "router")


def _has_rolled(deployment: Object) -> bool:
    status = deployment.get("status") or {}
    wanted = deployment["spec"].get("replicas", 1)
    seen = (status.get("observedGeneration"), status.get("updatedReplicas"), status.get("replicas"))
    return bool(seen == (deployment["metadata"].get("generation"), wanted, wanted))
