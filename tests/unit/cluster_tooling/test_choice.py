"""Which cluster a machine gets, and that nobody's own is taken by accident."""

from pathlib import Path

import pytest

from cluster import UnavailableError, choose, ensure, manager
from cluster.manager import KUBECONFIG_VARIABLE
from cluster.record import CONTROL_PLANE, GIVEN, KIND, NODE
from cluster.shell import ClusterError

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KUBECONFIG_VARIABLE, raising=False)
    monkeypatch.setattr(manager, "engine_answers", lambda: False)
    monkeypatch.setattr(manager, "why_no_node", lambda: "")


def test_the_kubeconfig_given_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "engine_answers", lambda: True)
    assert choose(NODE, Path("mine")) == GIVEN
    monkeypatch.setenv(KUBECONFIG_VARIABLE, "mine")
    assert choose(CONTROL_PLANE) == GIVEN


def test_the_ambient_kubeconfig_is_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/production")
    assert choose(NODE) == NODE
    assert choose(CONTROL_PLANE) == CONTROL_PLANE


def test_an_engine_means_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "engine_answers", lambda: True)
    assert choose(NODE) == KIND
    assert choose(CONTROL_PLANE) == CONTROL_PLANE


def test_without_any_the_reasons_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "why_no_node", lambda: "this is not root")
    with pytest.raises(UnavailableError, match=r"no container engine answers.*this is not root"):
        choose(NODE)


def test_a_given_kubeconfig_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="is not there"):
        ensure(kubeconfig=tmp_path / "absent")


def test_a_given_cluster_must_be_named() -> None:
    with pytest.raises(ClusterError, match=KUBECONFIG_VARIABLE):
        ensure(flavour=GIVEN)


def test_the_argument_beats_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KUBECONFIG_VARIABLE, str(tmp_path / "environment"))
    with pytest.raises(ClusterError, match="argument is not there"):
        ensure(kubeconfig=tmp_path / "argument")
    monkeypatch.setattr(manager, "why_no_node", lambda: "asked for a node by name")
    with pytest.raises(UnavailableError, match="asked for a node by name"):
        ensure(name="mine")
