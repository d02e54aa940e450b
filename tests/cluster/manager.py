"""Choosing a cluster for this machine, bringing it up and taking it down."""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cluster import baseimage, containers, controlplane, debian, kindcluster, network, node, record, supply
from cluster.paths import locked
from cluster.progress import say
from cluster.record import CONTROL_PLANE, GIVEN, KIND, NODE, Record
from cluster.shell import ClusterError, UnavailableError, run, succeeds
from cluster.tools import Tools, go, kwok, tools

KUBECONFIG_VARIABLE = "MODELDEPLOY_KUBECONFIG"
NAME_VARIABLE = "MODELDEPLOY_CLUSTER"
DEFAULT_NAMES = {NODE: "dev", KIND: "modeldeploy", CONTROL_PLANE: "api"}


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up.

    Attributes:
        name: what the commands call it.
        flavour: ``given``, ``kind``, ``node`` or ``control-plane``.
        kubeconfig: an administrator's.
        kubectl, helm: programs that fit the cluster.
        pod_reachable: whether this machine reaches pod and Service addresses directly.
        started: whether it was not up before, so that whoever asked for it may take it down.
    """

    name: str
    flavour: str
    kubeconfig: Path
    kubectl: Path
    helm: Path
    pod_reachable: bool = False
    started: bool = False
    packages: Path | None = field(default=None, repr=False)

    def image(self, name: str) -> str:
        """The reference of an image of `IMAGES`, built if its inputs changed, and on the cluster's nodes."""
        return self.build_and_load([name])[name]

    def build_and_load(self, names: Sequence[str]) -> dict[str, str]:
        """The references of several images; see `image`."""
        return supply.provide(self.flavour, self.name, self.packages, names)

    def tag(self, source: str, reference: str) -> None:
        """Let a reference lead to another image on the node, as a tag that has moved does.

        Raises:
            UnavailableError: the cluster's nodes are not ours to change.
        """
        if self.flavour != NODE or self.packages is None:
            raise UnavailableError(
                f"the nodes of a cluster of the kind {self.flavour} are not ours to change"
            )
        containers.tag(_record(self.name, NODE), self.packages, source, reference)

    def run_kubectl(self, *words: str, given: str | None = None, timeout: float = 120) -> str:
        """What kubectl prints; `given` is its standard input.

        Raises:
            ClusterError: it failed or took longer than `timeout` seconds.
        """
        command = [self.kubectl, "--kubeconfig", self.kubeconfig, *words]
        return run(command, given=given, timeout=timeout)

    def await_kinds(self, *which: str) -> None:
        """Wait until custom kinds are served: `crd/NAME`, or `--filename` and a path.

        kubectl fails at once on a kind so new that it has no conditions yet, so one is waited for first.

        Raises:
            ClusterError: they are not within a minute.
        """
        for what in ("jsonpath={.status.conditions[0].type}", "condition=Established"):
            self.run_kubectl("wait", f"--for={what}", *which, "--timeout=60s")

    def run_helm(self, *words: str, timeout: float = 300) -> str:
        """What helm prints.

        Raises:
            ClusterError: it failed or took longer than `timeout` seconds.
        """
        return run([self.helm, "--kubeconfig", self.kubeconfig, *words], timeout=timeout)

    def down(self) -> None:
        """Take the cluster down, unless it was given."""
        down(self.name)


def engine_answers() -> bool:
    """Whether a container engine answers that kind can use."""
    return shutil.which("docker") is not None and succeeds(["docker", "info"])


def why_no_node() -> str:
    """Why the single node can't run here; empty when it can."""
    reasons = []
    if not Path("/proc/self/ns/net").exists():
        reasons.append("this is not Linux")
    elif not network.is_root():
        reasons.append("this is not root")
    if not shutil.which("apt-get") and debian.missing():
        reasons.append(f"{', '.join(debian.missing())} missing and no apt-get to install them")
    try:
        go()
    except UnavailableError as error:
        reasons.append(str(error))
    return "; ".join(reasons)


def choose(want: str = NODE, kubeconfig: Path | None = None) -> str:
    """The flavour that `want` gets on this machine, the kubeconfig given first.

    Raises:
        UnavailableError: no flavour that would do can run here.
    """
    return GIVEN if kubeconfig or os.environ.get(KUBECONFIG_VARIABLE) else _own(want)


def _own(want: str) -> str:
    """The flavour of cluster that this machine can make for `want`."""
    if want == CONTROL_PLANE:
        return CONTROL_PLANE
    if engine_answers():
        return KIND
    if reason := why_no_node():
        raise UnavailableError(
            f"no cluster that runs pods: {KUBECONFIG_VARIABLE} is not set, no container engine answers "
            f"(docker info), and a node can't be built: {reason}"
        )
    return NODE


