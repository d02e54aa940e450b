"""Processes of pods, seen from the node: a container's first is safe from signals of those beside it."""

from pathlib import Path

from e2e.reach import Object


def processes_of(pod: Object, *words: bytes) -> list[int]:
    """Ids of a pod's processes whose command line holds one of the words; none if they run elsewhere."""
    uid = pod["metadata"]["uid"]
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            group = (process / "cgroup").read_text()
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended meanwhile
        if (uid in group or uid.replace("-", "_") in group) and any(word in command for word in words):
            found.append(int(process.name))
    return found
