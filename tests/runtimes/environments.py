"""A virtual environment for each server, made once and kept in the cache folder."""

import os
import sys
from pathlib import Path

from cluster.paths import built, digest, is_built
from cluster.progress import step
from cluster.shell import ClusterError, UnavailableError, run

REQUIREMENTS = Path(__file__).parent / "requirements"
PATIENCE = 1200.0


def python(runtime: str) -> Path:
    """The interpreter of a runtime's environment.

    Raises:
        UnavailableError: its packages can't be installed here; why is in the message.
    """
    wanted = REQUIREMENTS / f"{runtime}.txt"
    key = f"{runtime.lower()}-{digest([wanted.read_bytes(), sys.version])}"

    def build(folder: Path) -> None:
        # Its scripts' first lines name the folder that it is made in, so all is run by `python -m`.
        run([sys.executable, "-m", "venv", folder])
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, "--no-compile", "--requirement", wanted], timeout=PATIENCE)

    if not is_built("runtimes", key):
        with step(f"install {runtime} ({len(wanted.read_text().splitlines()) - 1} packages)"):
            try:
                built("runtimes", key, build)
            except ClusterError as error:
                raise UnavailableError(f"{runtime} can't be installed here: {error}") from error
    return built("runtimes", key, build) / "bin" / "python"


def variables(interpreter: Path, **more: str) -> dict[str, str]:
    """The variables that a server gets: its environment's programs first, none of these tests' paths."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**kept, "PATH": f"{interpreter.parent}:{kept.get('PATH', '')}", "PYTHONUNBUFFERED": "1", **more}
