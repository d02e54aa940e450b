"""What is written down about a cluster can be read again."""

from pathlib import Path

import pytest

from cluster import record
from cluster.process import Process
from cluster.record import CONTROL_PLANE, NODE, Record
from cluster.shell import ClusterError

pytestmark = pytest.mark.unit


def test_a_record_survives_being_written() -> None:
    process = Process("etcd", 1, -5, "no such boot", "/log")
    written = Record("a", NODE, "https://10.1.2.3:6443", 240, {"api": 6443}, {"etcd": process}, {"x": "1"})
    written.save()
    assert record.load("a") == written
    assert record.names() == ["a"]
    assert written.dead() == ["etcd"]


def test_no_record() -> None:
    assert record.load("absent") is None
    assert record.names() == []


@pytest.mark.parametrize("text", ["", "{", '{"processes": {}, "unknown": 1}', "{}"])
def test_a_damaged_record_says_which_file(cache: Path, text: str) -> None:
    file = cache / "clusters" / "a" / "record.json"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(ClusterError, match=str(file)):
        record.load("a")


def test_only_a_node_has_a_network_namespace() -> None:
    assert Record("a", NODE).namespace == "modeldeploy-a"
    assert Record("a", CONTROL_PLANE).namespace == ""
