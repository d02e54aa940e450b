"""Asks a Prometheus server: never raises, never waits longer than it was told to.

`prometheus-api-client` is synchronous, so each server has a small pool of threads of its own, with one
session per thread: a server that hangs takes its own threads and nobody else's.
"""

import asyncio
import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import requests
from prometheus_api_client import PrometheusApiClientException, PrometheusConnect
from urllib3.util.retry import Retry

from modeldeploy.core.judgement import QueryFailed

_THREADS = 4
_GRACE = 0.5
_RANGE_PATIENCE = 5
_REASON_LENGTH = 300
_BODY = re.compile(r"HTTP Status Code (\d+) \((b['\"].*)\)\Z", re.DOTALL)

Result = list[Any]
"""What the API calls `result`: an instant vector, a matrix, or a scalar as `[time, text]`."""


class Prometheus:
    """One server.

    Args:
        url: Its base URL.
        timeout: Seconds that one question may take, connecting included.
    """

    def __init__(self, url: str, *, timeout: float = 2.0) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="prometheus")
        self._local = threading.local()

    async def query(self, expression: str, at: datetime) -> Result | QueryFailed:
        """The expression's value at a time."""
        params = {"time": f"{at.timestamp():.3f}", "timeout": f"{self._timeout:g}s"}
        return await self._run(lambda server: server.custom_query(expression, params=params), self._timeout)

    async def query_range(
        self, expression: str, start: datetime, end: datetime, step: float
    ) -> Result | QueryFailed:
        """The expression's values from `start` to `end`, both included, every `step` seconds."""
        # Given as parameters, too: the client rounds its own to whole seconds.
        params = {"start": f"{start.timestamp():.3f}", "end": f"{end.timestamp():.3f}"}
        patience = _RANGE_PATIENCE * self._timeout
        return await self._run(
            lambda server: server.custom_query_range(
                expression, start, end, step=f"{step:g}", params=params, timeout=patience
            ),
            patience,
        )

    def close(self) -> None:
        """Let the threads go; questions under way are given up."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, ask: Callable[[PrometheusConnect], Result], patience: float) -> Result | QueryFailed:
        loop = asyncio.get_running_loop()
        try:
            # Requests bounds every read, not the whole; a server that sends drop by drop is left behind here.
            answer = await asyncio.wait_for(
                loop.run_in_executor(self._threads, self._ask, ask, patience), patience + _GRACE
            )
        except TimeoutError:
            return self._failed(f"no answer within {patience:g}s")
        except RuntimeError as error:  # the pool is closed: the operator is stopping
            return self._failed(str(error))
        return answer

    def _ask(self, ask: Callable[[PrometheusConnect], Result], patience: float) -> Result | QueryFailed:
        try:
            return ask(self._server())
        except PrometheusApiClientException as error:
            return self._failed(_refusal(str(error)))
        except requests.Timeout:
            return self._failed(f"no answer within {patience:g}s")
        except requests.TooManyRedirects:
            return self._failed("it redirects elsewhere, which is not followed")
        except requests.ConnectionError as error:
            return self._failed(_connection(error))
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            return self._failed(f"its answer can't be read ({type(error).__name__})")

    def _failed(self, reason: str) -> QueryFailed:
        return QueryFailed(f"Prometheus at {self.url}: {reason}")

    def _server(self) -> PrometheusConnect:
        server: PrometheusConnect | None = getattr(self._local, "server", None)
        if server is None:
            session = requests.Session()
            # Neither .netrc nor proxies stand between an operator and its metrics; and where a URL was
            # allowed, the place that it redirects to was not.
            session.trust_env = False
            session.max_redirects = 0
            # `read=False`: a time-out while reading stays one, instead of becoming a failed connection.
            retry = Retry(0, read=False)
            server = PrometheusConnect(self.url, session=session, retry=retry, timeout=self._timeout)
            self._local.server = server
        return server


def _refusal(text: str) -> str:
    """What the server says is wrong, from the client's text of an answer that isn't 200."""
    found = _BODY.search(text)
    if found is None:
        return text[:_REASON_LENGTH]
    code, body = found[1], found[2][2:-1]
    try:
        said = str(json.loads(body.encode().decode("unicode_escape"))["error"])
    except (ValueError, KeyError, TypeError):
        said = ""
    return f"HTTP {code}{': ' if said else ''}{said[:_REASON_LENGTH]}"


def _connection(error: requests.ConnectionError) -> str:
    text = str(error)
    if "Name or service not known" in text or "NameResolution" in text:
        return "its name is unknown"
    return "connection refused" if "refused" in text else "cannot be reached"
