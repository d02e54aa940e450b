"""Leadership by a Lease: of several replicas one acts.

The holder renews from a thread with an event loop of its own, so that long work on the main loop can't cost
the lease. A holder that can't renew stops believing in itself after two thirds of the lease's duration,
counted from before the last renewal was *sent*; the others wait for the whole duration, counted from when
they *saw* the last renewal. Only durations on each one's monotonic clock count, never a date. What is still
under way after that is fenced by the resourceVersion of the status write.

docs/decisions/0004-leadership.md says why the client library's election isn't used.
"""

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import Conflict, KubeError, NotFound
from modeldeploy.adapters.kube.resources import LEASE, Object

logger = logging.getLogger(__name__)

_BELIEF = 2 / 3
"""The share of the duration for which a holder acts without a renewal."""


class Lease:
    """One replica's part in the election.

    Args:
        connect: Makes a connection on the running event loop; called in the lease's thread.
        namespace: Where the Lease lives.
        name: The Lease.
        identity: Who we are. A process with the identity of the holder takes the lease over at once: give a
            restarted container its pod's name, and two processes never the same one.
        duration: Seconds after the last renewal at which the others may take over.
        renew: Seconds between renewals.
        gained: Called on the main loop when this replica starts to lead, also after the shortest moment in
            which `is_leader` said no.
        lost: Called on the main loop when it has stopped, by failing to renew, or because another took over.
        silent: Called on the main loop when the API server has not answered for `duration`, and again after
            each further one.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Kube]],
        *,
        namespace: str,
        name: str,
        identity: str,
        duration: float = 15.0,
        renew: float = 5.0,
        gained: Callable[[], None] = lambda: None,
        lost: Callable[[], None] = lambda: None,
        silent: Callable[[], None] = lambda: None,
    ) -> None:
        if not renew < duration * _BELIEF:
            raise ValueError(f"a lease of {duration} s can't be kept by renewing it every {renew} s")
        self._connect = connect
        self._namespace, self._name, self._identity = namespace, name, identity
        self._duration, self._renew, self._retry = duration, renew, duration / 15
        self._patience = duration / 6
        self._gained, self._lost, self._silent = gained, lost, silent
        self._heard_at = self._told_at = time.monotonic()
        self._main: asyncio.AbstractEventLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._live, name="lease", daemon=True)
        self._until = float("-inf")
        self._leading = False
        self._lease: Object | None = None
        self._seen_at = 0.0
        self._watchdog: asyncio.TimerHandle | None = None

    def is_leader(self) -> bool:
        """Whether this replica may act now. May be asked from any thread."""
        return time.monotonic() < self._until

    def is_cut_off(self) -> bool:
        """Whether the API server has not answered for the lease's duration."""
        return time.monotonic() - self._heard_at >= self._duration

    def start(self) -> None:
        """Take part. Callbacks come on the event loop that runs now."""
        self._heard_at = time.monotonic()
        self._main = asyncio.get_running_loop()
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread.start()

    async def stop(self) -> None:
        """Give the lease back, so that the next one takes over at once; when nothing acts any more."""
        if self._loop and self._end:
            with contextlib.suppress(RuntimeError):  # the thread has ended already
                self._loop.call_soon_threadsafe(self._end.set)
            await asyncio.to_thread(self._thread.join, self._duration)

    def _live(self) -> None:
        assert self._loop  # noqa: S101 - start() made it
        try:
            self._loop.run_until_complete(self._take_part())
        finally:
            self._step_down()
            self._loop.close()

    async def _take_part(self) -> None:
        assert self._end  # noqa: S101 - start() made it
        while not self._end.is_set():
            try:
                await self._campaign(self._end)
            except Exception:
                logger.exception("lease %s/%s: trying again", self._namespace, self._name)
                self._lease = None
                await self._wait(self._end, self._retry)

    async def _campaign(self, end: asyncio.Event) -> None:
        kube = await self._connect()
        try:
            while not end.is_set():
                await self._wait(end, await self._round(kube))
            if self._leading:
                await self._release(kube)
        finally:
            await kube.close()

    @staticmethod
    async def _wait(end: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(end.wait(), seconds)

    async def _round(self, kube: Kube) -> float:
        """Renew, take or watch the lease. Returns the seconds until the next round."""
        sent = time.monotonic()
        try:
            async with asyncio.timeout(self._patience):  # one that hangs must leave time for another
                held = await self._claimed(kube)
        except Conflict:
            self._lease = None  # look again before the next try
            return self._retry * random.uniform(0.1, 0.5)  # noqa: S311 - no secret hangs on it
        except (KubeError, TimeoutError) as error:
            told = str(error) or f"no answer in {self._patience:.1f} s"
            logger.warning("lease %s/%s: %s", self._namespace, self._name, told)
            self._complain()
            return self._retry
        self._heard_at = time.monotonic()
        if not held:
            self._step_down()
            return self._retry
        self._lead(sent)
        return self._renew

    def _complain(self) -> None:
        """Tell of each further `duration` without an answer."""
        if time.monotonic() - max(self._heard_at, self._told_at) >= self._duration:
            self._told_at = time.monotonic()
            self._tell(self._silent)

    async def _claimed(self, kube: Kube) -> bool:
        """Renew or take the lease if it is ours or over; whether it is ours now."""
        if self._lease is None or not self._leading:
            await self._look(kube)
        if self._lease is None:
            self._lease = await kube.create(self._claim(None))
        elif self._is_mine() or self._is_over():
            self._lease = await kube.replace(self._claim(self._lease))
        else:
            return False
        return True

    async def _look(self, kube: Kube) -> None:
        known = self._lease["metadata"]["resourceVersion"] if self._lease else None
        try:
            lease = await kube.get(LEASE, self._namespace, self._name)
        except NotFound:
            self._lease = None
            return
        if lease["metadata"]["resourceVersion"] != known:
            self._seen_at = time.monotonic()
        self._lease = lease

    def _is_mine(self) -> bool:
        return self._holder() in ("", self._identity)

    def _is_over(self) -> bool:
        spec = (self._lease or {}).get("spec") or {}
        promised = float(spec.get("leaseDurationSeconds") or self._duration)
        return time.monotonic() >= self._seen_at + promised

    def _holder(self) -> str:
        spec = (self._lease or {}).get("spec") or {}
        return str(spec.get("holderIdentity") or "")

    def _claim(self, lease: Object | None) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        old = (lease or {}).get("spec") or {}
        takes_over = self._holder() != self._identity
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": lease["metadata"] if lease else {"namespace": self._namespace, "name": self._name},
            "spec": {
                **old,
                "holderIdentity": self._identity,
                "leaseDurationSeconds": max(1, round(self._duration)),
                "acquireTime": now if takes_over else old.get("acquireTime", now),
                "renewTime": now,
                "leaseTransitions": (old.get("leaseTransitions") or 0) + (1 if lease and takes_over else 0),
            },
        }

    async def _release(self, kube: Kube) -> None:
        lease = self._lease
        self._step_down(logging.INFO)
        if lease is None:
            return
        spec = {key: value for key, value in lease["spec"].items() if key != "holderIdentity"}
        try:
            await kube.replace({**lease, "spec": {**spec, "leaseDurationSeconds": 1}})
        except KubeError as error:
            logger.warning("lease %s/%s not given back: %s", self._namespace, self._name, error)

    def _lead(self, since: float) -> None:
        loop = asyncio.get_running_loop()
        if self._leading and not self.is_leader():
            # Renewed late, but before the watchdog barked: what was refused a write waits for `gained`.
            self._step_down()
        self._until = since + self._duration * _BELIEF
        if self._watchdog:
            self._watchdog.cancel()
        self._watchdog = loop.call_later(self._until - time.monotonic(), self._step_down)
        if not self._leading and self.is_leader():
            self._leading = True
            logger.info("%s leads", self._identity)
            self._tell(self._gained)

    def _step_down(self, level: int = logging.WARNING) -> None:
        self._until = float("-inf")
        if self._watchdog:
            self._watchdog.cancel()
        if self._leading:
            self._leading = False
            logger.log(level, "%s leads no longer", self._identity)
            self._tell(self._lost)

    def _tell(self, callback: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the main loop is closed: the process ends anyway
            if self._main:
                self._main.call_soon_threadsafe(callback)
