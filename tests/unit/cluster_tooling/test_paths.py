"""Keys and folders of built things."""

import threading
import time
from pathlib import Path

import pytest

from cluster.paths import built, digest, files_digest

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("left", "right"),
    [(["ab", "c"], ["a", "bc"]), (["a", "b"], ["b", "a"]), (["a"], ["a", ""]), ([b"1:a"], ["1", ":a"])],
)
def test_digest_tells_parts_apart(left: list[str | bytes], right: list[str | bytes]) -> None:
    assert digest(left) != digest(right)
    assert digest(left) == digest(list(left))


def test_files_digest_sees_content_name_and_execute_bit(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    seen = {files_digest(tmp_path, [file])}
    file.write_text("two")
    seen.add(files_digest(tmp_path, [file]))
    file.chmod(0o755)
    seen.add(files_digest(tmp_path, [file]))
    renamed = file.rename(tmp_path / "b")
    seen.add(files_digest(tmp_path, [renamed]))
    seen.add(files_digest(tmp_path, [renamed], ["extra"]))
    assert len(seen) == 5


def test_files_digest_does_not_depend_on_the_order_or_the_place(tmp_path: Path) -> None:
    for root in (tmp_path / "x", tmp_path / "y"):
        root.mkdir()
        (root / "a").write_text("a")
        (root / "b").write_text("b")
    forward = files_digest(tmp_path / "x", [tmp_path / "x/a", tmp_path / "x/b"])
    assert forward == files_digest(tmp_path / "y", [tmp_path / "y/b", tmp_path / "y/a"])


def test_built_makes_a_thing_once_even_when_several_ask() -> None:
    calls = []

    def build(folder: Path) -> None:
        calls.append(folder)
        time.sleep(0.05)
        (folder / "thing").write_text("whole")

    threads = [threading.Thread(target=built, args=("kind", "key", build)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert (built("kind", "key", build) / "thing").read_text() == "whole"


def test_built_leaves_nothing_of_a_failed_build(cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        built("kind", "key", fail)
    assert list((cache / "kind").iterdir()) == []
    assert (built("kind", "key", lambda folder: (folder / "whole").touch()) / "whole").exists()
