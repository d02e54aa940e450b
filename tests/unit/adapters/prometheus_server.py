"""A real Prometheus, and a page of metrics for it to scrape."""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from cluster import debian
from cluster.network import free_port
from cluster.shell import ClusterError, UnavailableError

_CONFIG = """
global: {{scrape_interval: {interval}s, scrape_timeout: {interval}s}}
scrape_configs:
- job_name: pods
  honor_labels: {honor}
  metrics_path: {path}
  static_configs:
  - targets: [{target}]
    labels: {labels}
"""


def program() -> str | None:
    """The installed Prometheus, else the one that test clusters use, if this machine can have it."""
    installed = shutil.which("prometheus")
    if installed:
        return installed
    try:
        return str(debian.unpacked() / "usr/bin/prometheus")
    except (UnavailableError, ClusterError):
        return None


class Page:
    """Counters that a test sets, served in Prometheus' text format."""

    def __init__(self) -> None:
        self.counters: dict[str, float] = {}
        self.scrapes = 0
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page.scrapes += 1
                text = "".join(f"{series} {value}\n" for series, value in dict(page.counters).items())
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def add(self, name: str, labels: Mapping[str, str], growth: float) -> None:
        series = name + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
        self.counters[series] = self.counters.get(series, 0.0) + growth

    def wait_scraped(self, timeout: float = 30.0) -> None:
        """Until what is set now has been scraped, and stored."""
        before, deadline = self.scrapes, time.monotonic() + timeout
        while self.scrapes < before + 2:  # one may be under way; and one that begins after it was stored
            if time.monotonic() > deadline:
                raise TimeoutError("not scraped")
            time.sleep(0.05)
        time.sleep(0.2)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class PrometheusServer:
    """One process with its own folder and port; with `web`, a web configuration, at https.

    What it scrapes has its own labels, unless some are given.
    """

    def __init__(
        self,
        folder: Path,
        target: str,
        interval: int = 1,
        web: Path | None = None,
        *,
        path: str = "/metrics",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        binary = program()
        if binary is None:
            raise FileNotFoundError("prometheus")
        port = free_port()
        self.url = f"{'https' if web else 'http'}://127.0.0.1:{port}"
        config = folder / "prometheus.yml"
        config.write_text(
            _CONFIG.format(
                interval=interval,
                target=target,
                path=path,
                labels=json.dumps(dict(labels or {})),
                honor=json.dumps(not labels),
            )
        )
        self._written = folder / "log"
        self._log = self._written.open("w")
        self._process = subprocess.Popen(
            [
                binary,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                *([f"--web.config.file={web}"] if web else []),
            ],
            stdout=self._log,
            stderr=self._log,
        )

    def __enter__(self) -> Self:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if "Server is ready to receive web requests" in self._written.read_text():
                return self
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        self.__exit__()
        raise TimeoutError(f"prometheus isn't ready: {self._written.read_text()[-2000:]}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._log.close()
