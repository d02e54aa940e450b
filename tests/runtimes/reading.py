"""What a server says on its page of metrics, given to the product as its own recording."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from modeldeploy.adapters.history import Moment, Ticket
from modeldeploy.adapters.recording import Recording
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core import judgement
from modeldeploy.core.assessment import Assessment
from modeldeploy.core.judgement import Answer, Evidence, Query, Roles

WHO = Ticket("shop", "tiny")
STABLE, CANDIDATE = "aaaa1111", "bbbb2222"
START = 1_800_000_000.0
INTERVAL = 10.0

Scrape = tuple[float, str, str]
"""Seconds since the start, the revision that was scraped, and the text."""


def lines(scrape: Scrape) -> Iterable[str]:
    """The samples of a page with what a scrape adds: labels of the pod, and a time."""
    at, revision, text = scrape
    added = f'pod="pod-{revision}",modeldeploy_revision="{revision}"'
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            name, _, rest = series.partition("{")
            # A label that a pod's would clash with is renamed by Prometheus, too.
            labels = rest.removesuffix("}").rstrip(",").replace("namespace=", "exported_namespace=")
            yield f"{name}{{{labels}{',' if labels else ''}{added}}} {value} {START + at}"


def recording(scrapes: Iterable[Scrape], folder: Path) -> Recording:
    """The scrapes as the product reads them from a file."""
    path = folder / "scrapes.om"
    path.write_text("\n".join(line for scrape in scrapes for line in lines(scrape)) + "\n# EOF\n")
    return Recording(path, WHO)


def made(
    runtime: str, metrics: Sequence[dict[str, object]], provider: str = "Traefik"
) -> ModelDeploymentSpec:
    """A spec whose model's own server is asked for everything, unless the provider is Router."""
    port = {"port": 8080} if runtime == "Custom" else {}
    return ModelDeploymentSpec.model_validate(
        {
            "model": {"version": "1"},
            "server": {"image": "tiny:1", "runtime": runtime, **port},
            "traffic": {"provider": provider},
            "monitoring": {"interval": f"{INTERVAL:g}s", "metrics": list(metrics)},
        }
    )


def answers(read: Recording, queries: Sequence[Query], at: float = 0.0) -> dict[Query, Answer]:
    """What the product makes of the page as it stood at a time."""
    moment = datetime.fromtimestamp(START + at, UTC)
    (found,) = read.moments(queries, {}, moment, moment, f"{INTERVAL:g}s")
    assert isinstance(found, Moment)
    return dict(found.answers)


def verdicts(read: Recording, spec: ModelDeploymentSpec, looks: int) -> dict[str, Assessment]:
    """The verdicts on a candidate after as many looks, the first of which only sets the level."""
    roles = Roles(STABLE, CANDIDATE, START - INTERVAL, START - INTERVAL)
    queries = judgement.queries(spec, WHO.namespace, WHO.name, roles)
    evidence, last = Evidence(), datetime.fromtimestamp(START + INTERVAL * (looks - 1), UTC)
    for at, found in read.moments(queries, {}, datetime.fromtimestamp(START, UTC), last, f"{INTERVAL:g}s"):
        evidence = judgement.advance(
            evidence, spec, namespace=WHO.namespace, name=WHO.name, roles=roles, answers=found, at=at
        )
    return {one.name: one for one in judgement.assess(evidence, spec, roles, last)}
