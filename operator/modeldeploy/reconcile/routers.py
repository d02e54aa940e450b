"""The routers of a namespace, which all its ModelDeployments own together."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from modeldeploy.adapters.clock import Clock
from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import Forbidden, Invalid, KubeError, Terminating
from modeldeploy.api.v1alpha1.traffic import Provider
from modeldeploy.core.naming import COMPONENT, MANAGED_BY, REPLICAS_FIELD_MANAGER
from modeldeploy.core.plan import Key, key
from modeldeploy.reconcile.apply import CONFLICT_PAUSE, Applier, NameTaken
from modeldeploy.reconcile.observe import owner
from modeldeploy.reconcile.routes import tls_secret
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
        self._kube = kube
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
        users = [
            obj
            for obj in self._cache.objects("ModelDeployment", namespace)
            if not obj["metadata"].get("deletionTimestamp") and _is_routed(obj)
        ]
        if not users:
            self._settled.pop(namespace, None)
            self._problems.pop(namespace, None)
            return None
        try:
            await self._carry_out(namespace, users)
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

    async def _carry_out(self, namespace: str, users: Sequence[Object]) -> None:
        deployment = self._cache.get("Deployment", namespace, NAME)
        wanted = router(
            namespace,
            [owner(obj) for obj in users],
            self._settings,
            tls_secrets=[secret for secret in map(tls_secret, users) if secret],
            handed_over=deployment is not None,
        )
        scaler = self._cache.get("HorizontalPodAutoscaler", namespace, NAME)
        if self._settings.autoscaling and deployment is not None and _is_ours(deployment) and scaler is None:
            await self._hand_over(deployment)
        await self._applier.carry_out(
            wanted,
            self._unwanted(namespace, wanted, deployment),
            namespace=namespace,
            is_ours=_is_ours,
            settled=self._settled.setdefault(namespace, {}),
        )

    async def _hand_over(self, deployment: Object) -> None:
        """Keep the number of pods under a field manager of its own before an autoscaler takes over.

        Server-side apply would set it back to its default once its only owner stops stating it.
        """
        held = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME, "namespace": deployment["metadata"]["namespace"]},
            "spec": {"replicas": deployment["spec"].get("replicas", 1)},
        }
        self._cache.wrote(await self._kube.apply(held, manager=REPLICAS_FIELD_MANAGER))

    def _note(self, namespace: str, problem: NameTaken | KubeError | None) -> None:
        before = self._problems.pop(namespace, None)
        if problem:
            self._problems[namespace] = problem
        if (before and before.message) != (problem and problem.message):
            self._troubled(namespace)

    def _unwanted(
        self, namespace: str, wanted: list[dict[str, Any]], deployment: Object | None
    ) -> list[Object]:
        """An autoscaler not asked for, and configurations that no pod mounts: the Deployment has rolled."""
        rolled = deployment is not None and _has_rolled(deployment)
        kinds = ("HorizontalPodAutoscaler", *(("ConfigMap",) if rolled else ()))
        keys = {key(item) for item in wanted}
        return [
            found
            for kind in kinds
            for found in self._cache.objects(kind, namespace)
            if _is_ours(found) and key(found) not in keys
        ]


def _is_routed(obj: Object) -> bool:
    traffic = (obj.get("spec") or {}).get("traffic") or {}
    return (traffic.get("provider") or Provider.ROUTER) == Provider.ROUTER


def _is_ours(obj: Object) -> bool:
    labels = obj["metadata"].get("labels") or {}
    return bool(labels.get(MANAGED_BY) == "modeldeploy" and labels.get(COMPONENT) == "router")


def _has_rolled(deployment: Object) -> bool:
    status = deployment.get("status") or {}
    wanted = deployment["spec"].get("replicas", 1)
    seen = (status.get("observedGeneration"), status.get("updatedReplicas"), status.get("replicas"))
    return bool(seen == (deployment["metadata"].get("generation"), wanted, wanted))
