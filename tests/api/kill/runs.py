"""One story played to its end in a namespace of its own, while the operator is killed as planned."""

import asyncio
import contextlib
import itertools
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from api.kill.kubelet import Kubelet
from api.kill.operators import Guard, Operator
from api.kill.scenarios import SCENARIOS, Scenario, Status
from api.kill.states import State, children, difference, status_of, told
from api.kill.world import World, cancelled, until
from modeldeploy.adapters.kube.errors import KubeError
from modeldeploy.adapters.kube.resources import MODEL_DEPLOYMENT, NAMESPACE, Object

PATIENCE = 60.0
QUIET = 1.5
"""Seconds without a change after which a story that nobody disturbs is over."""
STAYS = 0.7
"""Seconds for which an end that was reached must last."""
READS = frozenset({"get", "list"})


@dataclass(frozen=True)
class Ended:
    """How a story ended.

    Attributes:
        state: The object's status and children.
        traffic: Every split of requests that the status stated, in order.
        kills: Processes ended by SIGKILL.
        phases: How often the object was in which phase when that happened.
        writes: Requests that changed something, of the last process.
    """

    state: State
    traffic: tuple[str, ...]
    kills: int = 0
    phases: Mapping[str, int] = field(default_factory=dict)
    writes: int = 0


class Stage:
    """A namespace with an operator, a user and played pods.

    Args:
        world: The cluster.
        kubeconfig: The way there for the operator.
        folder: For logs.
        faults: For each process of the operator.
        renamed: For each start after a kill, whether the new process is another pod.
    """

    def __init__(
        self,
        world: World,
        kubeconfig: Path,
        folder: Path,
        faults: Sequence[str] = (),
        renamed: Sequence[bool] = (),
    ) -> None:
        self.namespace = f"kill-{secrets.token_hex(4)}"
        self.operator = Operator(folder, kubeconfig, self.namespace)
        self.phases: Counter[str] = Counter()
        self.traffic: list[str] = []
        self.changes = 0
        self._world = world
        self._object: Object | None = None
        self._kubelet = Kubelet(world, self.namespace, self.operator.xds_port)
        self.guard = Guard(self.operator, iter(faults), iter(renamed), self._killed)
        self._keeping: asyncio.Task[None] | None = None

    @property
    def status(self) -> Status:
        return (self._object or {}).get("status") or {}

    async def begin(self) -> None:
        meta = {"name": self.namespace}
        await self._world.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        self._world.hear("ModelDeployment", self.namespace, self._heard)
        self._world.hear("Pod", self.namespace, self._stirred)
        self._keeping = asyncio.create_task(self.guard.keep())

    async def end(self) -> None:
        if self._keeping:
            await cancelled(self._keeping)
        await self.operator.stop()
        await self._kubelet.stop()
        self._world.forget(self.namespace)
        with contextlib.suppress(KubeError):
            await self._world.kube.delete(NAMESPACE, None, self.namespace)

    async def apply(self, obj: Object) -> None:
        placed = {**obj, "metadata": {**obj["metadata"], "namespace": self.namespace}}
        self._object = await self._world.kube.apply(placed, manager="user")

    async def delete(self) -> None:
        await self._world.kube.delete(MODEL_DEPLOYMENT, self.namespace, "model")

    async def until(self, so: Callable[[Status], object], what: str) -> Status:
        def look() -> bool:
            assert self.guard.failure is None, self.guard.failure
            current = self._object and self.status.get("observedGeneration") == self._generation()
            return bool(current and so(self.status))

        await until(look, lambda: f"{what}: {told(self.status, self.namespace)}", PATIENCE)
        return self.status

    async def gone(self) -> None:
        """Wait for the object's own end."""
        await until(lambda: self._object is None, "the object's end", PATIENCE)

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

    async def writes(self) -> int:
        """Requests of the running process that changed something."""
        url = f"http://127.0.0.1:{self.operator.metrics_port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            lines = (await answer.text()).splitlines()
        counted = [line for line in lines if line.startswith("modeldeploy_api_requests_total")]
        asked = [line for line in counted if not any(f'verb="{verb}"' in line for verb in READS)]
        return int(sum(float(line.split()[-1]) for line in asked if "TokenReview" not in line))

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

    def _killed(self) -> None:
        self.phases[str(self.status.get("phase", "none"))] += 1


@contextlib.asynccontextmanager
async def stage(
    world: World,
    kubeconfig: Path,
    folder: Path,
    faults: Sequence[str] = (),
    renamed: Sequence[bool] = (),
) -> AsyncIterator[Stage]:
    made = Stage(world, kubeconfig, folder, faults, renamed)
    try:
        await made.begin()
        yield made
    finally:
        await made.end()


