"""Asks a Prometheus server: never raises, never waits longer than it was told to.

`prometheus-api-client` is synchronous, so each server has a few threads of its own, with one session per
thread: a server that hangs takes its own threads and nobody else's. What everybody waits for and what one
object asks have separate ones, so that no user's slow query holds up the judgement of others.
"""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

import requests
from prometheus_api_client import PrometheusApiClientException, PrometheusConnect
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from modeldeploy.adapters.credentials import CredentialError, Credentials, Keeper
from modeldeploy.adapters.replies import Body, Unusable, heed
from modeldeploy.core.judgement import QueryFailed

TIMEOUT = 5.0

_THREADS = 4
_GRACE = 0.5
_LINE = 10.0
"""Seconds that a question waits for a thread at most."""
_RANGE_PATIENCE = 5
_REASON_LENGTH = 300
_BODY = re.compile(r"HTTP Status Code (\d+) \((b['\"].*)\)\Z", re.DOTALL)
_REFUSALS = ("HTTP 401", "HTTP 403")

_ENDED = ("alert", "EOF occurred", "reset by peer", "Broken pipe")
"""What is left of a refused certificate: an alert that may come after the handshake, or only the end."""

Read = TypeVar("Read")
Result = list[Any]
"""What the API calls `result`: an instant vector, a matrix, or a scalar as `[time, text]`."""


class Refused(Exception):  # noqa: N818 - an answer, not a fault of ours
    """The server does not accept what it was shown, or it is not accepted by us."""


