"""From a change at a real API server, through the watch, the cache and the queue, to a reconcile."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import kopf
import pytest

from api.kube_objects import config_map
from modeldeploy import handlers
from modeldeploy.adapters.kube.cache import NAME_LABEL, Cache
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.lister import Lister, Watched
from modeldeploy.adapters.kube.resources import CONFIG_MAP
from modeldeploy.core.naming import MANAGED_BY
from modeldeploy.engine import Due, Engine

pytestmark = [pytest.mark.api, pytest.mark.usefixtures("definition")]

LABELS = {MANAGED_BY: "modeldeploy", NAME_LABEL: "m"}
SELECTOR = f"{MANAGED_BY}=modeldeploy"
MANAGER = "modeldeploy-test"


@asynccontextmanager
async def watching(namespace: str, feed: handlers.Feed) -> AsyncIterator[None]:
    """The operator's own watches, in one namespace."""
    registry = kopf.OperatorRegistry()
    handlers.register(registry, feed)
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(
        kopf.operator(
            registry=registry,
            settings=handlers.settings(),
            namespaces=[namespace],
            standalone=True,
            stop_flag=stop,
            ready_flag=ready,
        )
    )
    await ready.wait()
    try:
        yield
    finally:
        stop.set()
        await task


@pytest.fixture(autouse=True)
def login(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)


def lister_of(kube: Kube, cache: Cache, namespace: str, **more: Any) -> Lister:
    return Lister(kube, cache, [Watched(CONFIG_MAP, SELECTOR)], [namespace], **more)


async def test_a_change_is_reconciled_within_milliseconds(kube: Kube, namespace: str) -> None:
    cache = Cache()
    begun: dict[str, float] = {}
    latencies: list[float] = []

    async def reconcile(key: str) -> Due | None:
        found = cache.get("ConfigMap", namespace, key)
        if found and "at" in found["data"]:
            latencies.append(time.monotonic() - begun[found["data"]["at"]])
        return None

    engine: Engine[str] = Engine(reconcile)
    engine.open()

    def feed(event: str | None, obj: Mapping[str, Any]) -> None:
        if cache.feed(event, obj):
            engine.wake(obj["metadata"]["name"])

    async with watching(namespace, feed):
        await kube.apply(config_map(namespace, "c", {}, labels=LABELS), manager=MANAGER)
        await until(lambda: cache.get("ConfigMap", namespace, "c"))
        for number in range(20):
            at = str(number)
            begun[at] = time.monotonic()
            await kube.patch(CONFIG_MAP, namespace, "c", {"data": {"at": at}})
            await until(lambda: len(latencies) > number)  # noqa: B023 - called before the next turn
        await engine.stop()
    median = statistics.median(latencies)
    print(f"write sent -> reconcile begins: {1000 * median:.1f} ms median, {1000 * max(latencies):.1f} worst")
    assert median < 0.25


async def test_our_own_writes_are_never_seen_undone(kube: Kube, namespace: str) -> None:
    cache = Cache()
    seen: list[int] = []
    echoes: list[int] = []

    def feed(event: str | None, obj: Mapping[str, Any]) -> None:
        if obj["kind"] == "ConfigMap":
            echoes.append(int(obj["data"]["number"]))
            cache.feed(event, obj)
            seen.append(int(cache.get("ConfigMap", namespace, "c")["data"]["number"]))  # type: ignore[index]

    async with watching(namespace, feed):
        for number in range(50):
            written = config_map(namespace, "c", {"number": str(number)}, labels=LABELS)
            cache.wrote(await kube.apply(written, manager=MANAGER))
            seen.append(number)
        await until(lambda: 49 in echoes)
    assert seen == sorted(seen), "no look at the cache goes back behind a write"


async def test_what_no_watch_told_yet_is_found_by_the_next_list_and_wakes_whom_it_concerns(
    kube: Kube, namespace: str
) -> None:
    cache = Cache()
    news: list[str] = []
    lister = lister_of(kube, cache, namespace, concerns=lambda obj: news.append(obj["metadata"]["name"]))
    for name in "abc":
        await kube.apply(config_map(namespace, name, {}, labels=LABELS), manager=MANAGER)
    await kube.apply(config_map(namespace, "foreign", {}), manager=MANAGER)
    await lister.start()
    try:
        assert {obj["metadata"]["name"] for obj in cache.objects("ConfigMap", namespace)} == {"a", "b", "c"}
        await kube.delete(CONFIG_MAP, namespace, "a")
        edited = await kube.patch(CONFIG_MAP, namespace, "b", {"data": {"at": "1"}})
        lister.restarted("ConfigMap")
        lister.restarted("ConfigMap")
        lister.restarted("Secret")
        before = kube.requests["list", "ConfigMap"]
        await until(lambda: news)
        assert sorted(news) == ["a", "b"]
        assert not cache.feed("MODIFIED", edited), "its own event, which comes later, is no news"
        assert kube.requests["list", "ConfigMap"] == before + 1
    finally:
        lister.stop()


async def test_absence_is_not_concluded_before_the_first_list(kube: Kube, namespace: str) -> None:
    cache = Cache()
    lister = lister_of(kube, cache, namespace)
    lister.restarted("ConfigMap")
    assert not cache.listed("ConfigMap")
    await lister.start()
    assert cache.listed("ConfigMap")
    lister.stop()


async def test_what_was_there_before_the_watch_began_is_listed_again(kube: Kube, namespace: str) -> None:
    cache = Cache()
    await kube.apply(config_map(namespace, "c", {}, labels=LABELS), manager=MANAGER)
    lister = lister_of(kube, cache, namespace)
    begun_with: list[str] = []

    def feed(event: str | None, obj: Mapping[str, Any]) -> None:
        cache.feed(event, obj)
        if event is None:
            begun_with.append(obj["kind"])
            lister.restarted(obj["kind"])

    await lister.start()
    lists = kube.requests["list", "ConfigMap"]
    async with watching(namespace, feed):
        await until(lambda: kube.requests["list", "ConfigMap"] > lists)
    lister.stop()
    assert begun_with == ["ConfigMap"]


async def test_idle_watches_and_queue_write_nothing(kube: Kube, namespace: str) -> None:
    cache = Cache()
    runs: list[str] = []

    async def reconcile(key: str) -> Due | None:
        runs.append(key)
        return None

    engine: Engine[str] = Engine(reconcile)
    engine.open()
    await kube.apply(config_map(namespace, "c", {}, labels=LABELS), manager=MANAGER)

    def feed(event: str | None, obj: Mapping[str, Any]) -> None:
        if cache.feed(event, obj):
            engine.wake(obj["kind"])

    async with watching(namespace, feed):
        await until(lambda: runs)
        version = (await kube.get(CONFIG_MAP, namespace, "c"))["metadata"]["resourceVersion"]
        sent = kube.requests.total()
        await asyncio.sleep(2.0)
        assert kube.requests.total() == sent
        assert runs == ["ConfigMap"]
        after = await kube.get(CONFIG_MAP, namespace, "c")
        assert after["metadata"]["resourceVersion"] == version, "neither finalizer nor annotation"
    await engine.stop()
