"""Where built things are kept, and how two processes share them safely.

Everything lies under ``$XDG_CACHE_HOME/modeldeploy`` (``~/.cache/modeldeploy``). A built thing's folder is
named by a hash of all that went into it, is made beside its final place and renamed into it, so that it is
either whole or not there.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
KEY_LENGTH = 16


def cache_root() -> Path:
    """The folder of everything that is built or running."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "modeldeploy"


def digest(parts: Iterable[str | bytes]) -> str:
    """A short hash of the parts in order and of where each ends."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(f"{len(data)}:".encode())
        whole.update(data)
    return whole.hexdigest()[:KEY_LENGTH]


def files_digest(root: Path, files: Iterable[Path], extra: Iterable[str] = ()) -> str:
    """A hash of the files' names relative to `root`, contents and execute bits, and of `extra`."""
    parts: list[str | bytes] = list(extra)
    for path in sorted(files):
        executable = "x" if path.stat().st_mode & 0o100 else "-"
        parts += [path.relative_to(root).as_posix(), executable, path.read_bytes()]
    return digest(parts)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the machine-wide lock `name`; it ends with the process whatever happens to it."""
    folder = cache_root() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def is_built(kind: str, key: str) -> bool:
    """Whether the folder ``kind/key`` is there."""
    return (cache_root() / kind / key).is_dir()


def built(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """The folder ``kind/key``, made by `build` (given an empty folder) unless it is there already."""
    final = cache_root() / kind / key
    if final.is_dir():
        return final
    with locked(f"{kind}-{key}"):
        if final.is_dir():
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".making-", dir=final.parent))
        try:
            build(work)
            work.chmod(0o755)
            work.rename(final)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return final
