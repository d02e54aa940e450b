"""What is shown to a metrics store: read from a Secret or a folder, kept a while, read anew when refused.

No text that is made here holds a credential; `Credentials.redacted` takes them out of texts from elsewhere.
"""

import asyncio
import base64
import ssl
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

TOKEN, USERNAME, PASSWORD = "token", "username", "password"
CERTIFICATE, PRIVATE_KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"
KEYS = (TOKEN, USERNAME, PASSWORD, CERTIFICATE, PRIVATE_KEY, AUTHORITY)
"""Of a Secret; the last three are named as in Secrets of type kubernetes.io/tls."""

RETRY = 5.0
"""Seconds until credentials that could not be read, or were refused, are read again."""


class CredentialError(Exception):
    """Credentials can't be used; the message names where they stand, the key, and the mend."""


class SourceAwayError(Exception):
    """Credentials can't be read at the moment; that says nothing against those read before."""


class Source(Protocol):
    """Where credentials stand.

    Attributes:
        name: For messages: `Secret metrics-reader`.
        keep: Seconds after which they are read again.
    """

    name: str
    keep: float

    async def read(self) -> Mapping[str, bytes]:
        """The values by key; `CredentialError` if there are none, `SourceAwayError` if none can tell."""
        ...


@dataclass(frozen=True, repr=False)
class Credentials:
    """What one server is shown. Empty texts for what is not.

    Attributes:
        token: A bearer token.
        username: Of basic authentication.
        password: The same.
        certificate: Shown to a server that wants one, in PEM, with its chain.
        private_key: The certificate's, in PEM.
        authority: The only certificates that a server's may come from, in PEM; empty for the usual ones.
        where: Where they come from, for messages.
    """

    token: str = ""
    username: str = ""
    password: str = ""
    certificate: str = ""
    private_key: str = ""
    authority: str = ""
    where: str = ""

    @property
    def identity(self) -> str:
        """What of it a server that answers with 401 or 403 did not accept; empty for nothing."""
        if self.token:
            return f"the token in {self.where} (key {TOKEN})"
        return f"the user in {self.where} (keys {USERNAME} and {PASSWORD})" if self.username else ""

    @cached_property
    def context(self) -> ssl.SSLContext | None:
        """TLS with the client's certificate and the authority; None where the usual will do.

        Raises:
            CredentialError: A certificate or a key can't be used.
        """
        if not (self.certificate or self.authority):
            return None
        context = ssl.create_default_context()
        if self.authority:
            # A context of its own, which trusts nobody else: the default one has the system's authorities.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            try:
                context.load_verify_locations(cadata=self.authority)
            except (ssl.SSLError, ValueError):
                raise _wrong(self.where, AUTHORITY, "holds no certificate in PEM") from None
        if self.certificate:
            self._load_certificate(context)
        return context

    def redacted(self, text: str) -> str:
        """A text of the server's, without what it was shown."""
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        for secret in (self.token, self.password, pair if self.password else ""):
            if secret:
                text = text.replace(secret, "…")
        return text

    def _load_certificate(self, context: ssl.SSLContext) -> None:
        # The standard library reads them from files only; these last for this call.
        with tempfile.TemporaryDirectory() as folder:
            certificate, key = Path(folder, CERTIFICATE), Path(folder, PRIVATE_KEY)
            for path, text in ((certificate, self.certificate), (key, self.private_key)):
                path.touch(0o600)
                path.write_text(text)
            try:
                context.load_cert_chain(certificate, key, password=_no_passphrase)
            except (ssl.SSLError, ValueError):
                raise CredentialError(
                    f"{self.where}: keys {CERTIFICATE} and {PRIVATE_KEY} are no pair of a certificate and "
                    "its key in PEM, without a passphrase; put such a pair there"
                ) from None


NOTHING = Credentials()
"""For a server that asks nothing."""


class Folder:
    """Files named by their keys, as a mounted Secret has them."""

    keep = 60.0

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._path = path

    async def read(self) -> Mapping[str, bytes]:
        """The files that are there."""
        found = {key: self._path / key for key in KEYS}
        try:
            return {key: path.read_bytes() for key, path in found.items() if path.is_file()}
        except OSError as error:
            raise CredentialError(f"{self.name}: can't be read ({error.strerror}); see its mount") from error


