"""What users do while operators are killed: each a short story with one possible end."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from modeldeploy.adapters.kube.resources import Object

Status = Mapping[str, Any]
LONG = [{"weight": 30, "hold": "10m"}]
"""Steps that end only by what the user does."""
SHORT = [{"weight": 30, "hold": "1s"}, {"weight": 60, "hold": "1s"}]


class User(Protocol):
    """What a user can do."""

    async def apply(self, obj: Object) -> None:
        """Apply a manifest."""

    async def delete(self) -> None:
        """Delete the object."""

    async def until(self, so: Callable[[Status], object], what: str) -> Status:
        """Wait until the status is so."""


@dataclass(frozen=True)
class Scenario:
    """A story.

    Attributes:
        play: What the user does.
        ends: Whether a status is the story's end; None for the object's own end.
    """

    play: Callable[[User], Awaitable[None]]
    ends: Callable[[Status], object] | None


def manifest(version: str, steps: list[Object], *, keep: str = "1s", **server: Any) -> Object:
    """A ModelDeployment without metrics, with holds of a second."""
    return {
        "apiVersion": "modeldeploy.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "model"},
        "spec": {
            "model": {"version": version},
            "server": {"runtime": "OpenInference", "image": f"localhost/none:{version}", **server},
            "rollout": {"steps": steps, "keepPrevious": keep, "drain": "1s"},
        },
    }


def serves(version: str, *, warm: str | None = None) -> Callable[[Status], bool]:
    """The version answers everything, and nothing but `warm` stands beside it."""

    def so(status: Status) -> bool:
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status["conditions"])
        stable, previous = status.get("stable") or {}, status.get("previous") or {}
        beside = status.get("candidate") or status.get("draining")
        return (
            ready
            and stable.get("modelVersion") == version
            and stable.get("weight") == 100
            and previous.get("modelVersion") == warm
            and not beside
        )

    return so


def on_trial(version: str) -> Callable[[Status], bool]:
    """The version has got its first share of requests."""

    def so(status: Status) -> bool:
        candidate = status.get("candidate") or {}
        return bool(candidate.get("modelVersion") == version and candidate.get("weight"))

    return so


async def _first(user: User) -> None:
    await user.apply(manifest("v1", SHORT))
    await user.until(serves("v1"), "the first version")


async def _promoted(user: User) -> None:
    await _first(user)
    await user.apply(manifest("v2", SHORT))


async def _returned(user: User) -> None:
    await _first(user)
    await user.apply(manifest("v2", LONG))
    await user.until(on_trial("v2"), "v2 on trial")
    await user.apply(manifest("v1", LONG))


async def _third(user: User) -> None:
    await _first(user)
    await user.apply(manifest("v2", LONG))
    await user.until(on_trial("v2"), "v2 on trial")
    await user.apply(manifest("v3", SHORT))


async def _went_back(user: User) -> None:
    await user.apply(manifest("v1", SHORT, keep="10m"))
    await user.until(serves("v1"), "the first version")
    await user.apply(manifest("v2", SHORT, keep="10m"))
    await user.until(serves("v2", warm="v1"), "v2 promoted")
    await user.apply(manifest("v1", SHORT, keep="10m"))


async def _autoscaled(user: User) -> None:
    await _first(user)
    await user.apply(manifest("v1", SHORT, replicas={"min": 2, "max": 4}))
    await user.until(serves("v1"), "v1 with an autoscaler")
    await user.apply(manifest("v2", SHORT, replicas={"min": 2, "max": 4}))


async def _deleted(user: User) -> None:
    await _first(user)
    await user.apply(manifest("v2", LONG))
    await user.until(on_trial("v2"), "v2 on trial")
    await user.delete()


SCENARIOS: Mapping[str, Scenario] = {
    "first deployment": Scenario(_first, serves("v1")),
    "canary to promotion": Scenario(_promoted, serves("v2")),
    "back to stable in mid-rollout": Scenario(_returned, serves("v1")),
    "third version in mid-rollout": Scenario(_third, serves("v3")),
    "back to the previous version": Scenario(_went_back, serves("v1", warm="v2")),
    "canary with autoscalers": Scenario(_autoscaled, serves("v2")),
    "deletion in mid-rollout": Scenario(_deleted, None),
}
