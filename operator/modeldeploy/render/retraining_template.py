"""What templates of things that retrain may not say: known before the API server is asked about them."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from modeldeploy.core import naming

TEMPLATE = "spec.retraining.trigger.job.template"
OBJECT_TEMPLATE = "spec.retraining.trigger.object.template"
LONGEST = 52
"""Longest name in a template: a dash and ten characters follow, and the Job's pods add some more."""
CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_HOST = ("hostNetwork", "hostPID", "hostIPC")
_NAMES = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_RESERVED = frozenset({naming.NAME, naming.REVISION, naming.COMPONENT, naming.MANAGED_BY})


def problems(template: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences that name field and mend; empty if the API server may be asked about it. Never raises."""
    return tuple(f"{TEMPLATE}{fault}" for fault in _faults(template))


def object_problems(
    template: Mapping[str, Any], namespace: str, granted: Collection[tuple[str, str]]
) -> tuple[str, ...]:
    """The same of an object's template.

    Args:
        template: As in spec.
        namespace: The ModelDeployment's, the only one in which anything is made.
        granted: The kinds that may be made, as (apiVersion, kind).
    """
    return tuple(f"{OBJECT_TEMPLATE}{fault}" for fault in _object_faults(template, namespace, granted))


def _object_faults(
    template: Mapping[str, Any], namespace: str, granted: Collection[tuple[str, str]]
) -> Iterator[str]:
    version, kind, meta = template.get("apiVersion"), template.get("kind"), _map(template.get("metadata"))
    for field, value, such_as in (
        ("apiVersion", version, "argoproj.io/v1alpha1"),
        ("kind", kind, "Workflow"),
    ):
        if not isinstance(value, str) or not value:
            yield f".{field}: is missing; write e.g. {such_as}"
    if isinstance(version, str) and isinstance(kind, str) and version and kind:
        if (version, kind) == ("batch/v1", "Job"):
            yield ".kind: a Job is made by spec.retraining.trigger.job; move the template there"
        elif (version, kind) not in granted:
            yield (
                f".kind: {kind} of {version} is not among the kinds that the operator may make; "
                "add it to the chart value retraining.objects"
            )
    elsewhere = meta.get("namespace")
    if elsewhere not in (None, namespace):
        yield f".metadata.namespace: {elsewhere} is another namespace than the object's; remove it"
    if "status" in template:
        yield ".status: is its controller's to write; remove it"
    kept = {field: value for field, value in meta.items() if field != "namespace"}
    yield from _metadata_faults(kept, kind if isinstance(kind, str) and kind else "object")


def _faults(template: Mapping[str, Any]) -> Iterator[str]:
    for field in sorted(template.keys() - {"metadata", "spec"}):
        yield f".{field}: a template has metadata and spec only; remove it"
    yield from _metadata_faults(_map(template.get("metadata")), "Job")
    pods = _map(_map(template.get("spec")).get("template"))
    taken = sorted(_map(_map(pods.get("metadata")).get("labels")).keys() & _RESERVED)
    if taken:
        yield f".spec.template.metadata.labels: {', '.join(taken)} cannot be set by users; remove it"
    yield from (f".spec.template.spec{fault}" for fault in _pod_faults(_map(pods.get("spec"))))


def _metadata_faults(meta: Mapping[str, Any], kind: str) -> Iterator[str]:
    name = meta.get("name")
    if not isinstance(name, str) or not name:
        yield f".metadata.name: is missing; name the {kind}s, e.g. retrain-recogniser (each adds a suffix)"
    elif len(name) > LONGEST or not set(name) <= _NAMES or "-" in (name[0], name[-1]):
        yield (
            f".metadata.name: {name[:LONGEST]} cannot begin the name of a {kind}; use at most {LONGEST} "
            "small letters, digits and '-', no '-' at either end"
        )
    for field in ("labels", "annotations"):
        if not isinstance(meta.get(field), Mapping | None):
            yield f".metadata.{field}: is no map; write names with values"
    for field in sorted(meta.keys() - {"name", "labels", "annotations"}):
        yield f".metadata.{field}: only name, labels and annotations can be set; remove it"


def _pod_faults(pod: Mapping[str, Any]) -> Iterator[str]:
    if not _maps(pod.get("containers")):
        yield ".containers: is missing or no list; add the container that retrains"
    for field in _HOST:
        if pod.get(field):
            yield f".{field}: gives access to the host; remove it"
    for index, volume in enumerate(_maps(pod.get("volumes"))):
        if volume.get("hostPath") is not None:
            yield f".volumes[{index}].hostPath: gives access to the host; take another kind of volume"
    yield from _security_faults("", pod)
    for kind in CONTAINERS:
        for index, item in enumerate(_maps(pod.get(kind))):
            yield from _security_faults(f".{kind}[{index}]", item)
            if any(port.get("hostPort") for port in _maps(item.get("ports"))):
                yield f".{kind}[{index}].ports: hostPort gives access to the host; remove it"


def _security_faults(where: str, holder: Mapping[str, Any]) -> Iterator[str]:
    context = _map(holder.get("securityContext"))
    if context.get("privileged"):
        yield f"{where}.securityContext.privileged: gives access to the host; remove it"
    if _map(context.get("windowsOptions")).get("hostProcess"):
        yield f"{where}.securityContext.windowsOptions.hostProcess: gives access to the host; remove it"


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _maps(value: Any) -> list[Mapping[str, Any]]:
    """The maps of a list; what is something else the API server will complain about."""
    return [_map(item) for item in value] if isinstance(value, list) else []
