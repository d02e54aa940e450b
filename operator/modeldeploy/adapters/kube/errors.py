"""What a request to the API server can end in.

KubeError
├── NotFound            404: the object (or its kind) isn't there
├── Conflict            409: somebody else changed it first, or owns the field; look again
│   └── AlreadyExists   409: an object of that name is there
├── Invalid             400, 422: refused for what it says; `causes` name the fields
├── Forbidden           403: a missing right, or an admission policy
│   └── Terminating     403, 404: its namespace is being deleted or gone; nothing can be created
├── Unauthorized        401: the credentials aren't accepted
├── Expired             410: a list's continuation is too old; begin again
├── TooManyRequests     429: come back after `retry_after` seconds
├── NotLeader           nothing was sent: this process may not write now
└── Unavailable         5xx, no connection, or an unreadable answer
└── TimedOut        no answer in time; the request may or may not have been carried out
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cause:
    """One complaint about an object: the field's path (may be empty) and what is wrong with it."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class KubeError(Exception):
    """A request that did not succeed.

    Attributes:
        code: The HTTP status, or 0 when there was no answer.
        message: One sentence for people.
        causes: The single complaints, where the API server lists them.
        retry_after: Seconds to wait before another try, if the API server asked for it.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int = 0,
        causes: tuple[Cause, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.causes = causes
        self.retry_after = retry_after


class NotFound(KubeError):  # noqa: N818 - the field's names of API errors carry no suffix
    """The object, or its kind, isn't there."""


class Conflict(KubeError):  # noqa: N818
    """The object has changed since it was read, or another field manager owns a field."""


class AlreadyExists(Conflict):
    """An object of that name is there."""


class Invalid(KubeError):  # noqa: N818
    """The API server refuses what the object says."""


class Forbidden(KubeError):  # noqa: N818
    """A right is missing, or an admission policy refuses."""


class Terminating(Forbidden):
    """The namespace is being deleted or gone."""


class Unauthorized(KubeError):  # noqa: N818
    """The credentials aren't accepted."""


class Expired(KubeError):  # noqa: N818
    """A list's continuation or a resourceVersion is too old."""


class TooManyRequests(KubeError):  # noqa: N818
    """The API server asks for a pause."""


class NotLeader(KubeError):  # noqa: N818
    """This process may not write now; nothing was sent."""


class Unavailable(KubeError):  # noqa: N818
    """The API server can't answer now."""


class TimedOut(Unavailable):
    """No answer in time."""


_BY_CODE: Mapping[int, type[KubeError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: TimedOut,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: TooManyRequests,
    504: TimedOut,
}
_SERVER_ERRORS = 500
_UNTYPED = re.compile(
    r"failed to create typed patch object \((?P<what>[^;]*);.*?Kind=(?P<kind>\w+)\): (?P<why>.*)", re.DOTALL
)
"""How server-side apply refuses unknown fields and wrong types, with status 500."""
_DUMPED = re.compile(r"^(?P<what>[^:]*): \{.*\}: (?P<why>.*)$", re.DOTALL)
"""A complaint with the whole wrong object in it, as Go prints it; the field's path says where it stands."""
_COMPLAINT = re.compile(r"\.(?P<field>\S+): (?P<message>[^\n]+)")


def from_response(code: int, body: bytes, retry_after: str | None = None) -> KubeError:
    """The error that an answer stands for.

    Args:
        code: The HTTP status, 400 or above.
        body: A `Status` object, or whatever a proxy answered instead.
        retry_after: The header of that name.
    """
    status = _parse(body)
    if untyped := _UNTYPED.match(str(status.get("message") or "")):
        return _refused_by_apply(code, untyped)
    details = status.get("details") or {}
    causes = _in_order(_causes(details.get("causes") or ()))
    message = _sentence(status, details, causes) or f"the API server answered {code}"
    seconds = details.get("retryAfterSeconds") or retry_after or ""
    kind = _kind(code, status, details)
    return kind(
        message, code=code, causes=causes, retry_after=float(seconds) if str(seconds).isdigit() else None
    )


def _refused_by_apply(code: int, refusal: re.Match[str]) -> Invalid:
    causes = _in_order(Cause(**complaint.groupdict()) for complaint in _COMPLAINT.finditer(refusal["why"]))
    name = refusal["what"].rpartition("/")[2]
    why = "; ".join(str(cause) for cause in causes) or " ".join(refusal["why"].split())
    return Invalid(f"{refusal['kind']} {name} is invalid: {why}", code=code, causes=causes)


def _kind(code: int, status: Mapping[str, Any], details: Mapping[str, Any]) -> type[KubeError]:
    reasons = {cause.get("reason") for cause in details.get("causes") or ()}
    if "NamespaceTerminating" in reasons or (code == 404 and details.get("kind") == "namespaces"):  # noqa: PLR2004
        return Terminating
    if status.get("reason") == "AlreadyExists":
        return AlreadyExists
    return _BY_CODE.get(code, Unavailable if code >= _SERVER_ERRORS else KubeError)


def _parse(body: bytes) -> Mapping[str, Any]:
    try:
        status = json.loads(body)
    except ValueError:
        return {"message": body[:200].decode(errors="replace").strip()}
    return status if isinstance(status, dict) else {}


def _in_order(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """By field: the API server's order is random, and a message that changes would be news each time."""
    return tuple(sorted(causes, key=lambda cause: (cause.field, cause.message)))


def _causes(causes: Any) -> list[Cause]:
    return [
        Cause(str(cause.get("field", "")), _DUMPED.sub(r"\g<what>: \g<why>", str(cause.get("message", ""))))
        for cause in causes
    ]


def _sentence(status: Mapping[str, Any], details: Mapping[str, Any], causes: tuple[Cause, ...]) -> str:
    message = " ".join(str(status.get("message") or "").split())
    if status.get("reason") != "Invalid" or not causes:
        return message
    what = " ".join(filter(None, (details.get("kind"), details.get("name"))))
    return f"{what} is invalid: " + "; ".join(str(cause) for cause in causes)
