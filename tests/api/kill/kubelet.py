"""A stand-in for the kubelet: every pod of a namespace starts at once, and a router's when it is configured.

Where nodes are played, no program runs in a pod and no address of one can be reached. Models need none here:
nobody sends them requests. A router must answer the operator, so its pod's address is one of this machine's
loopback network, where a `Router` of ours answers.
"""

import asyncio
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime

from api.kill.routers import Router
from api.kill.world import World, cancelled
from modeldeploy.adapters.kube.errors import NotFound
from modeldeploy.adapters.kube.resources import POD, Object
from modeldeploy.core.naming import COMPONENT
from modeldeploy.render.traffic.router_objects import NAME as ACCOUNT
from modeldeploy.render.traffic.router_objects import TOKEN_AUDIENCE

_numbers = itertools.count(1)


class Kubelet:
    """Plays the pods of one namespace.

    Args:
        world: The cluster.
        namespace: The namespace.
        xds_ports: Where on this machine operators answer routers.
    """

    def __init__(self, world: World, namespace: str, xds_ports: Sequence[int]) -> None:
        self.routers: dict[str, Router] = {}
        self._world = world
        self._namespace = namespace
        self._xds_ports = xds_ports
        self._known: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: str | None = None
        world.hear("Pod", namespace, self._heard)

    @property
    def failure(self) -> str | None:
        """Why one of its pods is none any more; no operator is to blame for what comes of that."""
        return next(filter(None, (router.failure for router in self.routers.values())), self._failure)

    async def stop(self) -> None:
        await cancelled(*self._tasks)
        for router in self.routers.values():
            await router.stop()

    def _heard(self, event: str, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if event == "DELETED":
            router = self.routers.pop(uid, None)
            if router:
                self._do(router.stop())
        elif uid not in self._known:
            self._known.add(uid)
            self._do(self._run(pod))

    def _do(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            self._failure = f"the kubelet: {task.exception()!r}"

    async def _run(self, pod: Object) -> None:
        number = next(_numbers)
        address = f"10.244.{number // 250 % 250}.{number % 250 + 1}"
        if pod["metadata"]["labels"].get(COMPONENT) == "router":
            token = await self._world.token(self._namespace, ACCOUNT, TOKEN_AUDIENCE)
            router = self.routers[pod["metadata"]["uid"]] = Router(self._xds_ports, token)
            address = router.address
            router.start()
            await router.configured.wait()
        try:
            await self._world.kube.patch(
                POD,
                self._namespace,
                pod["metadata"]["name"],
                {"status": _running(pod, address)},
                subresource="status",
            )
        except NotFound:
            return


def _running(pod: Object, address: str) -> Object:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    kinds = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    return {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": now,
        "conditions": [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in kinds],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": container["image"],
                "containerID": f"played://{pod['metadata']['uid']}",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }
            for container in pod["spec"]["containers"]
        ],
    }
