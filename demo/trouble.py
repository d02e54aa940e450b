"""What one would look at when something went wrong, in one file."""

import json
import time
from dataclasses import asdict
from pathlib import Path

from cluster import ClusterError
from cluster.paths import cache_root
from demo.stage import NAMESPACE, RELEASE, SYSTEM, Stage
from digits.load_stats import Snapshot

LOG_LINES = 400
QUESTIONS = (
    ("objects", ("get", "mdep", "--namespace", NAMESPACE, "--output=yaml")),
    ("pods", ("get", "pods", "--all-namespaces", "--output=wide")),
    ("events", ("get", "events", "--namespace", NAMESPACE, "--sort-by=.lastTimestamp")),
    ("events of the chart", ("get", "events", "--namespace", SYSTEM, "--sort-by=.lastTimestamp")),
    (
        "operator's log",
        ("logs", f"deployment/{RELEASE}", "--namespace", SYSTEM, f"--tail={LOG_LINES}", "--timestamps"),
    ),
    (
        "routers' log",
        ("logs", "deployment/modeldeploy-router", "--namespace", NAMESPACE, "--tail=100", "--timestamps"),
    ),
)


def save(stage: Stage, load: Snapshot | None, why: str) -> Path:
    """Write everything into a new file and give back its path."""
    path = cache_root() / "demo" / f"{time.strftime('%Y%m%d-%H%M%S')}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [f"# what was missing\n{why}\n"]
    if load:
        parts.append(f"# load\n{json.dumps(asdict(load), indent=1)}\n")
    for title, words in QUESTIONS:
        try:
            answer = stage.kubectl(*words, timeout=20)
        except ClusterError as error:
            answer = str(error)
        parts.append(f"# {title}: kubectl {' '.join(words)}\n{answer}\n")
    path.write_text("\n".join(parts), encoding="utf-8")
    return path
