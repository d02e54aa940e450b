"""HTTPRoutes of the Gateway API, v1.

`<name>` carries the weights, the copies and the rule for the preview header; `<name>-preview` the preview
host name. What a GatewayClass may be asked for follows from the features that it lists in its status: what
isn't listed isn't rendered, since gateways pass over it in silence or refuse the whole route.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.traffic import Gateway, Traffic
from modeldeploy.core.finding import Finding
from modeldeploy.core.traffic import Split
from modeldeploy.render.meta import Owner, child
from modeldeploy.render.traffic.plain_service import Target, target, targets

Object = dict[str, Any]

API_VERSION = "gateway.networking.k8s.io/v1"
ALL = 100


@dataclass(frozen=True, slots=True)
class Features:
    """What every GatewayClass of a route can do.

    Attributes:
        mirror: Copy requests.
        percent: Copy a share of them.
        timeout: Bound the time of an answer.
        sticky: Keep a client at the pod that answered it first.
    """

    mirror: bool = False
    percent: bool = False
    timeout: bool = False
    sticky: bool = False

    @classmethod
    def of(cls, listed: Iterable[str], *, sticky: bool = False) -> Self:
        """From the features in a GatewayClass's status, by the names of the Gateway API's conformance tests.

        Session persistence has no such name yet.
        """
        names = set(listed)
        return cls(
            mirror="HTTPRouteRequestMirror" in names,
            percent="HTTPRouteRequestPercentageMirror" in names,
            timeout="HTTPRouteRequestTimeout" in names,
            sticky=sticky,
        )

    def can_mirror(self, percent: int) -> bool:
        """Whether this share of requests can be copied."""
        return self.percent or (self.mirror and percent == ALL)


def routes(owner: Owner, traffic: Traffic, split: Split, features: Features) -> list[Object]:
    """The HTTPRoutes of the decided traffic, as far as the features go; none before anything serves."""
    shares = targets(owner, traffic, split)
    if not traffic.gateway or not shares:
        return []
    preview = split.preview
    candidate = target(owner, traffic, split.candidate, 1) if split.candidate else None
    copies = candidate if split.mirror and features.can_mirror(split.mirror) else None
    rules = [_rule(traffic, features, shares, copies=copies, percent=split.mirror)]
    if candidate and preview and preview.header:
        # Behind the public rule, whose place stays: gateways name what a rule leads to by its number, and a
        # request may meet the old rules with the new names. The match with a header wins wherever it is.
        header = {"type": "Exact", "name": preview.header, "value": preview.value or ""}
        rules.append(_rule(traffic, features, [candidate], headers=[header]))
    made = [_route(owner, "", traffic.gateway, traffic.gateway.hostnames, rules)]
    if candidate and preview and preview.hostname:
        only = [_rule(traffic, features, [candidate])]
        made.append(_route(owner, "-preview", traffic.gateway, [preview.hostname], only))
    return made


def limits(traffic: Traffic, split: Split, features: Features, class_name: str) -> list[Finding]:
    """What of the decided traffic the gateways can't do."""
    found = []
    if split.mirror and not features.can_mirror(split.mirror):
        can = "can copy all requests or none" if features.mirror else "cannot copy requests"
        mend = "set shadow.percent: 100" if features.mirror else "remove the shadow step"
        message = f"GatewayClass {class_name} {can}, so the candidate gets none; {mend}, or take another"
        found.append(Finding("MirrorNotSupported", f"{message} class or provider"))
    if traffic.timeout and not features.timeout:
        message = f"GatewayClass {class_name} does not say that it can bound the time of an answer"
        found.append(
            Finding("TimeoutNotSupported", f"{message}; spec.traffic.timeout is not set", blocks=False)
        )
    if traffic.sticky and not features.sticky:
        message = f"GatewayClass {class_name}, or the installed HTTPRoute, has no session persistence"
        mend = (
            "a client may be answered by both revisions; remove spec.traffic.sticky, or take provider: Router"
        )
        found.append(Finding("StickyNotSupported", f"{message}: {mend}", blocks=False))
    return found


def _route(
    owner: Owner, suffix: str, gateway: Gateway, hostnames: list[str] | None, rules: list[Object]
) -> Object:
    head = child(API_VERSION, "HTTPRoute", owner, None)
    head["metadata"]["name"] += suffix
    spec: Object = {"parentRefs": parents(gateway), "rules": rules}
    return head | {"spec": spec | ({"hostnames": hostnames} if hostnames else {})}


def parents(gateway: Gateway) -> list[Object]:
    """`spec.parentRefs`, with the defaults that the API server would set."""
    found = []
    for ref in gateway.parent_refs:
        parent: Object = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": ref.name}
        parent |= {"namespace": ref.namespace} if ref.namespace else {}
        found.append(parent | ({"sectionName": ref.section_name} if ref.section_name else {}))
    return found


def _rule(
    traffic: Traffic,
    features: Features,
    shares: list[Target],
    *,
    headers: list[Object] | None = None,
    copies: Target | None = None,
    percent: int = 0,
) -> Object:
    match: Object = {"path": {"type": "PathPrefix", "value": "/"}}
    rule: Object = {
        "matches": [match | ({"headers": headers} if headers else {})],
        "backendRefs": [_backend(share) | {"weight": share.weight} for share in shares],
    }
    if copies:
        mirror: Object = {"backendRef": _backend(copies)}
        mirror |= {"percent": percent} if percent < ALL else {}
        rule["filters"] = [{"type": "RequestMirror", "requestMirror": mirror}]
    if features.timeout:  # 0 for never: gateways give up after 15 s and the like otherwise
        rule["timeouts"] = {"request": duration(seconds(traffic.timeout)) if traffic.timeout else "0s"}
    if traffic.sticky and features.sticky:
        rule["sessionPersistence"] = {"sessionName": "modeldeploy", "type": "Cookie"}
    return rule


def _backend(share: Target) -> Object:
    return {"group": "", "kind": "Service", "name": share.service, "port": share.port}


def duration(value: float) -> str:
    """Seconds as the Gateway API writes them: up to five digits a unit, no fractions."""
    milliseconds = max(1, round(value * 1000))
    minutes, rest = divmod(milliseconds, 60_000)
    parts = ((minutes, "m"), (rest // 1000, "s"), (rest % 1000, "ms"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)