async def undisturbed(world: World, kubeconfig: Path, folder: Path, scenario: Scenario) -> Ended:
    """Play a story with an operator that nobody disturbs."""
    async with stage(world, kubeconfig, folder) as on:
        await _play(on, scenario)
        await on.quiet()
        state = await on.state()
        assert scenario.ends is None or scenario.ends(on.status), state["status"]
        return Ended(state, tuple(on.traffic), writes=await on.writes())


async def references(
    world: World, kubeconfig: Path, folder: Path, names: Iterable[str] = SCENARIOS
) -> dict[str, Ended]:
    """By story, how it ends with an operator that nobody disturbs."""
    wanted = list(names)
    found = await asyncio.gather(
        *(undisturbed(world, kubeconfig, folder, SCENARIOS[name]) for name in wanted)
    )
    return dict(zip(wanted, found, strict=True))


async def disturbed(
    world: World, kubeconfig: Path, folder: Path, scenario: Scenario, plan: "Plan", reference: Ended
) -> Ended:
    """Play the same with an operator that is killed as planned; it must come to the same end.

    Raises:
        AssertionError: It came to another one, or traffic went another way.
    """
    async with stage(world, kubeconfig, folder, plan.faults, plan.renamed) as on:
        try:
            await _play(on, scenario)
            await _reach(on, reference)
        except AssertionError as error:
            text = on.operator.log.read_text(errors="replace")[-3000:]
            raise AssertionError(f"{plan}: {error}\n{text}") from None
        return Ended(reference.state, tuple(on.traffic), sum(on.phases.values()), on.phases)


async def _play(on: Stage, scenario: Scenario) -> None:
    await scenario.play(on)
    if scenario.ends:
        await on.until(scenario.ends, "the end of the story")
    else:
        await on.gone()


async def _reach(on: Stage, reference: Ended) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE / 2
    while found := difference(await on.state(), reference.state):
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError("another end:\n" + "\n".join(found))
        await asyncio.sleep(0.3)
    await asyncio.sleep(STAYS)
    found = difference(await on.state(), reference.state)
    assert not found, "the end did not last:\n" + "\n".join(found)
    other = difference(list(on.traffic), list(reference.traffic))
    assert not other, "traffic went another way:\n" + "\n".join(other)


@dataclass(frozen=True)
class Plan:
    """When the operator is killed.

    Attributes:
        seed: What the plan was made from.
        name: The story.
        faults: For each process, the write before or after which it ends.
        renamed: For each start after, whether it is another pod, which waits for the lease.
    """

    seed: int
    name: str
    faults: tuple[str, ...]
    renamed: tuple[bool, ...]


def plans(count: int, writes: Mapping[str, int], seed: int = 0) -> list[Plan]:
    """Plans for so many runs, each story as often as the others.

    The first kill of a story's runs goes through its writes in random order, before and after each, so that
    with enough runs none is left out; the later ones are random.

    Args:
        count: Runs.
        writes: By story, the writes of an operator that nobody disturbs.
        seed: Of all choices.
    """
    dice = random.Random(seed)  # noqa: S311
    places = {}
    for name in SCENARIOS:
        points = [f"kill {when} {at}" for at in range(1, writes[name] + 1) for when in ("before", "after")]
        dice.shuffle(points)
        places[name] = itertools.cycle(points)
    made = []
    for number, name in zip(range(count), itertools.cycle(SCENARIOS), strict=False):
        later = [
            f"kill {dice.choice(('before', 'after'))} {dice.randint(1, 6)}" for _ in range(dice.randint(0, 3))
        ]
        renamed = [dice.random() < 0.15 for _ in range(4)]
        made.append(Plan(number, name, (next(places[name]), *later), tuple(renamed)))
    return made


async def all_of(
    world: World,
    kubeconfig: Path,
    folder: Path,
    wanted: Sequence[Plan],
    references: Mapping[str, Ended],
    *,
    at_once: int,
    tell: Callable[[Plan, Ended | AssertionError], None],
) -> list[Ended | AssertionError]:
    """Run plans, some at a time; how each ended."""
    slots = asyncio.Semaphore(at_once)

    async def one(plan: Plan) -> Ended | AssertionError:
        async with slots:
            try:
                found: Ended | AssertionError = await disturbed(
                    world, kubeconfig, folder, SCENARIOS[plan.name], plan, references[plan.name]
                )
            except AssertionError as error:
                found = error
            tell(plan, found)
            return found

    return await asyncio.gather(*map(one, wanted))
