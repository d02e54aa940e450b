"""Images of one static program, written as an archive without any builder."""

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

from cluster.paths import built, files_digest

NOBODY = "65532:65532"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def _member(name: str, data: bytes, mode: int) -> tuple[tarfile.TarInfo, io.BytesIO]:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    return info, io.BytesIO(data)


def write(target: Path, reference: str, program: Path) -> None:
    """Write an image of `program` alone, its entry point, run by an unprivileged user."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.addfile(*_member(program.name, program.read_bytes(), 0o755))
    data = layer.getvalue()
    config = {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"], "User": NOBODY},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    with tarfile.open(target, "w") as tar:
        tar.addfile(*_member("config.json", json.dumps(config).encode(), 0o644))
        tar.addfile(*_member("layer.tar", data, 0o644))
        tar.addfile(*_member("manifest.json", json.dumps(manifest).encode(), 0o644))


def of_program(program: Path) -> tuple[str, Path]:
    """The reference and the archive of an image of `program`, written unless it is there."""
    key = files_digest(program.parent, [program], [NOBODY])
    reference = f"localhost/modeldeploy/{program.name}:{key}"
    folder = built("archives", key, lambda work: write(work / "image.tar", reference, program))
    return reference, folder / "image.tar"
