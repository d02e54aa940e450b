"""The kinds that the operator touches, and where the API server keeps them. No discovery is needed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Object = dict[str, Any]
"""A Kubernetes object as plain JSON values."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object.

    Attributes:
        api_version: Group and version: `apps/v1`, or `v1` for the core group.
        kind: As it stands in an object's `kind`.
        plural: As it stands in URLs.
        namespaced: Whether objects live in namespaces.
    """

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """The URL path of the collection, of one object, or of its subresource."""
        root = "/apis/" if "/" in self.api_version else "/api/"
        parts = [root + self.api_version]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        parts += [quote(part, safe="") for part in (name, subresource) if part]
        return "/".join(parts)


MODEL_DEPLOYMENT = Resource("modeldeploy.dev/v1alpha1", "ModelDeployment", "modeldeployments")
DEPLOYMENT = Resource("apps/v1", "Deployment", "deployments")
REPLICA_SET = Resource("apps/v1", "ReplicaSet", "replicasets")
CONTROLLER_REVISION = Resource("apps/v1", "ControllerRevision", "controllerrevisions")
JOB = Resource("batch/v1", "Job", "jobs")
SECRET = Resource("v1", "Secret", "secrets")
SERVICE = Resource("v1", "Service", "services")
CONFIG_MAP = Resource("v1", "ConfigMap", "configmaps")
SERVICE_ACCOUNT = Resource("v1", "ServiceAccount", "serviceaccounts")
POD = Resource("v1", "Pod", "pods")
EVENT = Resource("v1", "Event", "events")
NAMESPACE = Resource("v1", "Namespace", "namespaces", namespaced=False)
HORIZONTAL_POD_AUTOSCALER = Resource("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
POD_DISRUPTION_BUDGET = Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
ENDPOINT_SLICE = Resource("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
LEASE = Resource("coordination.k8s.io/v1", "Lease", "leases")
HTTP_ROUTE = Resource("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
GATEWAY = Resource("gateway.networking.k8s.io/v1", "Gateway", "gateways")
GATEWAY_CLASS = Resource("gateway.networking.k8s.io/v1", "GatewayClass", "gatewayclasses", namespaced=False)
REFERENCE_GRANT = Resource("gateway.networking.k8s.io/v1beta1", "ReferenceGrant", "referencegrants")
TRAEFIK_SERVICE = Resource("traefik.io/v1alpha1", "TraefikService", "traefikservices")
VIRTUAL_SERVICE = Resource("networking.istio.io/v1", "VirtualService", "virtualservices")
TOKEN_REVIEW = Resource("authentication.k8s.io/v1", "TokenReview", "tokenreviews", namespaced=False)

RESOURCES: Mapping[str, Resource] = {
    resource.kind: resource
    for resource in (
        MODEL_DEPLOYMENT,
        DEPLOYMENT,
        REPLICA_SET,
        CONTROLLER_REVISION,
        JOB,
        SECRET,
        SERVICE,
        CONFIG_MAP,
        SERVICE_ACCOUNT,
        POD,
        EVENT,
        NAMESPACE,
        HORIZONTAL_POD_AUTOSCALER,
        POD_DISRUPTION_BUDGET,
        ENDPOINT_SLICE,
        LEASE,
        HTTP_ROUTE,
        GATEWAY,
        GATEWAY_CLASS,
        REFERENCE_GRANT,
        TRAEFIK_SERVICE,
        VIRTUAL_SERVICE,
        TOKEN_REVIEW,
    )
}
"""By kind."""


def resource_of(obj: Mapping[str, Any]) -> Resource:
    """The resource that an object belongs to.

    Raises:
        KeyError: The kind isn't in the table.
    """
    return RESOURCES[obj["kind"]]
