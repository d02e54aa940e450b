"""The operator killed between any two of its writes: every story ends as if nobody had.

Twenty of the runs that `python -m bench --only kill_runs_ok` makes two hundred of.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from api.kill.operators import KILLED, Operator
from api.kill.runs import Ended, Plan, all_of, plans, references
from api.kill.world import World
from modeldeploy.adapters.kube.fault import Fault

pytestmark = [pytest.mark.api, pytest.mark.usefixtures("definition")]

RUNS = 20
AT_ONCE = 5


@pytest_asyncio.fixture(scope="module")
async def undisturbed_ends(
    watched: World, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Ended]:
    return await references(watched, kubeconfig, tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.timeout(1200)  # a hundred and more processes start here, on however busy a machine
async def test_a_killed_operator_ends_where_another_one_ends(
    watched: World, kubeconfig: Path, undisturbed_ends: Mapping[str, Ended], tmp_path: Path
) -> None:
    writes = {name: found.writes for name, found in undisturbed_ends.items()}
    wanted = plans(RUNS, writes)
    found = await all_of(
        watched,
        kubeconfig,
        tmp_path,
        wanted,
        undisturbed_ends,
        at_once=AT_ONCE,
        tell=_told,
    )
    failures = [str(end) for end in found if isinstance(end, AssertionError)]
    assert not failures, "\n\n".join(failures)
    # Else nothing was tried.
    assert sum(end.kills for end in found if isinstance(end, Ended)) > RUNS


def _told(plan: Plan, end: Ended | AssertionError) -> None:
    print(plan.name, plan.faults, "failed" if isinstance(end, AssertionError) else "ok")


@pytest.mark.parametrize("text", ["kill", "kill before 0", "end after 3", "kill after 3 times"])
def test_a_fault_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="MODELDEPLOY_FAULT is"):
        Fault.planned({"MODELDEPLOY_FAULT": text})


def test_without_a_word_nothing_is_planned() -> None:
    assert Fault.planned({}) is None


async def test_a_planned_fault_ends_the_process_at_its_write(
    kubeconfig: Path, namespace: str, tmp_path: Path, watched: World
) -> None:
    operator = Operator(tmp_path, kubeconfig, namespace)
    await operator.start("kill before 1")
    meta = {"name": "model", "namespace": namespace}
    await watched.kube.apply(
        {
            "apiVersion": "modeldeploy.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": meta,
            "spec": {"model": {"version": "1"}, "server": {"runtime": "OpenInference", "image": "none:1"}},
        },
        manager="user",
    )
    try:
        async with asyncio.timeout(30):
            assert await operator.ended() == KILLED
    finally:
        await operator.stop()
