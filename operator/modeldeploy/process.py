"""One operator process: what is started, in which order, and how it ends.

Watches, the cache and the routers' configuration run on every replica; only acting waits for the lease.
"""

import asyncio
import contextlib
import logging
import signal
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import aiohttp
import kopf

from modeldeploy import handlers
from modeldeploy.adapters.clock import SystemClock
from modeldeploy.adapters.health import HealthServer, Metrics
from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.config import api_client
from modeldeploy.adapters.kube.errors import KubeError, NotLeader
from modeldeploy.adapters.kube.events import Recorder
from modeldeploy.adapters.kube.fault import Fault
from modeldeploy.adapters.kube.lease import Lease
from modeldeploy.adapters.kube.limiter import Limiter
from modeldeploy.adapters.kube.lister import Lister
from modeldeploy.adapters.kube.optional import OptionalKinds
from modeldeploy.adapters.kube.resources import Object, Resource
from modeldeploy.adapters.sampler import Sampler
from modeldeploy.adapters.stores import Own, Stores
from modeldeploy.adapters.webhook import Webhook
from modeldeploy.adapters.xds.server import Nack, XdsServer
from modeldeploy.adapters.xds.tokens import TokenAuthenticator
from modeldeploy.engine import Engine
from modeldeploy.reconcile.deployment import DeploymentReconciler
from modeldeploy.reconcile.judge import Judge
from modeldeploy.reconcile.probe import RouterProbe
from modeldeploy.reconcile.providers import Providers
from modeldeploy.reconcile.references import ReferenceKeeper
from modeldeploy.reconcile.retraining import Retrainer
from modeldeploy.reconcile.routers import RouterReconciler
from modeldeploy.reconcile.routes import Routes
from modeldeploy.reconcile.targets import Targets
from modeldeploy.reconcile.wakes import Key, Wakes
from modeldeploy.render.traffic.router_objects import Autoscaling, RouterSettings
from modeldeploy.settings import Settings

logger = logging.getLogger(__name__)

STUCK = 120.0
"""Seconds that a woken key may wait before the kubelet is asked for a new process."""
ELECTION_TIMEOUT = 3.0
"""Seconds for one request about the lease."""


