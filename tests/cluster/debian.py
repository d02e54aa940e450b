"""What comes from the distribution: a few installed tools, and packages that are only unpacked.

containerd, runc and Prometheus are unpacked into the cache instead of installed: their packages would start
services, and the first two conflict with Docker's own packages.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from cluster.paths import built, digest, locked
from cluster.progress import step
from cluster.shell import ClusterError, UnavailableError, run

NEEDED: Mapping[str, str] = {
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "openssl": "openssl",
}
UNPACKED = ("containerd", "containernetworking-plugins", "prometheus", "runc")
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
QUIET = {"DEBIAN_FRONTEND": "noninteractive"}


def missing() -> list[str]:
    """The packages of `NEEDED` whose program is not here."""
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
    return sorted({package for program, package in NEEDED.items() if not shutil.which(program, path=path)})


def install() -> None:
    """Install those of the needed tools that are missing.

    Raises:
        UnavailableError: this is no system with apt.
        ClusterError: apt failed.
    """
    if not missing():
        return
    if not shutil.which("apt-get"):
        raise UnavailableError(f"missing: {', '.join(missing())}, and there is no apt-get to install them")
    with locked("apt"):
        if packages := missing():
            with step(f"apt: {', '.join(packages)}"):
                _apt("install", "--no-install-recommends", *packages)


def _apt(*words: str, folder: Path | None = None) -> None:
    command = ["apt-get", "-qq", "-y", "-o", "DPkg::Lock::Timeout=300", *words]
    try:
        run(command, env=QUIET, cwd=folder)
    except ClusterError:
        # a new machine has no package lists, or old ones
        run(["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", "update"], env=QUIET)
        run(command, env=QUIET, cwd=folder)


def release() -> str:
    """What tells one release of the distribution from another, for cache keys."""
    return Path("/etc/os-release").read_text(encoding="utf-8")


def unpacked() -> Path:
    """The folder that `UNPACKED` were unpacked into, laid out like a root folder."""

    def build(folder: Path) -> None:
        with step(f"unpack {', '.join(UNPACKED)}"), locked("apt"):
            archives = folder / "archives"
            archives.mkdir()
            _apt("download", *UNPACKED, folder=archives)
            for archive in archives.iterdir():
                run(["dpkg", "-x", archive, folder])
            shutil.rmtree(archives)

    return built("debian", digest([*UNPACKED, release(), run(["dpkg", "--print-architecture"])]), build)
