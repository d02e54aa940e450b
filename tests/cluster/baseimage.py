"""The base image where there is no registry: a minimal Debian, Python where the official image has it."""

import contextlib
import os
import shlex
import sys
from pathlib import Path

from cluster.debian import SYSTEM_PATH, release
from cluster.paths import built, cache_root, digest, locked
from cluster.progress import step
from cluster.shell import ClusterError, run

REFERENCE = "localhost/python:3.11"
SUITE = "bookworm"
CERTIFICATES = Path("/etc/ssl/certs")
# python and pip stand in /usr/local as in the official image, so one Dockerfile fits both
RECIPE = """\
chroot "$1" python3 -m venv /usr/local
rm -rf "$1"/var/cache/apt/*.bin "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/* "$1"/var/log/*
rm -rf "$1"/usr/share/doc "$1"/usr/share/man "$1"/usr/share/locale "$1"/usr/share/info
rm -f "$1"/etc/machine-id "$1"/etc/hostname "$1"/etc/resolv.conf
find "$1" -name __pycache__ -prune -exec rm -rf {} +
"""
PACKAGES = "python3,python3-venv,ca-certificates"


def buildah(*words: str | Path) -> str:
    """Run buildah on a storage of our own."""
    storage = cache_root() / "buildah"
    # on a file system that a restart empties: what is in it says which layers are mounted now
    passing = f"/run/modeldeploy-buildah-{digest([str(storage)])}"
    places = ["--root", storage, "--runroot", passing, "--storage-driver", "overlay"]
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
    return run(["buildah", *places, *words], env={"PATH": path})


def key() -> str:
    """What tells one base image from another."""
    return digest([SUITE, PACKAGES, RECIPE, release()])


def _mounts_below(folder: Path) -> list[str]:
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    return [point for line in lines if Path(point := line.split()[1]).is_relative_to(folder)]


def _bootstrap(folder: Path) -> None:
    root = folder / "root"
    with step("base image: Debian with Python (once)"):
        path = {"PATH": f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"}
        try:
            options = ["--variant=minbase", f"--include={PACKAGES}"]
            run(["debootstrap", *options, SUITE, root], env=path)
        finally:
            for point in reversed(_mounts_below(root)):
                run(["umount", "--lazy", point])
        run(["sh", "-euc", RECIPE, "sh", root], env=path)
        run(["tar", "--one-file-system", "--numeric-owner", "-C", root, "-cf", folder / "root.tar", "."])
        run(["rm", "-rf", "--one-file-system", root])


def bootstrapped() -> Path:
    """The folder of the base image's files, fetched unless they are there: the long part."""
    return built("base", key(), _bootstrap)


def make() -> str:
    """The reference of the base image in our storage, made unless it is there."""
    folder = bootstrapped()
    reference = f"{REFERENCE}-{key()}"
    with locked("base-image"):
        with contextlib.suppress(ClusterError):
            buildah("inspect", "--type", "image", reference)
            return reference
        container = buildah("from", "scratch").strip()
        try:
            buildah("add", "--quiet", container, folder / "root.tar")
            search = "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
            buildah("config", "--env", search, "--env", "LANG=C.UTF-8", "--cmd", "python3", container)
            buildah("commit", "--quiet", container, reference)
            buildah("tag", reference, REFERENCE)
        finally:
            buildah("rm", container)
    return reference


def pip_settings() -> str:
    """This machine's pip settings, from its files and its environment, as one file."""
    listed = run([sys.executable, "-m", "pip", "config", "list"])
    values: dict[str, str] = {}
    for line in sorted(listed.splitlines()):
        name, _, quoted = line.partition("=")
        # ":env:" sorts first but wins over files, as it does for pip
        option = name.rpartition(".")[2]
        if name.startswith(":env:") or option not in values:
            values[option] = " ".join(shlex.split(quoted))
    values.pop("require-virtualenv", None)
    return "[global]\n" + "".join(f"{option} = {value}\n" for option, value in values.items())


def build_mounts(folder: Path) -> list[str]:
    """Options that let a build reach the package index as this machine does; the image keeps none of it."""
    settings = folder / "pip.conf"
    settings.write_text(pip_settings(), encoding="utf-8")
    packages = cache_root() / "pip"
    packages.mkdir(parents=True, exist_ok=True)
    mounts = [(settings, "/etc/pip.conf", "ro"), (packages, "/root/.cache/pip", "rw")]
    if CERTIFICATES.is_dir():
        mounts.append((CERTIFICATES, str(CERTIFICATES), "ro"))
    for line in settings.read_text(encoding="utf-8").splitlines():
        option, _, value = line.partition(" = ")
        if option in {"find-links", "cert", "client-cert"}:
            places = [Path(each) for each in value.split() if each.startswith("/")]
            mounts += [(each, str(each), "ro") for each in places if each.exists()]
    # what lies under the certificates' folder is mounted with it
    distinct = {target: f"{source}:{target}:{mode}" for source, target, mode in mounts}
    return [
        f"--volume={spec}" for target, spec in distinct.items() if CERTIFICATES not in Path(target).parents
    ]
