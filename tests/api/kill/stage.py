"""A namespace in which a story is played: the user, the pods, and what is seen of them."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Sequence

import aiohttp

from api.kill.kubelet import Kubelet
from api.kill.operators import Operator
from api.kill.scenarios import Status
from api.kill.states import State, children, status_of, told
from api.kill.world import World, until
from modeldeploy.adapters.kube.errors import KubeError
from modeldeploy.adapters.kube.resources import MODEL_DEPLOYMENT, NAMESPACE, Object

PATIENCE = 120.0
QUIET = 1.5
"""Seconds without a change after which a story that nobody disturbs is over."""
READS = frozenset({"get", "list"})


class Stage:
    """A namespace with a user and played pods.

    Args:
        world: The cluster.
        xds_ports: Where on this machine operators will answer routers.

    Attributes:
        namespace: Its name.
        traffic: Every split of requests that the status stated, in order.
        changes: Events of its ModelDeployments and pods.
        trouble: Tells why nothing can be waited for any more.
    """

    def __init__(self, world: World, xds_ports: Sequence[int]) -> None:
        self.namespace = f"kill-{secrets.token_hex(4)}"
        self.traffic: list[str] = []
        self.changes = 0
        self.trouble: Callable[[], str | None] = lambda: None
        self.kubelet = Kubelet(world, self.namespace, xds_ports)
        self._world = world
        self._object: Object | None = None

    @property
    def status(self) -> Status:
        return (self._object or {}).get("status") or {}

    async def begin(self) -> None:
        meta = {"name": self.namespace}
        await self._world.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        self._world.hear("ModelDeployment", self.namespace, self._heard)
        self._world.hear("Pod", self.namespace, self._stirred)

    async def end(self) -> None:
        await self.kubelet.stop()
        self._world.forget(self.namespace)
        with contextlib.suppress(KubeError):
            await self._world.kube.delete(NAMESPACE, None, self.namespace)

    async def apply(self, obj: Object) -> None:
        placed = {**obj, "metadata": {**obj["metadata"], "namespace": self.namespace}}
        made = await self._world.kube.apply(placed, manager="user")
        if self._object is None or _version(self._object) < _version(made):  # else the watch was faster
            self._object = made

    async def delete(self) -> None:
        await self._world.kube.delete(MODEL_DEPLOYMENT, self.namespace, "model")

    async def until(self, so: Callable[[Status], object], what: str) -> Status:
        def look() -> bool:
            trouble = self.trouble() or self.kubelet.failure or self._world.failure
            assert trouble is None, trouble
            current = self._object and self.status.get("observedGeneration") == self._generation()
            return bool(current and so(self.status))

        await until(look, lambda: f"{what}: {told(self.status, self.namespace)}", PATIENCE)
        return self.status

    async def gone(self) -> None:
        """Wait for the object's end, and for that of its children.

        The garbage collector may first have to learn of its kind, which takes it half a minute.
        """
        await until(lambda: self._object is None, "the object's end", PATIENCE)
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while left := await children(self._world.kube, self.namespace):
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"still there after the object's end: {', '.join(left)}")
            await asyncio.sleep(0.2)

    async def quiet(self) -> None:
        """Wait until nothing has changed for a while."""
        seen = -1
        while seen != self.changes:
            seen = self.changes
            await asyncio.sleep(QUIET)

    async def state(self) -> State:
        kube = self._world.kube
        status = await status_of(kube, self.namespace)
        return {
            "status": None if status is None else told(status, self.namespace),
            "children": await children(kube, self.namespace),
        }

    def _generation(self) -> int:
        return int(self._object["metadata"]["generation"]) if self._object else 0

    def _heard(self, event: str, obj: Object) -> None:
        self.changes += 1
        self._object = None if event == "DELETED" else obj
        status = self.status
        stable, candidate = status.get("stable"), status.get("candidate")
        shares = [f"{track['modelVersion']} {track['weight']}%" for track in (stable, candidate) if track]
        split = f"{status.get('trafficGeneration', 0)}: {', '.join(shares)}"
        if event != "DELETED" and split not in self.traffic[-1:]:
            self.traffic.append(split)

    def _stirred(self, _event: str, _pod: Object) -> None:
        self.changes += 1


def _version(obj: Object) -> int:
    return int(obj["metadata"]["resourceVersion"])


@contextlib.asynccontextmanager
async def stage(world: World, xds_ports: Sequence[int]) -> AsyncIterator[Stage]:
    """A stage until the block ends; its operators must have ended by then."""
    made = Stage(world, xds_ports)
    await made.begin()
    try:
        yield made
    finally:
        await made.end()


async def counted(operator: Operator) -> dict[str, float]:
    """What a running operator tells of itself."""
    url = f"http://127.0.0.1:{operator.metrics_port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        lines = (await answer.text()).splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def writes(operator: Operator) -> int:
    """Requests of the running process that changed something."""
    found = (await counted(operator)).items()
    sent = ((name, value) for name, value in found if name.startswith("modeldeploy_api_requests_total"))
    asked = (f'verb="{verb}"' for verb in READS)
    ignored = (*asked, "TokenReview")
    return int(sum(value for name, value in sent if not any(word in name for word in ignored)))
