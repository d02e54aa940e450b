"""What a metrics store replies: read within a time, and heeded whole.

`prometheus-api-client` reads `data.result` and drops the rest. So a session's hook replaces the reply that it
gets by one that has looked at the rest before: an answer in part, or one with warnings, is no answer.
"""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from modeldeploy.api.quantity import spell_duration

SKEW = 30.0
"""Seconds that the server's clock may differ. Beyond, questions about now are answered about another time."""

LARGEST = 256 * 1024 * 1024
"""Bytes of a reply, unpacked: about a million series."""

_PIECE = 64 * 1024
_PORTION = 512 * 1024
"""Bytes that are cut up at once: while that lasts, nothing else runs in the process."""
_RESULT, _SERIES, _VALUE, _END = b'"result":[', b'{"metric":', b',"value":[', b"]}"
_BEHIND = b'"]},'
"""Stands behind a value. Prometheus and its kin write no blank that they need not."""
_OK = 200
_SHOWN = 200


class Unusable(Exception):  # noqa: N818 - it is a reply that is told of, not a fault of ours
    """A reply that is no answer; the message is the rest of a sentence that begins with the server."""


class Reply(requests.Response):
    """A reply, read to its end.

    Args:
        response: As it begins.
        deadline: When it must have ended, in seconds of `time.monotonic()`.

    Raises:
        requests.Timeout: It has not ended by then.
        Unusable: It can't be an answer.
    """

    def __init__(self, response: requests.Response, deadline: float) -> None:
        super().__init__()
        self.__dict__.update(response.__dict__)
        arrived = datetime.now(UTC)
        self._content = _body(response, deadline)
        self._content_consumed = True
        if self.status_code == _OK:
            _check_clock(self.headers.get("Date"), arrived)

    def json(self, **_: Any) -> Any:
        """What the client takes for JSON, and `data.result` out of it: it is read where it is needed."""
        kind = self.headers.get("Content-Type", "").partition(";")[0][:40]
        return {"data": {"result": Body(self.content, kind)}}


class Body:
    """The body of a reply.

    Args:
        content: All of it.
        kind: Its type, as the server names it.
    """

    def __init__(self, content: bytes, kind: str = "") -> None:
        self._content = content
        self._kind = kind

    def parsed(self) -> list[Any]:
        """What the API calls `result`.

        Raises:
            Unusable: It is no answer, or one in part.
            KeyError: It has no result.
        """
        return list(self._checked(self._content)["data"]["result"])

    def pieces(self) -> Iterator[tuple[list[bytes], bytes, int]]:
        """The series of a vector as text, some at a time, with what separates labels and value.

        Yields:
            Texts of labels, separator and value; the separator, which holds the time of all of them; and how
            many bytes stand behind each value.

        Raises:
            Unusable: It is no answer, or one in part.
            KeyError: It has no result.
        """
        content = self._content
        first, last = content.find(_RESULT + _SERIES), content.rfind(_SERIES)
        value = content.find(_VALUE, last) if first >= 0 else -1
        if value < 0:
            yield self._spelled()
            return
        separator = content[value : content.index(b'"', value + len(_VALUE)) + 1]
        end = content.find(_END, value) + len(_END)
        # What stands around the series says whether they are an answer.
        self._checked(content[:first] + _RESULT + content[end:])
        begin = first + len(_RESULT) + len(_SERIES)
        while begin < end:
            stop = content.rfind(_SERIES, begin, begin + _PORTION) if begin + _PORTION < end else -1
            part = content[begin:stop] if stop > 0 else content[begin:end] + b","
            yield part.split(_SERIES), separator, len(_BEHIND)
            begin = stop + len(_SERIES) if stop > 0 else end

    def _spelled(self) -> tuple[list[bytes], bytes, int]:
        """The same of a body that is written in another way, or holds no series."""
        pieces = []
        for item in self.parsed():
            labels = json.dumps(item["metric"], separators=(",", ":"), sort_keys=True)
            pieces.append(labels.encode() + _VALUE + item["value"][1].encode() + _BEHIND)
        return pieces, _VALUE, len(_BEHIND)

    def _checked(self, content: bytes) -> dict[str, Any]:
        try:
            found = json.loads(content)
        except ValueError:
            if self._kind in {"", "application/json"}:
                raise Unusable("its answer is cut short or no JSON") from None
            raise Unusable(f"its answer is no JSON but {self._kind}; see that the URL is an API's") from None
        if not isinstance(found, dict):
            raise Unusable("its answer is not one of Prometheus' API")
        if found.get("status", "success") != "success":
            raise Unusable(f"it failed: {_said(found.get('error'))}")
        if found.get("isPartial"):
            raise Unusable("it answered in part (isPartial): some of its storage is away")
        if found.get("warnings"):
            raise Unusable(f"it answered with a warning, so perhaps in part: {_said(found['warnings'])}")
        return found


def heed(response: requests.Response, **sent: Any) -> Reply:
    """The hook of a session: reads a response within the time that its request was given."""
    begun = time.monotonic() - response.elapsed.total_seconds()
    return Reply(response, begun + float(sent["timeout"]))


def _body(response: requests.Response, deadline: float) -> bytes:
    pieces, size = [], 0
    try:
        # As it comes: a server that sends drop by drop would be waited for by any read of a given size.
        while piece := response.raw.read1(_PIECE, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if time.monotonic() > deadline:
                raise requests.Timeout
            if size > LARGEST:
                raise Unusable(f"its answer is larger than {LARGEST // 1024**2} MiB")
    except ReadTimeoutError:
        raise requests.Timeout from None
    except ProtocolError:
        raise Unusable("its answer is cut short") from None
    except HTTPError as error:
        raise Unusable(f"its answer can't be read ({type(error).__name__})") from None
    finally:
        response.close()
    return b"".join(pieces)


def _check_clock(date: str | None, arrived: datetime) -> None:
    if not date:
        return
    try:
        ahead = (parsedate_to_datetime(date) - arrived).total_seconds()
    except (TypeError, ValueError):
        return  # a proxy's, of its own making
    if abs(ahead) > SKEW:
        side = "ahead of" if ahead > 0 else "behind"
        raise Unusable(
            f"its clock is {spell_duration(abs(ahead))} {side} the operator's, so its answers are about "
            "another time; set both clocks"
        )


def _said(told: Any) -> str:
    text = "; ".join(map(str, told)) if isinstance(told, list) else str(told or "it does not say why")
    return " ".join(text.split())[:_SHOWN]
