"""Running other programs, and the error that says which one failed and how."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

TAIL_LINES = 25


class ClusterError(Exception):
    """A cluster, or a part of one, could not be had; the message says why and where to look."""


class UnavailableError(ClusterError):
    """No cluster of the asked kind can run on this machine; the message lists what was missing."""


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last lines of a text, indented for a message."""
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines()[-lines:])


def run(
    argv: Sequence[object],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    given: str | bytes | None = None,
    timeout: float | None = None,
) -> str:
    """Run a program and give back what it printed on standard output.

    Args:
        argv: the program and its arguments, made into text.
        cwd: the folder it runs in.
        env: variables set on top of this process's own.
        given: its standard input; empty when omitted.
        timeout: seconds after which it is ended.

    Raises:
        ClusterError: it could not be started, ended with another code than 0 or ran out of time.
    """
    words = [str(word) for word in argv]
    data = given.encode() if isinstance(given, str) else (given or b"")
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            input=data,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except OSError as error:
        raise ClusterError(f"{words[0]} could not be started: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{' '.join(words[:4])} … did not end within {timeout:g} s") from error
    if done.returncode != 0:
        output = (done.stdout + b"\n" + done.stderr).decode(errors="replace")
        raise ClusterError(f"{' '.join(words)[:200]} ended with code {done.returncode}:\n{tail(output)}")
    return done.stdout.decode(errors="replace")


def succeeds(argv: Sequence[object], timeout: float = 20) -> bool:
    """Whether the program is there and ends with code 0."""
    try:
        run(argv, timeout=timeout)
    except ClusterError:
        return False
    return True
