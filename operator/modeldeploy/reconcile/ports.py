"""Ports of listeners, each unique among the objects that share their namespace's routers."""

from collections.abc import Iterable, Mapping
from typing import Any

from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus, Routing
from modeldeploy.core.request import read_status
from modeldeploy.core.snapshot import Revision
from modeldeploy.render.traffic.router_objects import ServicePort

FIRST, LAST = 10000, 29999
MOST = 4
"""Extra ports of one object. While two revisions have others, stable's come first."""
OWN = ""
"""Stands for the port's name where it is the object's own."""


class Ports:
    """Gives out ports. Only the leader does, and without waiting between looking and giving."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._given: dict[str, dict[tuple[str, str], int]] = {}

    def allocate(self, namespace: str, uid: str, name: str = OWN) -> int:
        """A free port for an object, the same one each time until `release`."""
        given = self._given.setdefault(namespace, {})
        if (uid, name) not in given:
            taken = set(given.values())
            for obj in self._cache.objects("ModelDeployment", namespace):
                routing = read_status(obj).routing
                if routing:
                    taken |= {routing.port, *routing.extra_ports.values()}
            given[uid, name] = next(port for port in range(FIRST, LAST + 1) if port not in taken)
        return given[uid, name]

    def routing(
        self, namespace: str, uid: str, status: ModelDeploymentStatus, names: Iterable[str] = ()
    ) -> Routing:
        """An object's place on the routers: its ports in status stay, those that lack are given.

        Args:
            namespace: The object's.
            uid: The object's.
            status: With its place so far.
            names: Of the extra ports that its revisions have; others lose their listener.
        """
        before = status.routing
        known = before.extra_ports if before else {}
        extra = {name: known.get(name) or self.allocate(namespace, uid, name) for name in names}
        own = before.port if before else self.allocate(namespace, uid)
        return Routing(port=own, extra_ports=extra)

    def release(self, namespace: str, uid: str) -> None:
        """The object is gone."""
        given = self._given.get(namespace, {})
        for key in [key for key in given if key[0] == uid]:
            del given[key]
        if not given:
            self._given.pop(namespace, None)


def extra_ports(status: ModelDeploymentStatus, known: Mapping[str, Revision]) -> dict[str, int]:
    """The extra ports of the revisions that serve or may serve soon, by name: their numbers in Services."""
    roles = (status.stable, status.candidate, status.successor, status.previous, *status.draining)
    found: dict[str, int] = {}
    for role in roles:
        revision = known.get(role.revision) if role else None
        for port in server_ports(revision.content) if revision else ():
            if len(found) < MOST:
                found.setdefault(port["name"], port["port"])
    return found


def service_ports(status: ModelDeploymentStatus, known: Mapping[str, Revision]) -> list[ServicePort]:
    """How the Service `<name>` leads to the listeners of extra ports."""
    listeners = status.routing.extra_ports if status.routing else {}
    return [
        ServicePort(name, number, listeners[name])
        for name, number in extra_ports(status, known).items()
        if name in listeners
    ]


def server_ports(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A revision's extra ports as its content states them: `name`, `port`, perhaps `protocol`."""
    return list(content["server"].get("extraPorts") or ())