def ensure(
    want: str = NODE,
    *,
    name: str | None = None,
    kubeconfig: Path | None = None,
    flavour: str | None = None,
    play_nodes: bool = False,
    images: Sequence[str] = (),
) -> Cluster:
    """A cluster that is up, found or made.

    Args:
        want: ``node`` for one that runs pods, ``control-plane`` for one that need not.
        name: what to call it; ``MODELDEPLOY_CLUSTER`` or the flavour's default otherwise.
        kubeconfig: use this cluster; ``MODELDEPLOY_KUBECONFIG`` otherwise. ``KUBECONFIG`` is never looked at.
        flavour: take this one, whatever `choose` says.
        play_nodes: on a control plane alone, let kwok play a node and its pods.
        images: what will be asked of `Cluster.image` soon; on a node they are built while the cluster is.

    Raises:
        UnavailableError: none that would do can run here; the message says what is missing.
        ClusterError: it should run here, but something failed; the message says what and where to look.
    """
    if kubeconfig is None and name is None and os.environ.get(KUBECONFIG_VARIABLE):
        kubeconfig = Path(os.environ[KUBECONFIG_VARIABLE])
    if kubeconfig:
        return _given(kubeconfig.expanduser().resolve())
    named = name or os.environ.get(NAME_VARIABLE)
    known = record.load(named) if named else None
    chosen = flavour or (known.flavour if known else _own(want))
    if chosen == GIVEN:
        raise ClusterError(f"which cluster is given? --kubeconfig or {KUBECONFIG_VARIABLE} says it")
    called = named or DEFAULT_NAMES[chosen]
    if chosen == KIND:
        with locked(f"cluster-{called}"):
            new = called not in kindcluster.names()
            kubectl, helm = kindcluster.up(called)
            return Cluster(called, KIND, kindcluster.kubeconfig(called), kubectl, helm, started=new)
    if chosen == NODE:
        return _node(called, images)
    return _control_plane(called, play_nodes=play_nodes)


def _given(path: Path) -> Cluster:
    for name in record.names():
        known = record.load(name)
        if known and known.kubeconfig == path:
            return ensure(flavour=known.flavour, name=name)
    if not path.is_file():
        raise ClusterError(f"the kubeconfig {path} is not there")
    kubectl, helm = kindcluster.clients(None)
    run([kubectl, "--kubeconfig", path, "get", "--raw", "/readyz"], timeout=30)
    return Cluster("given", GIVEN, path, kubectl, helm)


def _record(name: str, flavour: str) -> Record:
    known = record.load(name)
    if known and known.flavour != flavour:
        raise ClusterError(
            f"cluster {name} is of flavour {known.flavour}: take another --name or take it down"
        )
    return known or Record(name, flavour)


def _start(
    name: str, flavour: str, parts: Sequence[str], start: Callable[[Record], None]
) -> tuple[Record, bool]:
    """The cluster's record, and whether it was started now; one process at a time starts it, others wait."""

    def runs(known: Record) -> bool:
        there = known.ready and not known.dead() and set(parts) <= set(known.processes)
        return there and controlplane.answers(known)

    if runs(known := _record(name, flavour)):
        return known, False
    with locked(f"cluster-{name}"):
        known = _record(name, flavour)
        if runs(known):
            return known, False
        if ended := known.dead():
            say(f"cluster {name}: {', '.join(ended)} not running, starting again")
        new = not known.processes
        start(known)
        known.ready = True
        known.save()
        return known, new


def _control_plane(name: str, *, play_nodes: bool) -> Cluster:
    made = tools()
    player = kwok() if play_nodes else None

    def start(known: Record) -> None:
        controlplane.start(known, made, scheduler=play_nodes)
        if player:
            controlplane.play_nodes(known, made, player)

    known, new = _start(name, CONTROL_PLANE, ["kwok"] if play_nodes else [], start)
    return Cluster(name, CONTROL_PLANE, known.kubeconfig, made["kubectl"], made["helm"], started=new)


def _node(name: str, images: Sequence[str]) -> Cluster:
    if reason := why_no_node():
        raise UnavailableError(f"a node can't be built here: {reason}")
    made, packages = _parts(name, images)

    def start(known: Record) -> None:
        with locked("networks"):  # else two that start at once would choose the same
            if not known.octet:
                known.octet = network.free_octet(network.taken_networks())
            network.set_up(network.Network(known.namespace, known.octet))
        node.start(known, made, packages)

    known, new = _start(name, NODE, [], start)
    return Cluster(
        name,
        NODE,
        known.kubeconfig,
        made["kubectl"],
        made["helm"],
        pod_reachable=True,
        started=new,
        packages=packages,
    )


def _parts(name: str, images: Sequence[str]) -> tuple[Tools, Path]:
    """The built programs and the unpacked packages; packages and images are made while Go compiles."""
    failures: list[BaseException] = []

    def prepare() -> None:
        try:
            debian.install()
            packages = debian.unpacked()
            baseimage.bootstrapped()
            supply.prebuild(name, packages, images)
        except ClusterError as error:
            failures.append(error)

    beside = threading.Thread(target=prepare)
    beside.start()
    try:
        made = tools()
    finally:
        beside.join()
    if failures:
        raise failures[0]
    return made, debian.unpacked()


def down(name: str, *, purge: bool = False) -> bool:
    """Take a cluster down; with `purge` its imported images go too. Whether there was one."""
    with locked(f"cluster-{name}"):
        known = record.load(name)
        if known is None:
            return kindcluster.down(name)
        if known.flavour == NODE:
            node.stop(known)
        else:
            controlplane.stop(known)
        if purge:
            shutil.rmtree(known.folder, ignore_errors=True)
        return True


def become(cluster: Cluster, program: str, words: list[str]) -> int:
    """Run kubectl or helm on the terminal and give back its exit code."""
    path = cluster.kubectl if program == "kubectl" else cluster.helm
    return subprocess.run([path, "--kubeconfig", cluster.kubeconfig, *words], check=False).returncode