class Prometheus:
    """One server, asked in one way.

    Args:
        url: Its base URL.
        timeout: Seconds that one question may take, connecting included.
        keeper: Keeps what it is shown.
        mend: What to do when it asks for credentials and is shown none, in a sentence.
        parameters: Added to every question, by name.
        headers: Added to every request, by name.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = TIMEOUT,
        keeper: Keeper | None = None,
        mend: str = "",
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._keeper = keeper or Keeper()
        self._mend = mend
        self._parameters = dict(parameters or {})
        self._headers = dict(headers or {})
        self._lanes = {own: _Lane() for own in (False, True)}
        self._local = threading.local()

    async def query(self, expression: str, at: datetime) -> Result | QueryFailed:
        """The value at a time of an expression that one object waits for."""
        return await self._query(expression, at, Body.parsed, self._lanes[True])

    async def query_shared(
        self, expression: str, at: datetime, read: Callable[[Body], Read]
    ) -> Read | QueryFailed:
        """What an expression that many wait for yields at a time, read by `read`, in a thread."""
        return await self._query(expression, at, read, self._lanes[False])

    async def _query(
        self, expression: str, at: datetime, read: Callable[[Body], Read], lane: "_Lane"
    ) -> Read | QueryFailed:
        params = {**self._parameters, "time": f"{at.timestamp():.3f}", "timeout": f"{self._timeout:g}s"}
        return await self._run(
            lambda server: read(server.custom_query(expression, params=params)), self._timeout, lane
        )

    async def query_range(
        self, expression: str, start: datetime, end: datetime, step: float
    ) -> Result | QueryFailed:
        """The expression's values from `start` to `end`, both included, every `step` seconds."""
        # Given as parameters, too: the client rounds its own to whole seconds.
        params = {
            **self._parameters,
            "start": f"{start.timestamp():.3f}",
            "end": f"{end.timestamp():.3f}",
        }
        patience = _RANGE_PATIENCE * self._timeout
        return await self._run(
            lambda server: Body.parsed(
                server.custom_query_range(
                    expression, start, end, step=f"{step:g}", params=params, timeout=patience
                )
            ),
            patience,
            self._lanes[True],
        )

    def close(self) -> None:
        """Let the threads go; questions under way are given up."""
        for lane in self._lanes.values():
            lane.threads.shutdown(wait=False, cancel_futures=True)

    async def _run(
        self, ask: Callable[[PrometheusConnect], Read], patience: float, lane: "_Lane"
    ) -> Read | QueryFailed:
        try:
            shown = await self._keeper.current()
            try:
                return await self._answer(ask, patience, lane, shown)
            except Refused as refused:
                renewed = await self._keeper.renewed()
                if renewed == shown:
                    return self._failed(str(refused))
                return await self._answer(ask, patience, lane, renewed)
        except (CredentialError, Refused) as error:
            return self._failed(str(error))

    async def _answer(
        self, ask: Callable[[PrometheusConnect], Read], patience: float, lane: "_Lane", shown: Credentials
    ) -> Read | QueryFailed:
        loop = asyncio.get_running_loop()
        try:
            # Patience begins with the question, not in the line for a thread.
            await asyncio.wait_for(lane.free.acquire(), _LINE)
        except TimeoutError:
            return self._failed(f"too many questions wait for it, this one for {_LINE:g}s")
        try:
            return await asyncio.wait_for(
                loop.run_in_executor(lane.threads, self._ask, ask, patience, shown), patience + _GRACE
            )
        except TimeoutError:
            return self._failed(f"no answer within {patience:g}s")
        except RuntimeError as error:  # the threads are gone: the operator is stopping
            return self._failed(str(error))
        finally:
            lane.free.release()

    def _ask(
        self, ask: Callable[[PrometheusConnect], Read], patience: float, shown: Credentials
    ) -> Read | QueryFailed:
        try:
            return ask(self._server(shown))
        except PrometheusApiClientException as error:
            reason = _refusal(str(error), shown)
            if reason.startswith(_REFUSALS):
                raise Refused(f"{reason}; {self._unaccepted(shown)}") from None
        except Unusable as error:
            reason = shown.redacted(str(error))
        except requests.Timeout:
            reason = f"no answer within {patience:g}s"
        except requests.TooManyRedirects:
            reason = "it redirects elsewhere, which is not followed"
        except requests.ConnectionError as error:
            text = str(error)
            is_ended = self.url.startswith("https:") and any(sign in text for sign in _ENDED)
            if isinstance(error, requests.exceptions.SSLError) or is_ended:
                raise Refused(self._of_tls(text, shown)) from None
            reason = _connection(text)
        except (requests.RequestException, ValueError, LookupError, TypeError) as error:
            reason = f"its answer can't be read ({type(error).__name__})"
        return self._failed(reason)

    def _unaccepted(self, shown: Credentials) -> str:
        if shown.identity:
            return f"it does not accept {shown.identity}; put one there that it does"
        if shown.where:
            return f"it asks for a token or a user; put them into {shown.where}"
        return f"it asks for credentials; {self._mend}" if self._mend else "it asks for credentials"

    def _of_tls(self, text: str, shown: Credentials) -> str:
        where = shown.where or "a Secret"
        mend = f"; {self._mend}" if self._mend and not shown.where else ""
        if "Hostname mismatch" in text or "doesn't match" in text or "IP address mismatch" in text:
            return "its certificate is for another name; use the URL with the name that it is for"
        if "CERTIFICATE_VERIFY_FAILED" in text:
            return f"its certificate is not trusted; put its authority's as ca.crt into {where}{mend}"
        if any(sign in text for sign in _ENDED) and shown.certificate:
            return (
                "it ends the TLS connection, as servers do that do not accept the certificate in "
                f"{where} (key tls.crt); put one there that it does"
            )
        if any(sign in text for sign in _ENDED):
            return (
                "it ends the TLS connection, as servers do that want a client's certificate; "
                f"put tls.crt and tls.key into {where}{mend}"
            )
        return "no TLS connection comes about; see that the URL's scheme and port are right"

    def _failed(self, reason: str) -> QueryFailed:
        return QueryFailed(f"Prometheus at {self.url}: {reason}")

    def _server(self, shown: Credentials) -> PrometheusConnect:
        known: tuple[Credentials, PrometheusConnect] | None = getattr(self._local, "server", None)
        if known is not None and known[0] == shown:
            return known[1]
        session = requests.Session()
        # Neither .netrc nor proxies stand between an operator and its metrics; and where a URL was
        # allowed, the place that it redirects to was not.
        session.trust_env = False
        session.max_redirects = 0
        session.hooks["response"].append(heed)
        headers, auth = dict(self._headers), None
        if shown.token:
            headers["Authorization"] = f"Bearer {shown.token}"
        elif shown.username:
            auth = (shown.username.encode(), shown.password.encode())
        # `read=False`: a time-out while reading stays one, instead of becoming a failed connection.
        retry = Retry(0, read=False)
        server = PrometheusConnect(
            self.url, headers=headers, auth=auth, session=session, retry=retry, timeout=self._timeout
        )
        if shown.context is not None:
            session.mount(self.url, _Secured(shown, retry))
        self._local.server = shown, server
        return server


class _Lane:
    """Threads, and who may use them now."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="prometheus")
        self.free = asyncio.Semaphore(_THREADS)


class _Secured(HTTPAdapter):
    """TLS as the credentials have it, and by nothing else."""

    def __init__(self, shown: Credentials, retry: Retry) -> None:
        self._shown = shown
        super().__init__(max_retries=retry)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=self._shown.context, **options)

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Add no authority to those of the context."""


def _refusal(text: str, shown: Credentials) -> str:
    """What the server says is wrong, from the client's text of an answer that isn't 200."""
    found = _BODY.search(text)
    if found is None:
        return shown.redacted(text)[:_REASON_LENGTH]
    code, body = found[1], found[2][2:-1]
    try:
        said = str(json.loads(body.encode().decode("unicode_escape"))["error"])
    except (ValueError, KeyError, TypeError):
        said = ""
    return f"HTTP {code}{': ' if said else ''}{shown.redacted(said)[:_REASON_LENGTH]}"


def _connection(text: str) -> str:
    if "Name or service not known" in text or "NameResolution" in text:
        return "its name is unknown"
    return "connection refused" if "refused" in text else "cannot be reached"
