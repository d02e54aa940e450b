"""`spec.traffic`: how requests reach the pods."""

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from modeldeploy.api.quantity import Duration
from modeldeploy.api.v1alpha1 import rules
from modeldeploy.api.v1alpha1.base import Part, Rule
from modeldeploy.api.v1alpha1.text import Hostname, LongName, ObjectName, Port


class Provider(StrEnum):
    """What moves the traffic."""

    ROUTER = "Router"
    GATEWAY_API = "GatewayAPI"
    TRAEFIK = "Traefik"
    SERVICE = "Service"
    ISTIO = "IstioVirtualService"


class ParentRef(Part):
    """A Gateway that the route is attached to."""

    name: LongName = Field(description="Name of the Gateway.")
    namespace: ObjectName | None = Field(
        default=None, description="Its namespace. Defaults to the object's own."
    )
    section_name: LongName | None = Field(
        default=None, description="One listener of the Gateway. Without it all of them."
    )


class Gateway(Part):
    """Where the route is attached, with provider GatewayAPI or IstioVirtualService."""

    parent_refs: list[ParentRef] = Field(
        min_length=1, max_length=8, description="The Gateways that lead here."
    )
    hostnames: list[Hostname] | None = Field(
        default=None,
        min_length=1,
        max_length=16,
        description="Host names of requests for this model. Without them all of the Gateway's.",
    )


class RouteRef(Part):
    """A route that you wrote and keep; only the weights in it are set."""

    name: LongName = Field(
        description="Name of an HTTPRoute. Its rules must lead to the Services `<name>-stable` and "
        "`<name>-candidate`, with a weight each."
    )
    namespace: ObjectName | None = Field(
        default=None,
        description="Its namespace. In another than the object's own it needs a ReferenceGrant.",
    )


class Incumbent(Part):
    """What answers today: a Service of your own, in front of the previous system or of people."""

    service: ObjectName = Field(description="Name of the Service, in the object's namespace.")
    port: Port = Field(default=80, description="Port of the Service.")


class TLS(Part):
    """Encryption between clients and the router."""

    secret_name: LongName = Field(
        description="A Secret of type kubernetes.io/tls in the object's namespace. The router's pods mount "
        "it; the operator never reads it. A renewed certificate is taken up without a restart."
    )


class Traffic(Part):
    """How requests reach the pods. Clients call the Service `<name>` on port 80."""

    provider: Provider = Field(
        default=Provider.ROUTER,
        description="Router: Envoy proxies in the object's namespace, run by the operator; no add-on needed. "
        "GatewayAPI: an HTTPRoute. Traefik: a TraefikService `<name>`. Service: the Service `<name>` alone, "
        "which knows only all or nothing. IstioVirtualService (beta): a VirtualService.",
    )
    timeout: Duration | None = Field(
        default=None,
        description="Longest time for one answer; then the client gets 504. Without it a slow model is "
        "waited for.",
    )
    sticky: bool = Field(
        default=False,
        description="A client stays with the revision that answered it first, on both tracks, by a cookie. "
        "With growing weights only stable's clients move.",
    )
    incumbent: Incumbent | None = Field(
        default=None,
        description="A Service of your own that answers today. It is treated as the first stable revision: "
        "the first version is tried against it, and traffic can return to it.",
    )
    gateway: Gateway | None = Field(
        default=None, description="Where the route is attached; provider GatewayAPI or IstioVirtualService."
    )
    route_ref: RouteRef | None = Field(
        default=None, description="A route of your own instead of one made here; provider GatewayAPI."
    )
    tls: TLS | None = Field(
        default=None,
        description="TLS on port 443 of the Service `<name>` instead of plain HTTP on 80; provider Router.",
    )

    rules: ClassVar[tuple[Rule, ...]] = rules.TRAFFIC
