"""One story played to its end in a namespace of its own, while the operator is killed as planned."""

import asyncio
import contextlib
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from api.kill.operators import Guard, Operator
from api.kill.scenarios import SCENARIOS, Scenario
from api.kill.stage import PATIENCE, Stage, stage, writes
from api.kill.states import State, difference
from api.kill.world import World, cancelled
from cluster.network import free_port

STAYS = 0.7
"""Seconds for which an end that was reached must last."""


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


async def undisturbed(world: World, kubeconfig: Path, folder: Path, scenario: Scenario) -> Ended:
    """Play a story with an operator that nobody disturbs."""
    async with _guarded(world, kubeconfig, folder) as (on, guard):
        try:
            await play(on, scenario)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{_last_words(guard)}") from None
        await on.quiet()
        state = await on.state()
        assert scenario.ends is None or scenario.ends(on.status), state["status"]
        return Ended(state, tuple(on.traffic), writes=await writes(guard.operator))


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
    phases: Counter[str] = Counter()
    async with _guarded(world, kubeconfig, folder, plan.faults, plan.renamed) as (on, guard):
        guard.killed = lambda: phases.update([str(on.status.get("phase", "none"))])
        try:
            await play(on, scenario)
            await reach(on, reference)
        except AssertionError as error:
            raise AssertionError(f"{plan}: {error}\n{_last_words(guard)}") from None
        return Ended(reference.state, tuple(on.traffic), sum(phases.values()), phases)


def _last_words(guard: Guard) -> str:
    return "\n".join(log.read_text(errors="replace")[-2000:] for log in guard.logs)


@contextlib.asynccontextmanager
async def _guarded(
    world: World,
    kubeconfig: Path,
    folder: Path,
    faults: Sequence[str] = (),
    renamed: Sequence[bool] = (),
) -> AsyncIterator[tuple[Stage, Guard]]:
    """A stage with an operator that is started again whenever it is killed."""
    port = free_port()
    async with stage(world, [port]) as on:
        operator = Operator(folder, kubeconfig, on.namespace, xds_port=port)
        guard = Guard(operator, iter(faults), iter(renamed))
        on.trouble = lambda: guard.failure
        keeping = asyncio.create_task(guard.keep())
        try:
            yield on, guard
        finally:
            await cancelled(keeping)
            await operator.stop()


async def play(on: Stage, scenario: Scenario) -> None:
    """Do what the user does, and wait for the story's end."""
    await scenario.play(on)
    if scenario.ends:
        await on.until(scenario.ends, "the end of the story")
    else:
        await on.gone()


async def reach(on: Stage, reference: Ended) -> None:
    """Wait until everything is as it was when nobody disturbed, and stays so."""
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
