"""What the operator costs while nothing happens."""

import time

from bench.figure import Figure
from bench.writes import Writes
from cluster.progress import say, step
from e2e.reach import until
from e2e.support import Place, stands

OBJECTS = 10
SPAN = 60.0
SETTLE = 85.0
"""Seconds until what a change has set off is over: a window (1 m) after the last request its verdict changes,
once."""
MEMORY_BAR, CPU_BAR, WRITES_BAR = 90.0, 0.5, 0
MONITORING = {"interval": "5s", "window": "1m"}
"""As in examples/digits; the other measurements look more often."""


def fill(place: Place) -> None:
    """Objects as in examples/digits, one replica each, so that there are `OBJECTS`."""
    present = {obj["metadata"]["name"] for obj in place.api.list("ModelDeployment", place.namespace)}
    names = [f"idle-{number}" for number in range(OBJECTS - len(present))]
    with step(f"{OBJECTS} objects") as shown:
        for name in present:
            place.api.patch("ModelDeployment", place.namespace, name, {"spec": {"monitoring": MONITORING}})
        for name in names:
            obj = place.manifest("v1", name=name)
            obj["spec"]["server"]["replicas"] = {"min": 1}
            obj["spec"]["monitoring"] |= MONITORING
            obj["metadata"]["namespace"] = place.namespace
            place.api.create(obj)

        def ready() -> bool:
            objects = place.api.list("ModelDeployment", place.namespace)
            count = sum(stands(obj.get("status") or {}, "Ready") for obj in objects)
            shown.note(f"{count} ready")
            return count >= OBJECTS

        until(ready, f"{OBJECTS} objects being Ready", timeout=300, pause=1)


def measure(place: Place) -> list[Figure]:
    """RSS, CPU and writes over a minute in which nothing happens."""
    with step(f"{OBJECTS} idle objects, {SETTLE + SPAN:.0f} s"):
        time.sleep(SETTLE)
        before = Writes.of(place)
        time.sleep(SPAN)
        after = Writes.of(place)
    spent = after.since(before)
    if spent.counts:
        say(f"  written while idle: {spent.counts}")
    return [
        Figure("operator_rss_mib", max(before.rss, after.rss) / 1024, "MiB", MEMORY_BAR),
        Figure("idle_cpu_percent", 100 * spent.cpu / spent.at, "% of a core", CPU_BAR),
        Figure("idle_api_writes", spent.total, "writes but the lease's in 60 s", WRITES_BAR),
    ]