class Keeper:
    """Keeps credentials as fresh as need be.

    Args:
        source: Where they stand; None for a server that is shown nothing.
    """

    def __init__(self, source: Source | None = None) -> None:
        self._source = source
        self._lock = asyncio.Lock()
        self._known: Credentials | None = None if source else NOTHING
        self._fault = ""
        self._read_at = float("-inf")

    async def current(self) -> Credentials:
        """What to show now; `CredentialError` if there is nothing to show."""
        if self._source is not None:
            keep = RETRY if self._known is None else self._source.keep
            await self._read(self._source, older_than=keep)
        if self._known is None:
            raise CredentialError(self._fault)
        return self._known

    async def renewed(self) -> Credentials:
        """What to show after a refusal: read again, unless that was a moment ago."""
        if self._source is not None:
            await self._read(self._source, older_than=RETRY)
        return await self.current()

    async def _read(self, source: Source, *, older_than: float) -> None:
        async with self._lock:
            if time.monotonic() - self._read_at < older_than:
                return
            self._read_at = time.monotonic()
            try:
                found = parse(await source.read(), source.name)
            except CredentialError as error:
                self._known, self._fault = None, str(error)
            except SourceAwayError as error:
                self._fault = str(error)
            else:
                # The same object while nothing changes: connections are kept for it.
                self._known = self._known if found == self._known else found


def parse(values: Mapping[str, bytes], where: str) -> Credentials:
    """Credentials, checked as far as that is possible without a server.

    Args:
        values: By key.
        where: Where they stand, for messages.

    Raises:
        CredentialError: They can't be used.
    """
    texts = {key: _text(values[key], key, where) for key in KEYS if values.get(key, b"").strip()}
    if not texts:
        raise CredentialError(
            f"{where} holds none of the keys {', '.join(KEYS)}; add {TOKEN}, or {USERNAME} and {PASSWORD}, "
            f"or {CERTIFICATE} and {PRIVATE_KEY}"
        )
    if TOKEN in texts and (USERNAME in texts or PASSWORD in texts):
        raise CredentialError(
            f"{where} holds both {TOKEN} and {USERNAME} or {PASSWORD}; leave what the server wants"
        )
    for one, other in ((USERNAME, PASSWORD), (CERTIFICATE, PRIVATE_KEY)):
        missing = {one, other} - texts.keys()
        if len(missing) == 1:
            lacks = missing.pop()
            raise CredentialError(
                f"{where} holds {one if lacks == other else other} but no {lacks}; add the key {lacks}"
            )
    if ":" in texts.get(USERNAME, ""):
        raise _wrong(where, USERNAME, "holds a colon, which basic authentication ends a name with")
    found = Credentials(
        token=texts.get(TOKEN, ""),
        username=texts.get(USERNAME, ""),
        password=texts.get(PASSWORD, ""),
        certificate=texts.get(CERTIFICATE, ""),
        private_key=texts.get(PRIVATE_KEY, ""),
        authority=texts.get(AUTHORITY, ""),
        where=where,
    )
    _ = found.context  # so that a broken certificate is told when it is read, not when it is used
    return found


def _text(value: bytes, key: str, where: str) -> str:
    """A value as text; what `echo` or an editor puts behind it is no part of it."""
    try:
        text = value.decode().strip() if key != PASSWORD else value.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise _wrong(where, key, "is no UTF-8 text") from None
    if key == TOKEN and not (text.isascii() and text.isprintable() and " " not in text):
        raise _wrong(where, key, "holds blanks or signs that no HTTP header can")
    if key in {USERNAME, PASSWORD} and not text.isprintable():
        raise _wrong(where, key, "holds signs that can't be printed, such as a line break")
    return text


def _wrong(where: str, key: str, fault: str) -> CredentialError:
    return CredentialError(f"{where}: key {key} {fault}; put the right value there")


def _no_passphrase() -> str:
    """Called for a key with a passphrase; without it, OpenSSL would ask at the terminal."""
    raise ValueError
