"""Moving an image from buildah's storage to containerd, without the layers that containerd has already.

buildah can only write whole archives; the product's images share most of their layers, and a change of the
product touches a small one.
"""

import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cluster.paths import cache_root

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
OPAQUE = "trusted.overlay.opaque"


@dataclass(frozen=True)
class Layer:
    """One layer of an image: its id in buildah's storage, and the digest and size of its archive."""

    id: str
    digest: str
    size: int


class _Hashing(io.RawIOBase):
    """A file that hashes and counts what is written to it."""

    def __init__(self, target: IO[bytes]) -> None:
        self.target = target
        self.hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data: Any) -> int:
        self.hash.update(data)
        self.size += len(data)
        return self.target.write(data)


def _storage() -> Path:
    return cache_root() / "buildah"


def _tops() -> dict[str, str]:
    """The topmost layer of each image by the image's name."""
    file = _storage() / "overlay-images/images.json"
    images = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    return {name: image["layer"] for image in images for name in image.get("names") or ()}


def exists(reference: str) -> bool:
    """Whether buildah has an image of this name."""
    return reference in _tops()


def chain(reference: str) -> list[str]:
    """The ids of an image's layers in buildah's storage, the lowest first; the image must be there."""
    file = _storage() / "overlay-layers/layers.json"
    parents = {layer["id"]: layer.get("parent") for layer in json.loads(file.read_text(encoding="utf-8"))}
    found, each = [], _tops()[reference]
    while each:
        found.append(each)
        each = parents[each]
    return found[::-1]


def _entries(root: Path) -> Iterator[tuple[tarfile.TarInfo, Path | None]]:
    """The members of a layer's archive in a fixed order, each with the file that holds its data."""
    linked: dict[int, str] = {}
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted([*folders, *files]):
            path = Path(folder) / name
            inside = path.relative_to(root).as_posix()
            state = path.lstat()
            if stat.S_ISCHR(state.st_mode) and state.st_rdev == 0:
                # overlayfs says with a device 0/0 what an archive says with a name: gone in this layer
                yield tarfile.TarInfo(f"{Path(inside).parent.as_posix()}/.wh.{name}".removeprefix("./")), None
                continue
            yield _entry(path, inside, state, linked)
            if stat.S_ISDIR(state.st_mode) and _opaque(path):
                yield tarfile.TarInfo(f"{inside}/.wh..wh..opq"), None


def _opaque(path: Path) -> bool:
    try:
        return os.getxattr(path, OPAQUE) == b"y"
    except OSError:
        return False


def _entry(
    path: Path, inside: str, state: os.stat_result, linked: dict[int, str]
) -> tuple[tarfile.TarInfo, Path | None]:
    info = tarfile.TarInfo(inside)
    info.mode, info.uid, info.gid = stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid
    info.mtime = int(state.st_mtime)
    if stat.S_ISDIR(state.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(state.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
    elif not stat.S_ISREG(state.st_mode):
        info.type = tarfile.FIFOTYPE if stat.S_ISFIFO(state.st_mode) else tarfile.CHRTYPE
        info.devmajor, info.devminor = os.major(state.st_rdev), os.minor(state.st_rdev)
    elif state.st_nlink > 1 and state.st_ino in linked:
        info.type, info.linkname = tarfile.LNKTYPE, linked[state.st_ino]
    else:
        linked[state.st_ino] = inside
        info.size = state.st_size
        return info, path
    return info, None


def write_layer(root: Path, target: Path) -> tuple[str, int]:
    """Write the folder of one layer as an archive; give back the archive's digest and size."""
    with target.open("wb") as file:
        hashing = _Hashing(file)
        with tarfile.TarFile(fileobj=hashing, mode="w", copybufsize=1 << 20) as tar:
            for info, path in _entries(root):
                if path is None:
                    tar.addfile(info)
                else:
                    with path.open("rb") as data:
                        tar.addfile(info, data)
    return f"sha256:{hashing.hash.hexdigest()}", hashing.size


def _layer(layer: str, present: set[str], work: Path) -> Layer:
    """A layer, its archive written into `work` unless its digest is known and present."""
    note = cache_root() / "layers" / f"{layer}.json"
    if note.exists():
        known = Layer(**json.loads(note.read_text(encoding="ascii")))
        if known.digest in present:
            return known
    made = Layer(layer, *write_layer(_storage() / "overlay" / layer / "diff", work / layer))
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(vars(made)), encoding="ascii")
    return made


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _blob(tar: tarfile.TarFile, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    _add(tar, f"blobs/sha256/{digest}", data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def write(reference: str, config: dict[str, Any], present: set[str], work: Path) -> Path:
    """Write an image as an archive that containerd imports, without the blobs that it has.

    Args:
        reference: the image's name in buildah's storage and in containerd.
        config: its configuration as of the OCI image specification.
        present: the digests of the blobs that containerd has.
        work: an empty folder; the archive is written there.
    """
    layers = [_layer(each, present, work) for each in chain(reference)]
    config = {**config, "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]}}
    config.pop("history", None)  # it counts layers that are not there, the empty ones
    archive = work / "image.tar"
    with tarfile.open(archive, "w") as tar:
        described = [{"mediaType": LAYER_TYPE, "digest": each.digest, "size": each.size} for each in layers]
        for each in layers:
            if (work / each.id).exists():
                tar.add(work / each.id, f"blobs/sha256/{each.digest.removeprefix('sha256:')}")
        about = {"mediaType": CONFIG_TYPE, **_blob(tar, json.dumps(config).encode())}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": about, "layers": described}
        named = {"annotations": {"io.containerd.image.name": reference}}
        entry = {"mediaType": MANIFEST_TYPE, **_blob(tar, json.dumps(manifest).encode()), **named}
        _add(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
        _add(tar, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    return archive
