"""Programs that outlive the command that started them, and are ended by record, never by name."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Process:
    """A started program; its start (in kernel ticks) tells it from a later one with the same id."""

    name: str
    pid: int
    started: int
    boot: str
    log: str


def boot_id() -> str:
    """What tells this boot of the machine from every other."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def parse_stat(text: str) -> tuple[str, int]:
    """State letter and start ticks out of ``/proc/<pid>/stat``, whose name may hold spaces and brackets."""
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def _stat(pid: int) -> tuple[str, int] | None:
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace"))
    except (OSError, IndexError):
        return None


def start(name: str, argv: Sequence[object], log: Path, *, netns: str = "", path: str = "") -> Process:
    """Start a program in a session of its own, in the named network namespace if one is given.

    Args:
        name: what messages call it.
        argv: the program (an absolute path) and its arguments.
        log: the file that gets both of its outputs; an earlier one is kept beside it.
        netns: a namespace under ``/run/netns``.
        path: folders put in front of its PATH.
    """
    words = [str(word) for word in argv]
    if netns:
        words = ["/usr/bin/nsenter", f"--net=/run/netns/{netns}", *words]
    env = dict(os.environ)
    env.pop("KUBECONFIG", None)
    if path:
        env["PATH"] = f"{path}:{env.get('PATH', '')}"
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))  # why it ended may be in there
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    # posix_spawn: a Popen that is dropped while its program runs warns, and tests make warnings errors
    pid = os.posix_spawn(words[0], words, env, file_actions=actions, setsid=True)
    found = _stat(pid)
    return Process(name, pid, found[1] if found else -1, boot_id(), str(log))


def alive(process: Process) -> bool:
    """Whether that very program still runs (not another one that was given its id since)."""
    found = _stat(process.pid)
    return (
        found is not None
        and found[0] not in "ZX"
        and found[1] == process.started
        and process.boot == boot_id()
    )


def stop(processes: Iterable[Process], grace: float = 5.0, first: signal.Signals = signal.SIGTERM) -> None:
    """End programs together: `first`, then after `grace` seconds SIGKILL; returns when all are gone."""
    left = [process for process in processes if alive(process)]
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, first)
    deadline = time.monotonic() + grace
    killed = False
    while left:
        time.sleep(POLL_SECONDS)
        for process in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)
        left = [process for process in left if alive(process)]
        if left and not killed and time.monotonic() > deadline:
            killed = True
            for process in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
