"""What the command is given in tests, and how it is called."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from modeldeploy.cli import command
from unit.core.backtest.past import NAME, NAMESPACE
from unit.core.judgement.simulation import SEVEN


class Given(NamedTuple):
    """Files for the command, and the second at which the live core found the fault in them."""

    manifest: Path
    openmetrics: Path
    table: Path
    found_at: float


def manifest(metrics: Sequence[Mapping[str, Any]] = SEVEN, **monitoring: Any) -> dict[str, Any]:
    return {
        "apiVersion": "modeldeploy.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "model": {"version": "1"},
            "server": {"image": "model:1"},
            "monitoring": {"interval": "5s", "metrics": [dict(one) for one in metrics], **monitoring},
        },
    }


def backtest(*arguments: object) -> int:
    return command.main(["backtest", *map(str, arguments)])
