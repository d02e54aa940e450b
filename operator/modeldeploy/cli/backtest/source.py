"""Where the past is read from: a metrics store, or a file."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from modeldeploy.adapters import history
from modeldeploy.adapters.credentials import Folder, Keeper
from modeldeploy.adapters.history import Moment, Ticket
from modeldeploy.adapters.prometheus import Prometheus
from modeldeploy.adapters.recording import Recording
from modeldeploy.api.v1alpha1.monitoring import Metric
from modeldeploy.cli.backtest.problem import WrongInput
from modeldeploy.core.judgement import Query, QueryFailed

PATIENCE = 10.0
"""Seconds for one question; a range may take five times as long."""

Own = Mapping[Query, tuple[Metric, str]]
"""Users' own queries: the metric and the revision that each is about."""


class Source(Protocol):
    """The past of one object."""

    name: str
    first: datetime | None
    """Before this there is nothing; None if that isn't known."""
    absence: str
    """What to look at when it holds nothing of the object."""

    def moments(
        self, queries: Sequence[Query], own: Own, start: datetime, end: datetime, interval: str
    ) -> AsyncIterator[Moment]:
        """The answers at each tick; `WrongInput` if they can't be had."""
        ...

    def close(self) -> None:
        """Stop asking."""
        ...


class Store:
    """A Prometheus.

    Args:
        url: Its base URL.
        who: Whom it is asked about; with the parameters and headers of the metrics store that it names.
        credentials: The folder with what it is shown; None for nothing.
    """

    def __init__(self, url: str, who: Ticket, credentials: Path | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise WrongInput(f"--prometheus: {url!r} is no URL; write e.g. http://prometheus.monitoring:9090")
        self.name = url
        self.first: datetime | None = None
        self.absence = (
            "see that -n and the span are right and that the scrape puts on the label modeldeploy_name"
        )
        self._server = Prometheus(
            url,
            timeout=PATIENCE,
            keeper=Keeper(Folder(credentials, str(credentials)) if credentials else None),
            mend="give it in files, with --credentials",
            parameters=dict(who.store.parameters) if who.store else None,
            headers=dict(who.store.headers) if who.store else None,
        )
        self._who = who

    async def moments(
        self, queries: Sequence[Query], own: Own, start: datetime, end: datetime, interval: str
    ) -> AsyncIterator[Moment]:
        """The answers at each tick; `WrongInput` if they can't be had."""
        wanted = (*queries, *own)
        async for moment in history.moments(self._server, self._who, wanted, start, end, interval):
            if isinstance(moment, QueryFailed):
                raise WrongInput(
                    f"{moment.reason}; see that the URL is right and reachable from here, "
                    "and that each metric's own query can be answered"
                )
            yield moment

    def close(self) -> None:
        """Stop asking."""
        self._server.close()


class File:
    """Series in a file.

    Args:
        recording: The file, read.
        name: The file's.
    """

    def __init__(self, recording: Recording, name: str) -> None:
        others = sorted(recording.others)
        self.name = name
        self.first = recording.span[0] if recording.span else None
        self.absence = "see that the span is right"
        if others:
            self.absence = f"it has series of {', '.join(others[:3])}; see that -n is right"
        self._recording = recording

    async def moments(
        self, queries: Sequence[Query], own: Own, start: datetime, end: datetime, interval: str
    ) -> AsyncIterator[Moment]:
        """The answers at each tick; `WrongInput` if they can't be had."""
        lacking = self._recording.lacks(queries)
        if lacking:
            raise WrongInput(f"{self.name}: {lacking}")
        for moment in self._recording.moments((*queries, *own), own, start, end, interval):
            yield moment

    def close(self) -> None:
        """Nothing is open."""
