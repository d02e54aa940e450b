"""What the operator costs while nothing happens."""

import json
import re
import time
from typing import Any

from bench.figure import Figure
from cluster.progress import say, step
from e2e.reach import until
from e2e.support import RELEASE, SYSTEM, Place, stands

OBJECTS = 10
SPAN = 60.0
SETTLE = 85.0
"""Seconds until what a change has set off is over: a window (1 m) after the last request its verdict changes,
once."""
MEMORY_BAR, CPU_BAR, WRITES_BAR = 90.0, 0.5, 0
MONITORING = {"interval": "5s", "window": "1m"}
"""As in examples/digits; the other measurements look more often."""
READS = frozenset({"get", "list"})
PROBE = """
import json, os, time, urllib.request
status = open("/proc/1/status").read().split()
ticks = sum(map(int, open("/proc/1/stat").read().rpartition(")")[2].split()[11:13]))
metrics = urllib.request.urlopen("http://127.0.0.1:8082/metrics").read().decode()
print(json.dumps({
    "at": time.monotonic(), "cpu": ticks / os.sysconf("SC_CLK_TCK"),
    "rss": int(status[status.index("VmRSS:") + 1]), "metrics": metrics,
}))
"""
"""Run in the operator's container, where the operator is process 1: works on every kind of cluster."""
COUNTED = re.compile(r'^modeldeploy_api_requests_total\{verb="(\w+)",kind="(\w+)"\} (\S+)$', re.MULTILINE)


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
        before = _probe(place)
        time.sleep(SPAN)
        after = _probe(place)
    seconds = after["at"] - before["at"]
    written = {
        key: count - before["writes"].get(key, 0)
        for key, count in after["writes"].items()
        if count > before["writes"].get(key, 0)
    }
    if written:
        say(f"  written while idle: {written}")
    return [
        Figure("operator_rss_mib", max(before["rss"], after["rss"]) / 1024, "MiB", MEMORY_BAR),
        Figure("idle_cpu_percent", 100 * (after["cpu"] - before["cpu"]) / seconds, "% of a core", CPU_BAR),
        Figure("idle_api_writes", sum(written.values()), "writes but the lease's in 60 s", WRITES_BAR),
    ]


def _probe(place: Place) -> dict[str, Any]:
    command = ("exec", "--namespace", SYSTEM, f"deployment/{RELEASE}", "--", "python", "-c", PROBE)
    seen: dict[str, Any] = json.loads(place.installed.cluster.run_kubectl(*command))
    counted = COUNTED.findall(seen.pop("metrics"))
    # The lease has a connection of its own, which isn't counted; a TokenReview asks and writes nothing.
    seen["writes"] = {
        f"{verb} {kind}": float(count)
        for verb, kind, count in counted
        if verb not in READS and kind not in {"Lease", "TokenReview"}
    }
    return seen
