"""What happened, told from what was recorded; whether it was what should happen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from demo.cases import BETTER, FIRST, Case
from demo.observer import Seen
from digits.load_stats import RevisionSeen, Snapshot
from modeldeploy.cli.look import Ended

BREACHED = "MetricBreached"
CROWDED = 2.0
"""Load average per core from which a failure may be the machine's."""


@dataclass(slots=True)
class Facts:
    """What a run has recorded. Times are seconds since 1970.

    Attributes:
        case: The bad version that was tried.
        seen: The object over time.
        applied: When each version was applied.
        loaded_at: When the load began.
        first_bad: The first scrape that shows the fault; None if none did.
        load: The load's counts at its end.
        restarted: Containers and pods that promotion started anew; None if that wasn't seen.
    """

    case: Case
    seen: list[Seen] = field(default_factory=list)
    applied: dict[str, float] = field(default_factory=dict)
    loaded_at: float | None = None
    first_bad: float | None = None
    load: Snapshot | None = None
    restarted: int | None = None

    def ended(self, version: str) -> Ended | None:
        """How a version's rollout ended."""
        return self.seen[-1].look.ended(version) if self.seen else None

    @property
    def last_asked(self) -> RevisionSeen | None:
        """What the load knows of the bad version's answers."""
        ended = self.ended(self.case.version)
        return self.load.revisions.get(ended.revision) if ended and self.load else None

    @property
    def seconds_to_safe(self) -> float | None:
        """From the first scrape that shows the fault to the last request that the bad version got."""
        if self.first_bad is None or self.last_asked is None:
            return None
        return max(0.0, self.last_asked.last_sent - self.first_bad)


def restarts(before: Mapping[str, int], after: Mapping[str, int]) -> int:
    """Pods and containers started anew, from restarts by the pods' UIDs."""
    new = len(after.keys() - before.keys())
    return new + sum(max(0, after[uid] - count) for uid, count in before.items() if uid in after)


def timeline(facts: Facts) -> list[tuple[float, str]]:
    """What happened when, in order."""
    bad = facts.case.version
    marks = [(at, f"{version} applied") for version, at in facts.applied.items()]
    marks += _moments(facts.seen)
    if facts.loaded_at:
        marks.append((facts.loaded_at, "the load begins"))
    if facts.first_bad:
        marks.append((facts.first_bad, f"the fault of {bad} is scraped for the first time"))
    if facts.last_asked:
        marks.append((facts.last_asked.last_sent, f"the last request that {bad} gets"))
        marks.append((facts.last_asked.last_answer, f"the last answer of {bad}"))
    for version, word in ((bad, "rolled back"), (BETTER, "promoted")):
        ended = facts.ended(version)
        if ended:
            marks.append(
                (ended.at.timestamp(), f"{version} is {word if _as_wished(ended, word) else ended.outcome}")
            )
    return sorted(marks)


def problems(facts: Facts) -> list[str]:
    """What should have happened and did not, in plain words; empty if all is well."""
    found = []
    bad = facts.ended(facts.case.version)
    if bad is None:
        found.append(f"{facts.case.version} was not rolled back")
    elif bad.outcome != "RolledBack":
        found.append(
            f"{facts.case.version} ended as {bad.outcome} instead of being rolled back: {bad.message}"
        )
    elif bad.reason != BREACHED:
        found.append(f"{facts.case.version} was rolled back, but not for its metric: {bad.message}")
    good = facts.ended(BETTER)
    if good is None or good.outcome != "Promoted":
        found.append(f"{BETTER} was not promoted{f': {good.message}' if good else ''}")
    elif facts.restarted:
        found.append(f"promotion started {facts.restarted} pods or containers anew")
    return found + _failures(facts)


def crowded(load: float, cores: int) -> str:
    """A hint that the machine had too much to do, from its load average; empty if it hadn't."""
    if load <= CROWDED * cores:
        return ""
    return (
        f"This machine is busy with other things (load average {load:.1f} on {cores} cores); so a "
        "model may miss its probes and requests time out. Try again when it is quieter."
    )


def tell(console: Console, facts: Facts, interval: str) -> None:
    """Print the table."""
    zero = facts.applied.get(FIRST, 0.0)
    table = Table(title="What happened", title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("T+ s", justify="right")
    table.add_column("")
    for at, text in timeline(facts):
        table.add_row(f"{at - zero:.1f}", text, style=_style(text))
    console.print()
    console.print(table)
    numbers = Table(box=None, pad_edge=False, show_header=False)
    numbers.add_column(justify="right", style="bold")
    numbers.add_column(overflow="fold")
    for value, text in figures(facts, interval):
        numbers.add_row(value, text)
    console.print()
    console.print(numbers)


def figures(facts: Facts, interval: str) -> list[tuple[str, str]]:
    """The numbers at the end, each with what it counts."""
    rows = []
    if facts.seconds_to_safe is not None:
        said = (
            f"from the first scrape that shows the fault to traffic back (metrics are read every {interval})"
        )
        rows.append((f"{facts.seconds_to_safe:.1f} s", said))
    if facts.load:
        load = facts.load
        rows.append((str(load.sent), f"requests sent in {load.seconds:.0f} s"))
        rows.append((str(load.failures), f"of them failed{_listed(load.failed)}"))
        if facts.case.errors:
            rows.append(
                (str(load.deliberate), f"more got the error that {facts.case.version} makes on purpose")
            )
        if load.nulls:
            rows.append((str(load.nulls), f"of {load.outputs} outputs were null"))
        if facts.last_asked:
            rows.append((str(facts.last_asked.answers), f"requests were answered by {facts.case.version}"))
    if facts.restarted is not None:
        rows.append((str(facts.restarted), f"pods started anew by the promotion of {BETTER}"))
    return rows


def _style(text: str) -> str:
    """The two moments that the demo is about stand out."""
    return next(
        (style for word, style in (("rolled back", "bold red"), ("promoted", "bold green")) if word in text),
        "",
    )


def _as_wished(ended: Ended, word: str) -> bool:
    return ended.outcome == {"rolled back": "RolledBack", "promoted": "Promoted"}[word]


def _moments(seen: Sequence[Seen]) -> list[tuple[float, str]]:
    """When each candidate got each of its weights, and when v1 was Ready for the first time."""
    marks: dict[str, float] = {}
    for each in seen:
        candidate = each.look.candidate
        if candidate and candidate.weight:
            marks.setdefault(f"{candidate.version} gets {candidate.weight}% of the requests", each.at)
        if each.look.ready and each.look.shares:
            version = each.look.shares[0].version
            if version == FIRST:
                marks.setdefault(f"{version} is Ready", each.at)
    return [(at, text) for text, at in marks.items()]


def _failures(facts: Facts) -> list[str]:
    load = facts.load
    if load is None or not load.sent:
        return ["no request was sent"]
    found = []
    if load.failures:
        found.append(
            f"{load.failures} of {load.sent} requests failed{_listed(load.failed)}; {load.first_failure}"
        )
    if load.deliberate and not facts.case.errors:
        found.append(f"{load.deliberate} requests got an error that no version of this case makes on purpose")
    return found


def _listed(failed: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{kind} {count}' for kind, count in sorted(failed.items()))})" if failed else ""
