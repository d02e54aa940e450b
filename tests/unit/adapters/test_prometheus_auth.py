"""A Prometheus that wants credentials, and a proxy that wants a token: what is shown, and what is said."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cluster.certificates import issue, make_authority
from modeldeploy.adapters import credentials
from modeldeploy.adapters.credentials import Folder, Keeper
from modeldeploy.adapters.prometheus import Prometheus
from modeldeploy.core.judgement import QueryFailed
from unit.adapters.prometheus_server import PrometheusServer, program

pytestmark = [
    pytest.mark.api,
    pytest.mark.skipif(program() is None, reason="Prometheus isn't installed (Debian package prometheus)"),
]

HASHES = {
    "first-password": "$2b$04$abcdefghijklmnopqrstuuT2j8U6U5rBY6aIOMzZiJOWuJPYKLLOe",
    "second-password": "$2b$04$abcdefghijklmnopqrstuukluLair1GoPMg9PQfjHAu2MGkeVdhk2",
}
"""bcrypt, as Prometheus keeps passwords; it reads its file anew for every request."""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was refused is read again without a pause."""
    monkeypatch.setattr(credentials, "RETRY", 0.0)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authority")
    make_authority(folder)
    issue(folder, "server", "prometheus", names=["IP:127.0.0.1"])
    issue(folder, "client", "modeldeploy")
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another authority, whose certificates the server does not know."""
    folder = tmp_path_factory.mktemp("other")
    make_authority(folder)
    issue(folder, "client", "modeldeploy")
    return folder


class Guarded:
    """A Prometheus that wants a user and a client's certificate."""

    def __init__(self, folder: Path, authority: Path) -> None:
        self.web = folder / "web.yml"
        self._authority = authority
        self.accept("first-password")
        self.server = PrometheusServer(folder, "127.0.0.1:1", web=self.web)
        self.url = self.server.url

    def accept(self, password: str, *, certificate: bool = True) -> None:
        client = (
            f"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {self._authority}/ca.crt\n"
        )
        self.web.write_text(
            f"tls_server_config:\n  cert_file: {self._authority}/server.crt\n"
            f"  key_file: {self._authority}/server.key\n{client if certificate else ''}"
            f"basic_auth_users:\n  operator: {HASHES[password]}\n"
        )


