"""Credentials: understood, kept, read anew; and never shown to people."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from modeldeploy.adapters.credentials import (
    CredentialError,
    Credentials,
    Folder,
    Keeper,
    SourceAwayError,
    parse,
)

pytestmark = pytest.mark.unit

WHERE = "Secret reader"


def test_what_an_editor_puts_behind_a_value_is_no_part_of_it() -> None:
    assert parse({"token": b"abc\n"}, WHERE) == Credentials(token="abc", where=WHERE)
    found = parse({"username": b"me\n", "password": b" with blanks \n"}, WHERE)
    assert (found.username, found.password) == ("me", " with blanks ")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (
            {},
            "holds none of the keys token, username, password, tls.crt, tls.key, ca.crt; add token, or ",
        ),
        ({"other": b"x", "token": b" \n"}, "holds none of the keys"),
        ({"token": b"t", "username": b"u", "password": b"p"}, "holds both token and username or password"),
        ({"username": b"u"}, "holds username but no password; add the key password"),
        ({"password": b"p"}, "holds password but no username; add the key username"),
        ({"tls.key": b"k"}, "holds tls.key but no tls.crt; add the key tls.crt"),
        ({"token": b"a\nX-Scope-OrgID: b"}, "key token holds blanks or signs that no HTTP header can"),
        ({"token": b"a\xff"}, "key token is no UTF-8 text"),
        ({"username": b"a:b", "password": b"p"}, "key username holds a colon"),
        ({"username": b"a", "password": b"p\nq"}, "key password holds signs that can't be printed"),
        ({"ca.crt": b"-----BEGIN"}, "key ca.crt holds no certificate in PEM"),
        (
            {"tls.crt": b"x", "tls.key": b"y"},
            "keys tls.crt and tls.key are no pair",
        ),
    ],
)
def test_wrong_credentials_are_told_by_their_key(values: Mapping[str, bytes], complaint: str) -> None:
    with pytest.raises(CredentialError) as told:
        parse(values, WHERE)
    assert complaint in str(told.value)
    assert WHERE in str(told.value)


def test_nothing_that_is_printed_holds_a_credential() -> None:
    one = Credentials(token="t0ken", where=WHERE)
    two = Credentials(username="me", password="pa55", where=WHERE)
    assert "t0ken" not in f"{one!r} {one} {one.identity}"
    assert "pa55" not in f"{two!r} {two} {two.identity}"
    assert one.redacted("invalid token t0ken") == "invalid token …"
    assert two.redacted("bad: Basic bWU6cGE1NQ==, pa55") == "bad: Basic …, …"


class Changing:
    """A source that a test changes."""

    name = WHERE
    keep = 100.0

    def __init__(self, *values: Mapping[str, bytes] | Exception) -> None:
        self.values = list(values)
        self.read_times = 0

    async def read(self) -> Mapping[str, bytes]:
        self.read_times += 1
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        if isinstance(value, Exception):
            raise value
        return value


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("modeldeploy.adapters.credentials.time.monotonic", lambda: now[0])
    return now


async def test_credentials_are_read_again_at_intervals_and_once_refused(clock: list[float]) -> None:
    source = Changing({"token": b"a"}, {"token": b"b"}, {"token": b"c"})
    keeper = Keeper(source)
    assert (await keeper.current()).token == "a"
    clock[0] += 99.0
    assert (await keeper.current()).token == "a"
    assert (await keeper.renewed()).token == "b"
    assert (await keeper.renewed()).token == "b"  # refused at once again: not read again at once
    clock[0] += 101.0
    assert (await keeper.current()).token == "c"
    assert source.read_times == 3


async def test_what_is_unchanged_stays_the_same_object_with_its_connections(clock: list[float]) -> None:
    keeper = Keeper(Changing({"token": b"a"}))
    before = await keeper.current()
    clock[0] += 101.0
    assert await keeper.current() is before


async def test_an_api_server_that_is_away_takes_no_credentials_back(clock: list[float]) -> None:
    keeper = Keeper(Changing({"token": b"a"}, SourceAwayError("away")))
    await keeper.current()
    clock[0] += 101.0
    assert (await keeper.current()).token == "a"


async def test_what_is_withdrawn_or_was_never_there_is_told_and_looked_for_again(clock: list[float]) -> None:
    missing = CredentialError("there is no Secret reader")
    source = Changing(SourceAwayError("away"), {"token": b"a"}, missing, {"token": b"b"})
    keeper = Keeper(source)
    for _ in range(3):
        with pytest.raises(CredentialError, match="away"):
            await keeper.current()
    assert source.read_times == 1
    clock[0] += 6.0
    assert (await keeper.current()).token == "a"
    clock[0] += 101.0
    with pytest.raises(CredentialError, match="there is no Secret reader"):
        await keeper.current()
    clock[0] += 6.0
    assert (await keeper.current()).token == "b"


async def test_a_folder_is_read_as_a_secret_is_mounted(tmp_path: Path) -> None:
    (tmp_path / "username").write_text("me")
    (tmp_path / "password").write_text("pass\n")
    (tmp_path / "..data").mkdir()
    found = parse(await Folder(tmp_path, "the folder").read(), "the folder")
    assert (found.username, found.password) == ("me", "pass")
    with pytest.raises(CredentialError, match="the folder holds none of the keys"):
        parse(await Folder(tmp_path / "absent", "the folder").read(), "the folder")
