"""How often the operator has written to the API server, by its own count."""

import json
import re
from dataclasses import dataclass
from typing import Self

from e2e.support import RELEASE, SYSTEM, Place

READS = frozenset({"get", "list", "watch", "dryrun"})
NOT_COUNTED = frozenset({"Lease", "TokenReview"})
"""What elects or asks. (The lease has a connection of its own and stands in no count anyway.)"""
COUNTED = re.compile(r'^modeldeploy_api_requests_total\{verb="(\w+)",kind="(\w+)"\} (\S+)$', re.MULTILINE)
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


@dataclass(frozen=True)
class Writes:
    """The operator's process at one moment.

    Attributes:
        at: Monotonic seconds.
        cpu: Seconds of processor time that it has used.
        rss: Memory in KiB.
        counts: Writes so far, by verb and kind.
    """

    at: float
    cpu: float
    rss: float
    counts: dict[str, float]

    @classmethod
    def of(cls, place: Place) -> Self:
        """As it is now. A dry run writes nothing."""
        command = ("exec", "--namespace", SYSTEM, f"deployment/{RELEASE}", "--", "python", "-c", PROBE)
        seen = json.loads(place.installed.cluster.run_kubectl(*command))
        counts = {
            f"{verb} {kind}": float(count)
            for verb, kind, count in COUNTED.findall(seen.pop("metrics"))
            if verb not in READS and kind not in NOT_COUNTED
        }
        return cls(**seen, counts=counts)

    def since(self, before: Self) -> Self:
        """What came in between: time, processor time and writes; the memory as it is."""
        counts = {key: count - before.counts.get(key, 0) for key, count in self.counts.items()}
        return type(self)(
            self.at - before.at,
            self.cpu - before.cpu,
            self.rss,
            {key: count for key, count in counts.items() if count > 0},
        )

    @property
    def total(self) -> float:
        """All writes."""
        return sum(self.counts.values())
