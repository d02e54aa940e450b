"""How each server is started with a tiny model, called, and ended.

Every model doubles a number after 60 ms, and fails at once for numbers below 0. All listen on loopback only.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cluster.network import free_port
from cluster.progress import step
from cluster.shell import TAIL_LINES, UnavailableError, run, tail
from runtimes.environments import python, variables

MODELS = Path(__file__).parent / "models"
START = 180.0
"""Seconds that a server may take until it is ready."""


@dataclass(frozen=True)
class Ports:
    """Where a server listens in a test: requests, metrics, and others that it needs."""

    http: int = field(default_factory=free_port)
    metrics: int = field(default_factory=free_port)
    more: tuple[int, ...] = field(default_factory=lambda: tuple(free_port() for _ in range(4)))


Commands = Callable[[Path, Ports, Path], Sequence[Sequence[object]]]


@dataclass(frozen=True)
class Server:
    """One server.

    Attributes:
        path: Of requests.
        body: Of a request for a number.
        commands: What to run one after the other, given interpreter, ports and folder; the last one stays.
        defaults: A program that prints the ports of requests and metrics without any configuration.
        variables: Of its environment, given the folder.
        apart: Metrics have a port of their own.
    """

    path: str
    body: Callable[[float], object]
    commands: Commands
    defaults: str
    variables: Callable[[Path], Mapping[str, str]] = lambda _folder: {}
    apart: bool = False


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    server: Server
    ports: Ports
    interpreter: Path

    @property
    def metrics_port(self) -> int:
        return self.ports.metrics if self.server.apart else self.ports.http

    def get(self, path: str, port: int | None = None) -> tuple[int, str]:
        """Status and text; status 0 without an answer."""
        return _answer(f"http://127.0.0.1:{port or self.ports.http}{path}")

    def call(self, number: float) -> int:
        """The status of the answer to one request."""
        where = f"http://127.0.0.1:{self.ports.http}{self.server.path}"
        return _answer(where, json.dumps(self.server.body(number)).encode())[0]


def _answer(url: str, data: bytes | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


@contextlib.contextmanager
def running(runtime: str, readiness: str | None) -> Iterator[Running]:
    """The server, from when its readiness answers 200.

    Raises:
        UnavailableError: it can't be installed here.
        TimeoutError: it doesn't become ready; its output is in the message.
    """
    server, found = SERVERS[runtime], Running(SERVERS[runtime], Ports(), python(runtime))
    if runtime == "TorchServe" and not shutil.which("java"):
        raise UnavailableError("TorchServe needs Java 17: install the package openjdk-17-jre-headless")
    # Not pytest's folder: below it the paths of Ray's sockets would be too long.
    with tempfile.TemporaryDirectory(prefix="serve-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        shutil.copytree(MODELS / runtime, folder, dirs_exist_ok=True)
        *before, last = server.commands(found.interpreter, found.ports, folder)
        environment = variables(found.interpreter, **server.variables(folder))
        for command in before:
            run(command, cwd=folder, env=environment)
        with _started(last, folder, environment) as process:
            with step(f"start {runtime}"):
                _wait(found, readiness or "/", folder / "log", process)
            yield found


@contextlib.contextmanager
def _started(
    command: Sequence[object], folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    words = [str(word) for word in command]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            words, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        _end(process)


def _wait(found: Running, readiness: str, log: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START
    while found.get(readiness)[0] != 200:
        if process.poll() is not None or time.monotonic() > deadline:
            why = f"it ended with {process.returncode}" if process.returncode is not None else "not ready"
            raise TimeoutError(f"{why}:\n{tail(log.read_text(errors='replace'), 2 * TAIL_LINES)}")
        time.sleep(0.2)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server and what it started: all of its session, which is its process group."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)


def _mlserver(interpreter: Path, ports: Ports, folder: Path) -> Sequence[Sequence[object]]:
    settings = {
        "host": "127.0.0.1",
        "http_port": ports.http,
        "grpc_port": ports.more[0],
        "metrics_port": ports.metrics,
        "parallel_workers": 0,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    start = "from mlserver.cli import main; main()"
    return [[interpreter, "train.py"], [interpreter, "-c", start, "start", "."]]


def _kserve(interpreter: Path, ports: Ports, _folder: Path) -> Sequence[Sequence[object]]:
    where = (f"--http_port={ports.http}", "--enable_grpc=false")
    return [[interpreter, "serve.py", *where]]


def _bentoml(interpreter: Path, ports: Ports, _folder: Path) -> Sequence[Sequence[object]]:
    where = ("--host=127.0.0.1", f"--port={ports.http}")
    return [[interpreter, "-m", "bentoml", "serve", "service:Tiny", *where]]


def _ray(interpreter: Path, ports: Ports, folder: Path) -> Sequence[Sequence[object]]:
    return [[interpreter, "app.py", ports.http, ports.metrics, folder / "t"]]


def _torchserve(interpreter: Path, ports: Ports, folder: Path) -> Sequence[Sequence[object]]:
    (folder / "config.properties").write_text(
        f"inference_address=http://127.0.0.1:{ports.http}\n"
        f"management_address=http://127.0.0.1:{ports.more[0]}\n"
        f"metrics_address=http://127.0.0.1:{ports.metrics}\n"
        "grpc_inference_address=127.0.0.1\ngrpc_management_address=127.0.0.1\n"
        f"grpc_inference_port={ports.more[1]}\ngrpc_management_port={ports.more[2]}\n"
        "metrics_mode=prometheus\ndefault_workers_per_model=1\ndisable_token_authorization=true\n"
    )
    (folder / "store").mkdir()
    archive = ("--model-name=tiny", "--version=1.0", "--handler=handler.py", "--export-path=store")
    return [
        [interpreter, "-m", "model_archiver.model_packaging", *archive],
        [
            *(
                interpreter,
                "-m",
                "ts.model_server",
                "--start",
                "--foreground",
                "--ncs",
                "--model-store=store",
            ),
            *("--models", "tiny=tiny.mar", "--ts-config", "config.properties"),
        ],
    ]


SERVERS: Mapping[str, Server] = {
    "MLServer": Server(
        "/v2/models/tiny/infer",
        lambda number: {
            # One number is what the model was trained on; it can't take two.
            "inputs": [
                {
                    "name": "x",
                    "shape": [1, 1 if number >= 0 else 2],
                    "datatype": "FP64",
                    "data": [number] * (1 if number >= 0 else 2),
                }
            ]
        },
        _mlserver,
        "from mlserver.settings import Settings; s = Settings(); print(s.http_port, s.metrics_port)",
        apart=True,
    ),
    "KServe": Server(
        "/v1/models/tiny:predict",
        lambda number: {"instances": [number]},
        _kserve,
        "from kserve import model_server as m; p = m.parser.get_default('http_port'); print(p, p)",
    ),
    "BentoML": Server(
        "/predict",
        lambda number: {"x": number},
        _bentoml,
        "from bentoml._internal.configuration.containers import BentoMLContainer as c;"
        " p = c.http.port.get(); print(p, p)",
        variables=lambda folder: {"BENTOML_HOME": str(folder / "home"), "BENTOML_DO_NOT_TRACK": "true"},
    ),
    "RayServe": Server(
        "/",
        lambda number: {"x": number},
        _ray,
        # That of its metrics is random unless it is given; 8080 is what its Helm charts and KubeRay give.
        "from ray.serve._private.constants import DEFAULT_HTTP_PORT; print(DEFAULT_HTTP_PORT, 8080)",
        # Counts every second instead of ten, and patience on a busy machine.
        variables=lambda _folder: {
            "RAY_metrics_report_interval_ms": "1000",
            "RAY_raylet_start_wait_time_s": "170",
            "RAY_USAGE_STATS_ENABLED": "0",
        },
        apart=True,
    ),
    "TorchServe": Server(
        "/predictions/tiny",
        lambda number: {"x": number},
        _torchserve,
        # The addresses are constants of a class in its archive.
        "import re, ts, zipfile; z = zipfile.ZipFile(ts.__path__[0] + '/frontend/model-server.jar');"
        " found = z.read('org/pytorch/serve/util/ConfigManager.class');"
        " print(*[p for p in (8080, 8082) if b'http://127.0.0.1:%d' % p in found])",
        # PyTorch itself, 3 GB of it, is looked at for one type only.
        variables=lambda folder: {"PYTHONPATH": str(folder / "stub")},
        apart=True,
    ),
}
