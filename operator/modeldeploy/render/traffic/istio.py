"""A VirtualService of Istio, `networking.istio.io/v1` (beta: it keeps the schema, but never ran here).

Destinations are the revisions' own Services, so no subset has to be made before a weight names it.
"""

from typing import Any

from modeldeploy.api.quantity import seconds
from modeldeploy.api.v1alpha1.traffic import ParentRef, Traffic
from modeldeploy.core.finding import Finding
from modeldeploy.core.traffic import Split
from modeldeploy.render.meta import Owner, child
from modeldeploy.render.traffic.gateway_api import duration
from modeldeploy.render.traffic.plain_service import Target, target, targets

Object = dict[str, Any]

API_VERSION = "networking.istio.io/v1"


def virtual_services(owner: Owner, traffic: Traffic, split: Split) -> list[Object]:
    """The VirtualService `<name>`, and `<name>-preview` for a preview host name, once anything serves."""
    shares = targets(owner, traffic, split)
    if not traffic.gateway or not shares:
        return []
    preview = split.preview
    candidate = target(owner, traffic, split.candidate) if split.candidate else None
    http = []
    if candidate and preview and preview.header:
        exact = {preview.header.lower(): {"exact": preview.value or ""}}
        http.append({"match": [{"headers": exact}], **_route(owner, traffic, [candidate])})
    rule = _route(owner, traffic, shares)
    if candidate and split.mirror:
        rule["mirrors"] = [
            {"destination": _destination(owner, candidate), "percentage": {"value": split.mirror}}
        ]
    http.append(rule)
    made = [_virtual_service(owner, "", traffic, traffic.gateway.hostnames or ["*"], http)]
    if candidate and preview and preview.hostname:
        only = [_route(owner, traffic, [candidate])]
        made.append(_virtual_service(owner, "-preview", traffic, [preview.hostname], only))
    return made


def limits(traffic: Traffic) -> list[Finding]:
    """What of the wishes a VirtualService can't do."""
    if not traffic.sticky:
        return []
    message = (
        "a VirtualService keeps no client at a revision, so a client may be answered by both; remove "
        "spec.traffic.sticky, or take provider: Router"
    )
    return [Finding("StickyNotSupported", message, blocks=False)]


def _virtual_service(
    owner: Owner, suffix: str, traffic: Traffic, hosts: list[str], http: list[Object]
) -> Object:
    head = child(API_VERSION, "VirtualService", owner, None)
    head["metadata"]["name"] += suffix
    refs = traffic.gateway.parent_refs if traffic.gateway else []
    gateways = [_gateway(owner, ref) for ref in refs]
    return head | {"spec": {"hosts": hosts, "gateways": gateways, "http": http}}


def _gateway(owner: Owner, ref: ParentRef) -> str:
    return f"{ref.namespace or owner.namespace}/{ref.name}"


def _route(owner: Owner, traffic: Traffic, shares: list[Target]) -> Object:
    alone = len(shares) == 1
    route = [
        {"destination": _destination(owner, share)} | ({} if alone else {"weight": share.weight})
        for share in shares
    ]
    return {"route": route} | ({"timeout": duration(seconds(traffic.timeout))} if traffic.timeout else {})


def _destination(owner: Owner, share: Target) -> Object:
    # with the namespace: a short name is looked up in the namespace of whoever reads the rule
    return {"host": f"{share.service}.{owner.namespace}.svc.cluster.local", "port": {"number": share.port}}