@pytest.fixture(scope="module")
def guarded(authority: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    made = Guarded(tmp_path_factory.mktemp("guarded"), authority)
    with made.server:
        yield made


class Shown:
    """The mounted folder of a Secret, as a test fills it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, **values: str | Path) -> None:
        for file in self._folder.iterdir():
            file.unlink()
        for key, value in values.items():
            text = value.read_text() if isinstance(value, Path) else value
            (self._folder / key.replace("_", ".")).write_text(text)

    def client(self, url: str) -> Prometheus:
        return Prometheus(url, keeper=Keeper(Folder(self._folder, "Secret reader")), mend="name a Secret")


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    return Shown(tmp_path)


async def reason(client: Prometheus) -> str:
    failed = await client.query("vector(1)", datetime.now(UTC))
    assert isinstance(failed, QueryFailed), failed
    assert "password" not in failed.reason.replace("keys username and password", "")
    return failed.reason.partition(": ")[2]


async def succeeds(client: Prometheus) -> bool:
    return not isinstance(await client.query("vector(1)", datetime.now(UTC)), QueryFailed)


async def test_a_user_and_a_certificate_open_it(guarded: Guarded, authority: Path, shown: Shown) -> None:
    guarded.accept("first-password")
    pair = {"tls_crt": authority / "client.crt", "tls_key": authority / "client.key"}
    user = {"username": "operator", "password": "first-password"}
    shown.put(ca_crt=authority / "ca.crt", **pair, **user)
    with closing(shown.client(guarded.url)) as client:
        assert await succeeds(client)
        # The password changes at the server, then in the Secret: nothing is restarted.
        guarded.accept("second-password")
        assert (await reason(client)).endswith(
            "HTTP 401; it does not accept the user in Secret reader (keys username and password); "
            "put one there that it does"
        )
        shown.put(ca_crt=authority / "ca.crt", **pair, username="operator", password="second-password")
        assert await succeeds(client)


async def test_what_is_missing_is_told_with_its_mend(
    guarded: Guarded, authority: Path, other: Path, shown: Shown
) -> None:
    guarded.accept("first-password")
    pair = {"tls_crt": authority / "client.crt", "tls_key": authority / "client.key"}
    user = {"username": "operator", "password": "first-password"}
    with closing(Prometheus(guarded.url, mend="name a Secret in x")) as client:
        assert await reason(client) == (
            "its certificate is not trusted; put its authority's as ca.crt into a Secret; name a Secret in x"
        )
    shown.put(**user)
    with closing(shown.client(guarded.url)) as client:
        assert await reason(client) == (
            "its certificate is not trusted; put its authority's as ca.crt into Secret reader"
        )
        shown.put(ca_crt=other / "ca.crt", **user)
        assert (await reason(client)).startswith("its certificate is not trusted")
        shown.put(ca_crt=authority / "ca.crt", **user)
        assert await reason(client) == (
            "it ends the TLS connection, as servers do that want a client's certificate; "
            "put tls.crt and tls.key into Secret reader"
        )
        shown.put(
            ca_crt=authority / "ca.crt", tls_crt=other / "client.crt", tls_key=other / "client.key", **user
        )
        assert await reason(client) == (
            "it ends the TLS connection, as servers do that do not accept the certificate in Secret reader "
            "(key tls.crt); put one there that it does"
        )
        shown.put(ca_crt=authority / "ca.crt", **pair)
        assert await reason(client) == (
            "HTTP 401; it asks for a token or a user; put them into Secret reader"
        )
        shown.put(ca_crt=authority / "ca.crt", tls_crt=authority / "client.crt", tls_key=other / "client.key")
        assert "keys tls.crt and tls.key are no pair" in str(await client.query("up", datetime.now(UTC)))
        shown.put(ca_crt=authority / "ca.crt", **pair, **user)
        assert await succeeds(client)


async def test_a_certificate_for_another_name(guarded: Guarded, authority: Path, shown: Shown) -> None:
    shown.put(ca_crt=authority / "ca.crt", username="operator", password="first-password")
    with closing(shown.client(guarded.url.replace("127.0.0.1", "localhost"))) as client:
        assert await reason(client) == (
            "its certificate is for another name; use the URL with the name that it is for"
        )


class TokenProxy:
    """Lets requests with the right token through to a server, and repeats wrong ones."""

    def __init__(self, upstream: str) -> None:
        self.token = "first-token"
        self.seen: list[dict[str, str]] = []
        self.paths: list[str] = []
        proxy, where = self, urlsplit(upstream).netloc

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                proxy.seen.append(dict(self.headers))
                proxy.paths.append(self.path)
                shown = self.headers.get("Authorization")
                if shown != f"Bearer {proxy.token}":
                    body = b'{"status":"error","error":"no such session: %s"}' % str(shown).encode()
                    self._answer(401, body)
                    return
                connection = http.client.HTTPConnection(where)
                connection.request("GET", self.path)
                response = connection.getresponse()
                self._answer(response.status, response.read())
                connection.close()

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    with PrometheusServer(tmp_path_factory.mktemp("plain"), "127.0.0.1:1") as server:
        yield server


@pytest.fixture
def proxy(plain: PrometheusServer) -> Iterator[TokenProxy]:
    with closing(TokenProxy(plain.url)) as running:
        yield running


async def test_a_token_is_rotated_without_a_restart_and_never_told(proxy: TokenProxy, shown: Shown) -> None:
    shown.put(token="first-token\n")
    with closing(shown.client(proxy.url)) as client:
        assert await succeeds(client)
        proxy.token = "second-token"
        assert await reason(client) == (
            "HTTP 401: no such session: Bearer …; it does not accept the token in Secret reader (key token); "
            "put one there that it does"
        )
        shown.put(token="second-token")
        asked = len(proxy.paths)
        assert await succeeds(client)  # refused, read anew, asked again: within one question
        assert len(proxy.paths) == asked + 2


async def test_who_shows_nothing_is_told_where_to_name_a_secret(proxy: TokenProxy) -> None:
    with closing(Prometheus(proxy.url, mend="name a Secret in x")) as client:
        assert await reason(client) == (
            "HTTP 401: no such session: None; it asks for credentials; name a Secret in x"
        )


async def test_parameters_and_headers_go_with_every_question(proxy: TokenProxy, shown: Shown) -> None:
    shown.put(token="first-token")
    keeper = Keeper(Folder(shown._folder, "Secret reader"))
    client = Prometheus(
        proxy.url,
        keeper=keeper,
        parameters={"dedup": "true", "partial_response": "false"},
        headers={"X-Scope-OrgID": "team-a|team-b"},
    )
    at = datetime.now(UTC)
    with closing(client):
        assert isinstance(await client.query("vector(1)", at), list)
        assert isinstance(await client.query_range("vector(1)", at, at, 1.0), list)
    assert all("dedup=true&partial_response=false" in path for path in proxy.paths)
    assert {headers["X-Scope-OrgID"] for headers in proxy.seen} == {"team-a|team-b"}
