"""Weights in an HTTPRoute that the user wrote and keeps.

A rule is ours to weigh when its backends are the Services `<name>-stable` and `<name>-candidate` of the
object's namespace. All else in the route stays as it is: a GitOps tool sees weights differ, and nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modeldeploy.api.v1alpha1.traffic import RouteRef, Traffic
from modeldeploy.core.finding import Finding
from modeldeploy.core.traffic import INCUMBENT, Split
from modeldeploy.render.meta import Owner

Object = Mapping[str, Any]
Operation = dict[str, Any]

GRANTED = "gateway.networking.k8s.io"


def place(owner: Owner, ref: RouteRef) -> tuple[str, str]:
    """Namespace and name of the route."""
    return ref.namespace or owner.namespace, ref.name


def weights(split: Split) -> tuple[int, int]:
    """Stable's and the candidate's share in percent; all to stable where there is no candidate."""
    share = split.weights.get(split.candidate or "", 0)
    return 100 - share, share


def patch(route: Object, owner: Owner, shares: tuple[int, int]) -> list[Operation]:
    """A JSON patch to these weights, refused if the route has changed; empty if they stand already."""
    changes: list[Operation] = []
    for path, backends in _rules(route, owner):
        for track, share in zip(("-stable", "-candidate"), shares, strict=True):
            at, backend = backends[owner.name + track]
            if backend.get("weight", 1) != share:
                changes.append({"op": "add", "path": f"{path}/{at}/weight", "value": share})
    version = route["metadata"]["resourceVersion"]
    same = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
    return [same, *changes] if changes else []


def leads_here(route: Object, owner: Owner) -> bool:
    """Whether some rule shares requests between the two tracks."""
    return any(True for _ in _rules(route, owner))


def granted(grants: Sequence[Object], route_namespace: str, owner: Owner) -> bool:
    """Whether HTTPRoutes of that namespace may lead to the tracks' Services, by the ReferenceGrants here."""
    return all(
        any(_allows(grant, route_namespace, owner.name + track) for grant in grants)
        for track in ("-stable", "-candidate")
    )


def limits(traffic: Traffic, split: Split, where: str) -> list[Finding]:
    """What is asked for beyond weights."""
    found = []
    if INCUMBENT in (split.stable, split.candidate):
        message = f"HTTPRoute {where} is yours and leads to the Services of two tracks, never to an incumbent"
        mend = "let modeldeploy make the route (spec.traffic.gateway), or remove spec.traffic.incumbent"
        found.append(Finding("IncumbentNotSupported", f"{message}; {mend}"))
    if split.mirror:
        message = f"HTTPRoute {where} is yours and gets weights only, so requests are not copied"
        mend = "remove the shadow step, or let modeldeploy make the route (spec.traffic.gateway)"
        found.append(Finding("MirrorNotSupported", f"{message}; {mend}"))
    for wish, is_set in (("timeout", traffic.timeout), ("sticky", traffic.sticky)):
        if is_set:
            message = (
                f"HTTPRoute {where} is yours and gets weights only; set what spec.traffic.{wish} says in it"
            )
            found.append(Finding(f"{wish.capitalize()}NotSupported", message, blocks=False))
    return found


def _rules(route: Object, owner: Owner) -> Iterator[tuple[str, dict[str, tuple[int, Object]]]]:
    """Path of the backends and the tracks' backends, of each rule that has both."""
    here = route["metadata"]["namespace"]
    tracks = {f"{owner.name}-stable", f"{owner.name}-candidate"}
    for number, rule in enumerate(route["spec"].get("rules") or ()):
        found = {
            backend["name"]: (at, backend)
            for at, backend in enumerate(rule.get("backendRefs") or ())
            if backend["name"] in tracks
            and backend.get("kind", "Service") == "Service"
            and (backend.get("namespace") or here) == owner.namespace
        }
        if found.keys() == tracks:
            yield f"/spec/rules/{number}/backendRefs", found


def _allows(grant: Object, route_namespace: str, service: str) -> bool:
    spec = grant["spec"]
    comes = any(
        (source.get("group"), source.get("kind"), source.get("namespace"))
        == (GRANTED, "HTTPRoute", route_namespace)
        for source in spec.get("from") or ()
    )
    goes = any(
        (goal.get("group", ""), goal.get("kind")) == ("", "Service")
        and goal.get("name") in (None, "", service)
        for goal in spec.get("to") or ()
    )
    return comes and goes
