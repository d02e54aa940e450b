"""Addresses are chosen where nobody else's are."""

from ipaddress import IPv4Network, ip_address

import pytest

from cluster.network import OCTETS, Network, free_octet, taken_networks
from cluster.shell import ClusterError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], 244),
        (["10.244.0.0/24"], 243),
        (["10.244.192.1/32", "10.243.0.0/16"], 242),
        (["10.240.0.0/12"], 239),
        (["192.168.0.0/16", "172.17.0.0/16"], 244),
    ],
)
def test_free_octet(taken: list[str], expected: int) -> None:
    assert free_octet(map(IPv4Network, taken)) == expected


def test_free_octet_says_when_everything_is_taken() -> None:
    with pytest.raises(ClusterError, match=r"10\.200\.0\.0/16"):
        free_octet([IPv4Network("10.0.0.0/8")])


@pytest.mark.parametrize("octet", OCTETS)
def test_addresses_lie_in_their_own_ranges(octet: int) -> None:
    net = Network("x", octet)
    pods, services = IPv4Network(net.pods), IPv4Network(net.services)
    link = IPv4Network(f"{net.host}/30", strict=False)
    assert not pods.overlaps(services)
    assert not link.overlaps(pods)
    assert not link.overlaps(services)
    assert IPv4Network(net.node_pods).subnet_of(pods)
    assert ip_address(net.node) in link
    assert {ip_address(net.dns), ip_address(net.api_service)} <= set(services.hosts())
    assert all(IPv4Network(f"10.{octet}.0.0/16").supernet_of(each) for each in (pods, services, link))


def test_taken_networks_hold_loopback_and_not_the_default_route() -> None:
    found = taken_networks()
    assert any(IPv4Network("127.0.0.1/32").subnet_of(each) for each in found)
    assert IPv4Network("0.0.0.0/0") not in found
