"""Programs are told apart by their start, and only ours are ended."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.process import Process, alive, parse_stat, start, stop

pytestmark = pytest.mark.unit


@pytest.fixture
def sleeping(tmp_path: Path) -> Iterator[Process]:
    process = start("sleeper", ["/bin/sleep", "60"], tmp_path / "sleeper.log")
    yield process
    stop([process])


def test_parse_stat_survives_brackets_and_spaces_in_the_name() -> None:
    fields = " ".join(str(number) for number in range(4, 23))
    assert parse_stat(f"7 (a) R 9 (b)) S {fields}") == ("S", 22)


def test_a_started_program_lives_until_it_is_stopped(sleeping: Process) -> None:
    assert alive(sleeping)
    assert os.getsid(sleeping.pid) == sleeping.pid
    stop([sleeping])
    assert not alive(sleeping)


@pytest.mark.parametrize("difference", [{"started": 1}, {"boot": "another"}])
def test_another_program_with_the_same_id_is_neither_ours_nor_ended(
    sleeping: Process, difference: dict[str, object]
) -> None:
    stranger = replace(sleeping, **difference)  # type: ignore[arg-type]
    assert not alive(stranger)
    stop([stranger])
    assert alive(sleeping)


def test_a_program_that_ignores_the_first_signal_is_ended_after_the_grace(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = f"trap '' TERM; touch {ready}; while :; do sleep 0.1; done"
    stubborn = start("stubborn", ["/bin/sh", "-c", script], tmp_path / "log")
    while not ready.exists():
        assert alive(stubborn)
    stop([stubborn], grace=0.2)
    assert not alive(stubborn)


def test_both_outputs_go_to_the_log_and_the_ambient_kubeconfig_does_not_reach_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/production")
    script = 'echo "out $KUBECONFIG"; echo err >&2'
    process = start("printer", ["/bin/sh", "-c", script], tmp_path / "logs/printer.log")
    os.waitpid(process.pid, 0)
    assert Path(process.log).read_text() == "out \nerr\n"


def test_the_log_of_the_run_before_is_kept(tmp_path: Path) -> None:
    for word in ("first", "second"):
        os.waitpid(start("echo", ["/bin/echo", word], tmp_path / "echo.log").pid, 0)
    assert (tmp_path / "echo.previous.log").read_text() == "first\n"
    assert (tmp_path / "echo.log").read_text() == "second\n"
