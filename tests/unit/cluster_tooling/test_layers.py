"""Images move from buildah's storage layer by layer, and only those that are missing."""

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest

from cluster import layers

pytestmark = pytest.mark.unit
REFERENCE = "localhost/a:1"


@pytest.fixture
def storage(cache: Path) -> Path:
    """Two layers, the upper one on the lower, and an image of both, as buildah keeps them."""
    root = cache / "buildah"
    for folder in ("overlay-images", "overlay-layers", "overlay/lower/diff/etc", "overlay/upper/diff/etc"):
        (root / folder).mkdir(parents=True)
    chain = [{"id": "upper", "parent": "lower"}, {"id": "lower"}, {"id": "unrelated", "parent": "lower"}]
    (root / "overlay-layers/layers.json").write_text(json.dumps(chain))
    images = [{"id": "1", "names": [REFERENCE], "layer": "upper"}, {"id": "2", "layer": "unrelated"}]
    (root / "overlay-images/images.json").write_text(json.dumps(images))
    (root / "overlay/lower/diff/etc/a").write_text("a")
    (root / "overlay/upper/diff/etc/b").write_text("b")
    return root / "overlay"


def test_a_layer_keeps_modes_links_and_removals(storage: Path, tmp_path: Path) -> None:
    root = storage / "upper/diff"
    (root / "etc/b").chmod(0o4751)
    os.link(root / "etc/b", root / "etc/hard")
    (root / "etc/soft").symlink_to("../etc/b")
    os.mknod(root / "etc/gone", 0o020000, os.makedev(0, 0))
    os.mknod(root / "top", 0o020000, os.makedev(0, 0))
    digest, size = layers.write_layer(root, tmp_path / "layer")
    assert digest == "sha256:" + hashlib.sha256((tmp_path / "layer").read_bytes()).hexdigest()
    assert size == (tmp_path / "layer").stat().st_size
    with tarfile.open(tmp_path / "layer") as tar:
        members = {member.name: member for member in tar}
    assert set(members) == {"etc", "etc/b", "etc/hard", "etc/soft", "etc/.wh.gone", ".wh.top"}
    assert members["etc/b"].mode == 0o4751
    assert members["etc/b"].uid == os.getuid()
    assert (members["etc/hard"].type, members["etc/hard"].linkname) == (tarfile.LNKTYPE, "etc/b")
    assert (members["etc/soft"].type, members["etc/soft"].linkname) == (tarfile.SYMTYPE, "../etc/b")


def test_a_layer_has_one_digest_whenever_it_is_written(storage: Path, tmp_path: Path) -> None:
    root = storage / "upper/diff"
    first = layers.write_layer(root, tmp_path / "one")
    assert layers.write_layer(root, tmp_path / "two") == first
    (root / "etc/b").write_text("B")
    assert layers.write_layer(root, tmp_path / "three") != first


def test_an_image_is_known_by_name(storage: Path) -> None:
    assert storage.is_dir()
    assert layers.exists(REFERENCE)
    assert not layers.exists("localhost/a:2")
    assert layers.chain(REFERENCE) == ["lower", "upper"]


def test_what_containerd_has_is_left_out(storage: Path, tmp_path: Path) -> None:
    assert storage.is_dir()
    config = {"architecture": "amd64", "os": "linux", "config": {"User": "1"}, "history": [{}]}

    def written(place: str, present: set[str]) -> tuple[dict[str, bytes], dict[str, list[dict[str, str]]]]:
        work = tmp_path / place
        work.mkdir()
        with tarfile.open(layers.write(REFERENCE, config, present, work)) as tar:
            files = {member.name: tar.extractfile(member) for member in tar}
            content = {name: file.read() for name, file in files.items() if file}
        entry = json.loads(content["index.json"])["manifests"][0]
        assert entry["annotations"] == {"io.containerd.image.name": REFERENCE}
        return content, json.loads(content["blobs/" + entry["digest"].replace(":", "/")])

    whole, manifest = written("whole", set())
    digests = [layer["digest"] for layer in manifest["layers"]]
    blobs = ["blobs/" + digest.replace(":", "/") for digest in digests]
    assert all(blob in whole for blob in blobs)
    partial, again = written("partial", {digests[0]})
    assert again == manifest
    assert set(whole) - set(partial) == {blobs[0]}
