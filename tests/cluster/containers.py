"""The node's containerd: its own root (kept, so images are imported once), state and socket."""

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

from cluster import cgroups, controlplane, process
from cluster.network import Network
from cluster.record import Record
from cluster.shell import ClusterError, run, succeeds

NAMESPACE = "k8s.io"
CONFIG = """\
version = 2
root = "{root}"
state = "{state}"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{conf}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "{runc}"
      SystemdCgroup = false
"""


def runtime_folder(record: Record) -> Path:
    """What lasts until the machine stops: sockets, mounts, the addresses given to pods."""
    return Path("/run") / record.namespace


def socket(record: Record) -> Path:
    """The socket that kubelet and ctr talk to."""
    return runtime_folder(record) / "containerd.sock"


def image_folder(record: Record) -> Path:
    """Where containerd keeps images; stays when the node goes."""
    return record.folder / "containerd"


def _network_config(record: Record, net: Network) -> dict[str, object]:
    # ptp rather than a bridge: pods then reach each other by routing, through the Service rules, whatever the
    # machine's bridge settings are
    addresses = {
        "type": "host-local",
        "dataDir": str(runtime_folder(record) / "addresses"),
        "ranges": [[{"subnet": net.node_pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return {
        "cniVersion": "0.4.0",
        "name": record.namespace,
        "plugins": [{"type": "ptp", "ipMasq": False, "ipam": addresses}],
    }


def start(record: Record, packages: Path, net: Network, pause: str) -> None:
    """Start containerd unless it runs, and wait until it answers."""
    folder = runtime_folder(record)
    conf = folder / "cni"
    conf.mkdir(parents=True, exist_ok=True)
    (conf / "10-pods.conflist").write_text(json.dumps(_network_config(record, net)), encoding="ascii")
    text = CONFIG.format(
        root=image_folder(record),
        state=folder / "containerd",
        socket=socket(record),
        pause=pause,
        cni=packages / "usr/lib/cni",
        conf=conf,
        runc=packages / "usr/sbin/runc",
    )
    config = folder / "containerd.toml"
    config.write_text(text, encoding="ascii")
    command = [packages / "usr/bin/containerd", "--config", config]
    path = f"{packages / 'usr/bin'}:{packages / 'usr/sbin'}"
    controlplane.begin(record, "containerd", command, path=path)
    ready = [*_ctr(record, packages), "version"]
    controlplane.wait_until(lambda: succeeds(ready), record, ("containerd",), "containerd does not answer")


def _ctr(record: Record, packages: Path) -> list[object]:
    return [packages / "usr/bin/ctr", "--address", socket(record), "--namespace", NAMESPACE]


def loaded(record: Record, packages: Path) -> set[str]:
    """The references of the images that the node has."""
    return set(run([*_ctr(record, packages), "images", "list", "--quiet"]).split())


def blobs(record: Record, packages: Path) -> set[str]:
    """The digests of what the node's images are made of."""
    return set(run([*_ctr(record, packages), "content", "list", "--quiet"]).split())


def load(record: Record, packages: Path, archives: Mapping[str, Path]) -> None:
    """Import those of the archives whose reference the node has not."""
    there = loaded(record, packages)
    for reference, archive in archives.items():
        if reference not in there:
            run([*_ctr(record, packages), "images", "import", archive])


def tag(record: Record, packages: Path, source: str, reference: str) -> None:
    """Let a reference lead to the image of another one."""
    run([*_ctr(record, packages), "images", "tag", "--force", source, reference])


def remove(record: Record, packages: Path, reference: str) -> None:
    """Forget an image; containers made of it go on."""
    if reference in loaded(record, packages):
        run([*_ctr(record, packages), "images", "remove", reference])


def _shims(record: Record) -> Iterator[int]:
    """The processes of containerd's shims that were started for our socket."""
    marks = ["-address", str(socket(record))]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if "containerd-shim" in words[0] and all(mark in words for mark in marks):
                    yield int(entry.name)


def _forget_containers(record: Record) -> None:
    """Remove what containerd wrote down of containers that are gone, so that the next node starts clean."""
    running = record.processes.get("containerd")
    if not running or not process.alive(running):
        return
    ctr = [Path(f"/proc/{running.pid}/exe").resolve().with_name("ctr"), "--address", socket(record)]
    listed = [*ctr, "--namespace", NAMESPACE, "containers"]
    with contextlib.suppress(ClusterError):
        if names := run([*listed, "list", "--quiet"], timeout=20).split():
            run([*listed, "delete", *names], timeout=60)


def stop(record: Record) -> None:
    """End kubelet, every container and its shim, and containerd."""
    process.stop([each for name, each in record.processes.items() if name == "kubelet"])
    cgroups.kill(record.namespace)
    for pid in _shims(record):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _forget_containers(record)
    process.stop([each for name, each in record.processes.items() if name == "containerd"])


def _mounts_below(folders: tuple[Path, ...]) -> list[str]:
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    points = [line.split()[1].replace("\\040", " ") for line in lines]
    return [point for point in points if any(Path(point).is_relative_to(each) for each in folders)]


def unmount(record: Record) -> None:
    """Unmount what kubelet and containers left mounted, then remove the node's folders but the images'."""
    kubelet = record.folder / "kubelet"
    for point in reversed(_mounts_below((kubelet, runtime_folder(record)))):
        with contextlib.suppress(ClusterError):
            run(["umount", "--lazy", point])
    if left := _mounts_below((kubelet, runtime_folder(record))):
        raise ClusterError(f"still mounted, so its folder is left alone: {', '.join(left)}")
    for folder in (kubelet, runtime_folder(record)):
        shutil.rmtree(folder, ignore_errors=True)
