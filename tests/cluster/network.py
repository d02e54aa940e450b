"""Addresses, ports and the network namespace of a node.

A node has a network namespace of its own, joined to the machine by one pair of virtual interfaces. So its
kubelet, kube-proxy rules and pod interfaces meet nobody else's here, its ports need no choosing, and
removing the namespace removes them all. The machine reaches pods and Services by two routes into it.
"""

import contextlib
import itertools
import json
import os
import random
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from pathlib import Path

from cluster.shell import ClusterError, run

OCTETS = range(244, 199, -1)
INTERFACE_PREFIX = "mdc"
REFUSED = "100"


@dataclass(frozen=True)
class Network:
    """One node's addresses, all inside ``10.<octet>.0.0/16``."""

    name: str
    octet: int

    @property
    def pods(self) -> str:
        """What the controller manager gives nodes their ranges from."""
        return f"10.{self.octet}.0.0/18"

    @property
    def node_pods(self) -> str:
        """The one node's range: the first of `pods`."""
        return f"10.{self.octet}.0.0/24"

    @property
    def services(self) -> str:
        """The range of ClusterIPs."""
        return f"10.{self.octet}.64.0/18"

    @property
    def api_service(self) -> str:
        """The ClusterIP of ``kubernetes.default``."""
        return f"10.{self.octet}.64.1"

    @property
    def dns(self) -> str:
        """The ClusterIP of the cluster's DNS."""
        return f"10.{self.octet}.64.10"

    @property
    def host(self) -> str:
        """The machine's end of the link."""
        return f"10.{self.octet}.192.1"

    @property
    def node(self) -> str:
        """The node's end of the link, and its address in the cluster."""
        return f"10.{self.octet}.192.2"


def free_octet(taken: Iterable[IPv4Network]) -> int:
    """The first octet of `OCTETS` whose /16 overlaps nothing that is taken.

    Raises:
        ClusterError: all of them overlap something.
    """
    used = list(taken)
    for octet in OCTETS:
        if not any(IPv4Network(f"10.{octet}.0.0/16").overlaps(other) for other in used):
            return octet
    raise ClusterError(f"every network from 10.{OCTETS[-1]}.0.0/16 to 10.{OCTETS[0]}.0.0/16 is in use here")


def taken_networks() -> list[IPv4Network]:
    """What this machine's addresses and routes use (the default route aside)."""
    found = []
    for interface in json.loads(run(["ip", "-j", "-4", "addr"])):
        found += [f"{each['local']}/{each['prefixlen']}" for each in interface.get("addr_info", [])]
    found += [route["dst"] for route in json.loads(run(["ip", "-j", "-4", "route", "show", "table", "all"]))]
    networks = [ip_network(text, strict=False) for text in found if text[0].isdigit()]
    return [each for each in networks if isinstance(each, IPv4Network) and each.prefixlen]


FIRST_PORT, LAST_PORT = 20_000, 29_999
"""Below what machines give outgoing connections by chance, and below Kubernetes' node ports."""
_ports = itertools.cycle(range(random.randrange(FIRST_PORT, LAST_PORT), LAST_PORT + 1))  # noqa: S311


def free_port() -> int:
    """A port that nothing listens on, that no connection is given by chance, and never the same twice."""
    for port in itertools.islice(_ports, LAST_PORT - FIRST_PORT):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port
    raise ClusterError(f"no port from {FIRST_PORT} to {LAST_PORT} is free")


def _link(network: Network) -> tuple[str, str]:
    return f"{INTERFACE_PREFIX}{network.octet}h", f"{INTERFACE_PREFIX}{network.octet}n"


def set_up(network: Network) -> None:
    """Make the namespace, the link and the machine's routes, unless they are there."""
    if Path(f"/run/netns/{network.name}").exists():
        return
    host_end, node_end = _link(network)
    inside = ["ip", "-n", network.name]
    run(["ip", "netns", "add", network.name])
    run(["ip", "link", "add", host_end, "type", "veth", "peer", "name", node_end, "netns", network.name])
    run(["ip", "addr", "add", f"{network.host}/30", "dev", host_end])
    run(["ip", "link", "set", host_end, "up"])
    run([*inside, "link", "set", "lo", "up"])
    run([*inside, "addr", "add", f"{network.node}/30", "dev", node_end])
    run([*inside, "link", "set", node_end, "up"])
    run([*inside, "route", "add", "default", "via", network.host])
    for inner in (network.pods, network.services):
        run(["ip", "route", "add", inner, "via", network.node])
    # what no Service rule has translated is refused at once: a connection begun before kube-proxy knew the
    # Service would otherwise hang for its whole time limit
    run([*inside, "route", "add", "unreachable", "default", "table", REFUSED])
    for source in (["from", network.pods], ["iif", node_end]):
        run([*inside, "rule", "add", *source, "to", network.services, "lookup", REFUSED])
    forward = "echo 1 > /proc/sys/net/ipv4/ip_forward"
    run(["nsenter", f"--net=/run/netns/{network.name}", "sh", "-c", forward])


def tear_down(network: Network) -> None:
    """Remove the namespace and all that is in it; the link's and the routes' end with it."""
    if Path(f"/run/netns/{network.name}").exists():
        host_end, _ = _link(network)
        if Path(f"/sys/class/net/{host_end}").exists():
            run(["ip", "link", "del", host_end])
        run(["ip", "netns", "del", network.name])


def is_root() -> bool:
    """Whether this process may make namespaces and mounts."""
    return os.geteuid() == 0
