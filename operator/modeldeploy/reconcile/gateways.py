"""Gateways: what their class can do, and whether they have taken a route in.

A route is served when each of its Gateways says of it `Accepted` and `ResolvedRefs` for the generation that
stands at the API server, and is itself `Programmed`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import Invalid, NotFound
from modeldeploy.adapters.kube.resources import GATEWAY, GATEWAY_CLASS
from modeldeploy.api.v1alpha1.traffic import Gateway, ParentRef, Traffic
from modeldeploy.core.finding import Finding
from modeldeploy.core.naming import FIELD_MANAGER
from modeldeploy.core.traffic import Split
from modeldeploy.render.meta import Owner
from modeldeploy.render.traffic.gateway_api import Features, routes

Object = Mapping[str, Any]

TRAEFIK = "traefik.io/gateway-controller"
"""It writes a route's status before its own throttle lets the route in."""


SESSIONS = "modeldeploy/SessionPersistence"
"""Our own name for `sessionPersistence`: no feature's name says that a controller keeps to the field."""
KNOWN: Mapping[str, frozenset[str]] = {
    "gateway.envoyproxy.io/gatewayclass-controller": frozenset(
        {
            *("HTTPRouteRequestMirror", "HTTPRouteRequestPercentageMirror", "HTTPRouteRequestTimeout"),
            SESSIONS,
        }
    )
}
"""What controllers can do whose classes list nothing: Envoy Gateway, since release 1.5."""


@dataclass(frozen=True, slots=True)
class Class:
    """What the Gateways of a route have in common.

    Attributes:
        name: Their classes' names.
        features: What all of them can do.
        findings: Gateways and classes that aren't there.
    """

    name: str = ""
    features: Features = field(default_factory=Features)
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """Whether a route was taken in.

    Attributes:
        done: By all its parents, at its present generation.
        finding: Why a parent refuses it.
        throttled: A parent says so earlier than it does so.
    """

    done: bool
    finding: Finding | None = None
    throttled: bool = False


class Gateways:
    """Asks the API server about Gateways. No watch: they are looked at only while a route is taken in."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    async def learn(self, of: Owner, traffic: Traffic) -> Class:
        """What the Gateways of an object can do together."""
        gateway = traffic.gateway
        names: list[str] = []
        listed: list[set[str]] = []
        findings: list[Finding] = []
        for ref in gateway.parent_refs if gateway else ():
            found = await self._gateway(of, ref)
            if isinstance(found, Finding):
                findings.append(found)
                continue
            name = found["spec"]["gatewayClassName"]
            names.append(name)
            listed.append(await self._listed(name))
        common = set.intersection(*listed) if listed else set()
        sticky = traffic.sticky and SESSIONS in common and await self._has_sessions(of, traffic)
        features = Features.of(common, sticky=sticky)
        return Class(" and ".join(sorted(set(names))), features, tuple(findings))

    async def programmed(self, of: Owner, gateway: Gateway) -> tuple[Finding, ...]:
        """Gateways that don't serve anything yet."""
        findings = []
        for ref in gateway.parent_refs:
            found = await self._gateway(of, ref)
            if isinstance(found, Finding):
                findings.append(found)
                continue
            condition = _condition((found.get("status") or {}).get("conditions"), "Programmed")
            if condition.get("status") != "True":
                why = condition.get("message") or "its controller has said nothing yet"
                message = f"Gateway {_name(of, ref)} is not programmed: {why}"
                findings.append(Finding("GatewayNotProgrammed", message))
        return tuple(findings)

    async def _gateway(self, of: Owner, ref: ParentRef) -> Object | Finding:
        try:
            return await self._kube.get(GATEWAY, ref.namespace or of.namespace, ref.name)
        except NotFound:
            message = f"there is no Gateway {_name(of, ref)}; create it, or mend"
            return Finding("GatewayNotFound", f"{message} spec.traffic.gateway.parentRefs")

    async def _listed(self, class_name: str) -> set[str]:
        try:
            found = await self._kube.get(GATEWAY_CLASS, None, class_name)
        except NotFound:
            return set()
        features = (found.get("status") or {}).get("supportedFeatures") or ()
        # a plain text in releases before 1.2
        listed = {one["name"] if isinstance(one, Mapping) else str(one) for one in features}
        return listed or set(KNOWN.get(found["spec"]["controllerName"], ()))

    async def _has_sessions(self, of: Owner, traffic: Traffic) -> bool:
        """Whether the installed HTTPRoute has the field: it is not in the standard channel."""
        split = Split(stable="probe", candidate=None, weights={"probe": 100})
        try:
            for route in routes(of, traffic, split, Features(sticky=True)):
                await self._kube.apply(route, manager=FIELD_MANAGER, dry_run=True)
        except Invalid:
            return False
        return True


def taken(route: Object, of: Owner, gateway: Gateway) -> Taken:
    """Whether a route as it stands was taken in by all its Gateways."""
    told = (route.get("status") or {}).get("parents") or ()
    throttled = False
    for ref in gateway.parent_refs:
        parents = [one for one in told if _is_of(one["parentRef"], of, ref)]
        if not parents:
            return Taken(done=False)
        for parent in parents:
            throttled = throttled or parent.get("controllerName") == TRAEFIK
            missing = _missing(route, parent)
            if missing is not None:
                message = f"Gateway {_name(of, ref)} does not take HTTPRoute {route['metadata']['name']}"
                finding = Finding("RouteNotAccepted", f"{message}: {missing}") if missing else None
                return Taken(done=False, finding=finding)
    return Taken(done=True, throttled=throttled)


def taken_by_all(route: Object) -> Taken:
    """Whether a route that somebody else wrote was taken in by all that it is attached to."""
    parents = (route.get("status") or {}).get("parents") or ()
    throttled = any(parent.get("controllerName") == TRAEFIK for parent in parents)
    for parent in parents:
        missing = _missing(route, parent)
        if missing is not None:
            message = f"HTTPRoute {route['metadata']['name']} is not taken in: {missing}"
            return Taken(done=False, finding=Finding("RouteNotAccepted", message) if missing else None)
    return Taken(done=bool(parents), throttled=throttled)


def _missing(route: Object, parent: Object) -> str | None:
    """Why a parent has not taken the route in: empty while it has yet to say; None once it has."""
    for kind in ("Accepted", "ResolvedRefs"):
        condition = _condition(parent.get("conditions"), kind)
        if condition.get("observedGeneration", 0) < route["metadata"].get("generation", 0):
            return ""
        if condition.get("status") != "True":
            return str(condition.get("message") or condition.get("reason"))
    return None


def _is_of(parent: Object, of: Owner, ref: ParentRef) -> bool:
    here = parent.get("namespace") or of.namespace
    there = ref.namespace or of.namespace
    same = (parent.get("name"), here) == (ref.name, there)
    return same and parent.get("sectionName") == ref.section_name


def _condition(conditions: Any, kind: str) -> Object:
    return next((one for one in conditions or () if one.get("type") == kind), {})


def _name(of: Owner, ref: ParentRef) -> str:
    return f"{ref.namespace or of.namespace}/{ref.name}"
