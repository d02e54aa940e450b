"""The control groups of one node: a root of its own, so that no other kubelet's clean-up meets its pods."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

BASE = Path("/sys/fs/cgroup")
KILL_SECONDS = 10.0
INHERITED = ("cpuset.cpus", "cpuset.mems")


def _hierarchies() -> Iterator[Path]:
    """Every mounted hierarchy: one on version 2, one for each controller on version 1."""
    if (BASE / "cgroup.controllers").exists():
        yield BASE
    else:
        yield from (path for path in BASE.iterdir() if path.is_dir() and not path.is_symlink())


def make(name: str) -> None:
    """Make the group `name` at the root of every hierarchy."""
    for root in _hierarchies():
        group = root / name
        group.mkdir(exist_ok=True)
        for each in INHERITED:
            # version 1: a new group has no processors and no memory nodes, and takes no process
            if (group / each).exists() and (root / each).exists() and not (group / each).read_text().strip():
                (group / each).write_text((root / each).read_text())
        if (root / "cgroup.controllers").exists():
            for controller in (root / "cgroup.controllers").read_text().split():
                for level in (root, group):
                    with contextlib.suppress(OSError):
                        (level / "cgroup.subtree_control").write_text(f"+{controller}")


def _members(name: str) -> set[int]:
    found: set[int] = set()
    for root in _hierarchies():
        for folder, _, _ in os.walk(root / name):
            with contextlib.suppress(OSError):
                found.update(map(int, (Path(folder) / "cgroup.procs").read_text().split()))
    return found


def kill(name: str) -> None:
    """End every process in the group and below it, then remove the groups."""
    deadline = time.monotonic() + KILL_SECONDS
    while (members := _members(name)) and time.monotonic() < deadline:
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    for root in _hierarchies():
        for folder, _, _ in os.walk(root / name, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
