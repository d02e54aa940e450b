"""A metrics store as an object names it."""

from typing import NamedTuple, Self

from modeldeploy.api.v1alpha1.monitoring import Prometheus

Pairs = tuple[tuple[str, str], ...]


class Endpoint(NamedTuple):
    """A metrics store as an object names it.

    Attributes:
        url: Its base URL, without a slash at the end.
        secret: Name of the Secret with what it is shown; empty for nothing.
        parameters: Added to every question.
        headers: Added to every request.
    """

    url: str
    secret: str = ""
    parameters: Pairs = ()
    headers: Pairs = ()

    @classmethod
    def of(cls, named: Prometheus | None) -> Self | None:
        """What stands in a spec; None for the operator's own."""
        if named is None:
            return None
        pairs = (tuple(sorted(pairs.items())) for pairs in (named.query_parameters, named.headers))
        return cls(named.url.rstrip("/"), named.secret_name or "", *pairs)
