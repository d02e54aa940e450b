"""Services that lead to a revision's pods by their selectors, for every provider but the Router.

- `<name>` leads to the stable revision and is all that provider Service has: changing its selector moves new
  connections. Connections that are open stay with their pod until it ends.
- `<name>-preview` leads to the candidate while a preview step lets people reach it, and is there only then.
- `<name>-stable` and `<name>-candidate` are the fixed names that a route of the user's own leads to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modeldeploy.api.v1alpha1 import GROUP
from modeldeploy.api.v1alpha1.server import Protocol, Server
from modeldeploy.api.v1alpha1.traffic import Traffic
from modeldeploy.core import naming
from modeldeploy.core.traffic import INCUMBENT, Split
from modeldeploy.render.meta import Owner, child
from modeldeploy.render.workload import selector

Object = dict[str, Any]

PORT = 80
STABLE = f"{GROUP}/stable"
"""Annotation of the Service `<name>`: the stable revision, for the case that status is lost."""
ROUTE = f"{GROUP}/route"
"""Annotation of the tracks' Services: the user's route that is weighed, as `namespace/name`."""
NOBODY = "none"
"""Revision in the selector of a Service that leads nowhere yet: the name is taken, and known to nodes."""


@dataclass(frozen=True, slots=True)
class Target:
    """A Service that gets a share of requests.

    Attributes:
        service: Its name, in the object's namespace.
        port: Its port.
        weight: The share, in percent.
    """

    service: str
    port: int
    weight: int = 0


def target(owner: Owner, traffic: Traffic, revision: str, weight: int = 0) -> Target:
    """The Service of one revision, or the user's own for the incumbent."""
    if revision == INCUMBENT and traffic.incumbent:
        return Target(traffic.incumbent.service, traffic.incumbent.port, weight)
    return Target(naming.object_name(owner.name, revision), PORT, weight)


def targets(owner: Owner, traffic: Traffic, split: Split) -> list[Target]:
    """Stable, then the candidate, whether or not they have a share; nothing before anything serves."""
    if not split.weights:
        return []
    names = dict.fromkeys(name for name in (split.stable, split.candidate, *sorted(split.weights)) if name)
    return [target(owner, traffic, name, split.weights.get(name, 0)) for name in names]


def ports(server: Server) -> list[Object]:
    """The ports of a Service that leads to pods of this server."""
    first = _port("http", PORT, "http", server.protocol)
    return [first, *(_port(one.name, one.port, one.name, one.protocol) for one in server.extra_ports or ())]


def services(owner: Owner, split: Split, open_ports: Sequence[Object]) -> list[Object]:
    """`<name>`, and `<name>-preview` while there is a preview."""
    lead = _service(owner, "", split.stable, open_ports)
    if split.stable:
        lead["metadata"]["annotations"] = {STABLE: split.stable}
    if split.candidate and split.preview:
        return [lead, _service(owner, "-preview", split.candidate, open_ports)]
    return [lead]


def tracks(
    owner: Owner, split: Split, open_ports: Sequence[Object], route: str | None = None
) -> list[Object]:
    """`<name>-stable` and `<name>-candidate`, for the route `namespace/name` that is noted on them.

    Without a candidate that may be reached both lead to stable: then no weight in the user's route, whatever
    it is, leads to pods that are not ready or gone.
    """
    reached = split.weights.get(split.candidate or "", 0) or split.mirror or split.preview
    made = [
        _service(owner, "-stable", split.stable, open_ports),
        _service(owner, "-candidate", split.candidate if reached else split.stable, open_ports),
    ]
    for service in made:
        service["metadata"]["annotations"] = {ROUTE: route or ""}
    return made


def _service(owner: Owner, suffix: str, revision: str | None, open_ports: Sequence[Object]) -> Object:
    head = child("v1", "Service", owner, None)
    head["metadata"]["name"] += suffix
    leads_to = selector(owner.name, revision or NOBODY)
    return head | {"spec": {"selector": leads_to, "ports": list(open_ports)}}


def _port(name: str, port: int, leads_to: str, protocol: Protocol | None) -> Object:
    made: Object = {"name": name, "port": port, "targetPort": leads_to, "protocol": "TCP"}
    return made | ({"appProtocol": "kubernetes.io/h2c"} if protocol is Protocol.HTTP2 else {})