class Process:
    """The parts of one operator, wired."""

    def __init__(self, settings: Settings, kube: Kube, session: aiohttp.ClientSession) -> None:
        clock = SystemClock()
        self._settings = settings
        self._kube = kube
        self._cache = Cache()
        self._engine: Engine[Key] = Engine(self._work, workers=settings.workers, clock=clock)
        self._xds = XdsServer(TokenAuthenticator(kube.ask), self._refused)
        self._routes = Routes(self._cache, self._xds)
        self._lister = Lister(
            kube,
            self._cache,
            handlers.WATCHED,
            settings.watch_namespaces,
            concerns=self._concerns,
        )
        self._wakes = Wakes(self._cache, self._lister, self._routes, self._engine.wake)
        self._optional = OptionalKinds(
            kube,
            self._cache,
            self._wakes.feed,
            self._wakes.concerns,
            handlers.OURS,
            settings.watch_namespaces,
            clock,
        )
        self._recorder = Recorder(kube, "modeldeploy", settings.identity)
        self._sampler = Sampler(stores(settings, kube))
        self._judge = Judge(self._sampler, clock, lambda of: self._engine.wake(Key(of.namespace, of.name)))
        self._references = ReferenceKeeper(
            kube,
            self._cache,
            self._sampler,
            clock,
            lambda of: self._engine.wake(Key(of.namespace, of.name)),
        )
        self._retrainer = Retrainer(
            kube,
            Webhook(session, settings.retraining_allowed_hosts),
            settings.retraining_secret_names,
            [Resource(*kind) for kind in settings.retraining_objects],
            clock,
            lambda of: self._engine.wake(Key(of.namespace, of.name)),
        )
        self._routers = RouterReconciler(
            kube, self._cache, router_settings(settings), clock, self._wakes.all_of
        )
        self._deployments = DeploymentReconciler(
            kube,
            self._cache,
            self._routes,
            self._routers,
            RouterProbe(self._cache, session),
            Providers(kube, self._cache, self._optional, clock),
            self._judge,
            self._references,
            self._retrainer,
            self._recorder,
            clock,
        )
        self._lease = Lease(
            self._connect_for_lease,
            namespace=settings.namespace,
            name=settings.lease_name,
            identity=settings.identity,
            duration=settings.lease_duration,
            renew=settings.lease_renew or settings.lease_duration / 3,
            gained=self._gained,
            lost=self._lost,
            silent=self._cut_off,
        )
        kube.may_write = self._lease.is_leader
        self._health = HealthServer(self._alive, self._ready, self._metrics, Targets(self._cache).groups)
        self._started = False
        self._unwatch = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set."""
        await self._health.start(self._settings.health_port, self._settings.metrics_port)
        await self._xds.start(f"[::]:{self._settings.xds_port}")
        watching = asyncio.create_task(self._watch(stop))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((watching, stopping), return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        if not self._started:
            watching.cancel()
        await self._end(watching)

    async def _watch(self, stop: asyncio.Event) -> None:
        """Watch once everything could be listed: a kind missing then would never be looked for again."""
        await self._list_all()
        registry = kopf.OperatorRegistry()
        handlers.register(registry, self._wakes.feed)
        ours = asyncio.all_tasks()
        tasks = await kopf.spawn_tasks(
            registry=registry,
            settings=handlers.settings(),
            standalone=True,
            identity=cast("Any", self._settings.identity),
            clusterwide=not self._settings.watch_namespaces,
            namespaces=self._settings.watch_namespaces,
            stop_flag=self._unwatch,
        )
        heed_signals(stop)  # the framework has taken them, and would stop watching while the rest still acts
        await kopf.run_tasks(tasks, ignored=ours)

    async def _list_all(self) -> None:
        """Take complete lists; only then can anything be concluded from an absence, and the work begin."""
        while True:
            try:
                await self._lister.start()
                break
            except KubeError as error:
                logger.warning("the cluster can't be listed yet: %s", error)
                await asyncio.sleep(2)
        self._routes.publish_all()
        self._lease.start()
        self._started = True
        logger.info("watching; routers can connect")

    async def _end(self, watching: asyncio.Task[None]) -> None:
        self._started = False
        self._lister.stop()
        await self._engine.stop()
        await self._recorder.drain()
        self._references.forget_all()
        await self._judge.stop()
        self._retrainer.forget_all()
        await self._optional.stop()
        await self._lease.stop()
        await self._xds.stop(grace=1.0)
        await self._health.stop()
        self._unwatch.set()
        with contextlib.suppress(asyncio.CancelledError):
            await watching

    async def _work(self, key: Key) -> datetime | None:
        try:
            if key.name:
                return await self._deployments.reconcile(key.namespace, key.name)
            return await self._routers.reconcile(key.namespace)
        except NotLeader:
            return None  # the next leader looks at everything

    async def _connect_for_lease(self) -> Kube:
        return Kube(await api_client(), timeout=ELECTION_TIMEOUT)

    def _concerns(self, obj: Object) -> None:
        self._wakes.concerns(obj)

    def _gained(self) -> None:
        self._wakes.all_of()
        self._engine.open()

    def _lost(self) -> None:
        self._engine.shut()
        self._judge.forget_all()
        self._references.forget_all()
        self._retrainer.forget_all()

    def _cut_off(self) -> None:
        """Another operator may hear what this one doesn't: routers should find it."""
        self._xds.end_streams()

    def _refused(self, nack: Nack) -> None:
        """A router that refuses a configuration keeps what it has; people should know why nothing moves."""
        if not self._lease.is_leader():
            return
        for obj in self._cache.objects("ModelDeployment", nack.namespace):
            message = f"a router refuses its configuration and goes on with the last one: {nack.message}"
            self._recorder.record(obj, "Warning", "RouterRefused", message)

    def _alive(self) -> str | None:
        lag = self._engine.lag()
        return f"a reconcile has waited for {lag:.0f} s" if lag > STUCK else None

    def _ready(self) -> str | None:
        if not self._started:
            return "waiting for the first complete lists"
        return "the API server does not answer" if self._lease.is_cut_off() else None

    def _metrics(self) -> Metrics:
        counts = self._engine.counts
        found: dict[str, float] = {
            "modeldeploy_leader": float(self._lease.is_leader()),
            "modeldeploy_reconciles_total": counts.runs,
            "modeldeploy_reconcile_failures_total": counts.failures,
            "modeldeploy_queue_depth": self._engine.depth,
            "modeldeploy_queue_wait_seconds_total": counts.waited,
        }
        for (verb, kind), number in self._kube.requests.items():
            found[f'modeldeploy_api_requests_total{{verb="{verb}",kind="{kind}"}}'] = number
        return found


def heed_signals(stop: asyncio.Event) -> None:
    """Let SIGTERM and SIGINT set `stop`; only in the main thread, where signals arrive."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


def stores(settings: Settings, kube: Kube) -> Stores:
    """What the settings say about metrics stores."""
    own = Own(
        settings.prometheus_url,
        Path(settings.prometheus_credentials) if settings.prometheus_credentials else None,
        dict(settings.prometheus_parameters),
        dict(settings.prometheus_headers),
    )
    return Stores(
        own,
        settings.prometheus_allowed_urls,
        secrets=settings.prometheus_secret_names,
        kube=kube,
        timeout=settings.prometheus_timeout,
    )


def router_settings(settings: Settings) -> RouterSettings:
    """What the settings say about routers."""
    host, _, port = settings.xds_address.rpartition(":")
    return RouterSettings(
        image=settings.router_image,
        xds_host=host,
        xds_port=int(port or settings.xds_port),
        replicas=settings.router_replicas,
        autoscaling=Autoscaling(*settings.router_autoscaling) if settings.router_autoscaling else None,
    )


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Connect, and run one operator until `stop` is set."""
    limiter = Limiter(settings.write_rate, settings.write_burst)
    kube = Kube(await api_client(), timeout=settings.request_timeout, limiter=limiter, fault=Fault.planned())
    try:
        # A cookie that one object's webhook sets is no business of another's.
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            await Process(settings, kube, session).run(stop)
    finally:
        await kube.close()
