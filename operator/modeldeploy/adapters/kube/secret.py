"""One Secret, read by its name: never listed, never watched."""

import base64
import binascii
from collections.abc import Mapping

from modeldeploy.adapters.credentials import CredentialError, SourceAwayError
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import Forbidden, KubeError, NotFound
from modeldeploy.adapters.kube.resources import SECRET


class SecretSource:
    """Credentials in a Secret.

    Args:
        kube: The API server.
        namespace: The Secret's.
        secret: Its name.
        field: Where that name stands, for messages.
        right: The chart value that gives the right to read it.
    """

    keep = 600.0
    """Long, since a refusal has it read again, too: an idle object should cost hardly a request."""

    def __init__(self, kube: Kube, namespace: str, secret: str, *, field: str, right: str) -> None:
        self.name = f"Secret {secret}"
        self._kube = kube
        self._place = namespace, secret
        self._field = field
        self._right = right

    async def read(self) -> Mapping[str, bytes]:
        """The Secret's data."""
        try:
            data = (await self._kube.get(SECRET, *self._place)).get("data") or {}
            return {key: base64.b64decode(text, validate=True) for key, text in data.items()}
        except NotFound:
            raise CredentialError(
                f"{self._field}: there is no {self.name} in namespace {self._place[0]}; create it"
            ) from None
        except Forbidden:
            raise CredentialError(unreadable(self._field, self._place[1], self._right)) from None
        except KubeError as error:
            raise SourceAwayError(f"{self._field}: {self.name} can't be read now: {error.message}") from error
        except (binascii.Error, TypeError, ValueError):
            raise CredentialError(
                f"{self._field}: {self.name} can't be read as base64; create it anew"
            ) from None


def unreadable(field: str, secret: str, right: str) -> str:
    """That a Secret's name was not allowed, and how it can be."""
    return f"{field}: the operator may not read Secret {secret}; add it to the chart value {right}"
