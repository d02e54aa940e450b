"""The images' table, archives written without a builder, and how builds reach the package index."""

import hashlib
import json
import os
import re
import tarfile
import time
from pathlib import Path

import pytest

from cluster import IMAGES, ClusterError, addon_tools, archive, baseimage, supply, tools
from cluster.images import ADD_ONS
from cluster.paths import REPOSITORY
from cluster.record import CONTROL_PLANE, GIVEN
from cluster.tools import KUBERNETES

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_has_a_dockerfile_and_what_is_official_is_pinned(name: str) -> None:
    image = IMAGES[name]
    assert (REPOSITORY / image.dockerfile).is_file()
    assert bool(image.official) == bool(image.program)
    assert not image.official or re.search(r":[\w.-]+@sha256:[0-9a-f]{64}$", image.official)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("envoy-gateway", addon_tools.ENVOY_GATEWAY),
        ("metrics-server", addon_tools.METRICS_SERVER),
        ("traefik", addon_tools.TRAEFIK),
    ],
)
def test_an_add_on_has_one_version_wherever_its_image_comes_from(name: str, version: str) -> None:
    image = ADD_ONS[name]
    assert (REPOSITORY / image.dockerfile).is_file()
    assert image.official.endswith(f":{version}")


def test_every_image_of_the_product_sees_its_sources() -> None:
    staged = {path.relative_to(REPOSITORY).as_posix() for path in supply._files(IMAGES["operator"])}
    assert {"pyproject.toml", "operator/modeldeploy/__init__.py"} <= staged
    assert not any("__pycache__" in path for path in staged)


def test_an_unknown_image_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ClusterError, match=r"no image called nonsense; there are operator"):
        supply.provide(GIVEN, "x", None, ["nonsense"])


def test_a_control_plane_alone_has_no_images() -> None:
    with pytest.raises(ClusterError, match="runs no pods"):
        supply.provide(CONTROL_PLANE, "x", None, ["operator"])


def test_a_given_cluster_takes_its_images_from_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterError, match="MODELDEPLOY_IMAGE_DIGITS_V2_NULLS"):
        supply.provide(GIVEN, "x", None, ["digits:v2-nulls"])
    monkeypatch.setenv("MODELDEPLOY_IMAGE_DIGITS_V2_NULLS", "registry/digits:2")
    found = supply.provide(GIVEN, "x", None, ["digits:v2-nulls", "envoy"])
    assert found == {"digits:v2-nulls": "registry/digits:2", "envoy": IMAGES["envoy"].official}


def test_images_are_unwanted_after_a_day_without_a_question(cache: Path) -> None:
    notes = cache / "wanted"
    assert supply._unwanted(notes) == []
    for reference in ("old", "new"):
        supply._note(notes / reference, reference)
    long_ago = time.time() - supply.KEEP_SECONDS - 60
    os.utime(notes / "old", (long_ago, long_ago))
    assert supply._unwanted(notes) == ["old"]
    assert [note.name for note in notes.iterdir()] == ["new"]


def test_an_archive_names_its_layer_by_content(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(b"program")
    reference, file = archive.of_program(program)
    with tarfile.open(file) as tar:
        parts = {name: tar.extractfile(name) for name in tar.getnames()}
        content = {name: part.read() for name, part in parts.items() if part}
    config = json.loads(content["config.json"])
    assert json.loads(content["manifest.json"])[0]["RepoTags"] == [reference]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(content['layer.tar']).hexdigest()}"]
    assert config["config"] == {"Entrypoint": ["/pause"], "User": "65532:65532"}


def test_the_environment_wins_over_files_in_pips_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("[global]\ntimeout = 7\nretries = 9\n")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_TIMEOUT", "8")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    settings = baseimage.pip_settings().splitlines()
    assert {"[global]", "timeout = 8", "retries = 9"} <= set(settings)
    assert f"--volume={wheels}:{wheels}:ro" in baseimage.build_mounts(tmp_path)


def test_one_version_of_kubernetes_is_named_everywhere() -> None:
    pinned = (tools.MODULE / "go.mod").read_text()
    assert f"\tk8s.io/kubernetes {KUBERNETES} " in pinned
    staging = set(re.findall(r"=> k8s\.io/\S+ v0(\.\S+)", pinned))
    assert staging == {KUBERNETES.removeprefix("v1")}
    minor = ".".join(KUBERNETES.split(".")[:2])
    assert f"kindest/node:{minor}." in (REPOSITORY / "kind-config.yaml").read_text()
