"""What the embedded router is told of a ModelDeployment, and what each thing is called at the data plane."""

from dataclasses import dataclass

GENERATION_HOST = "generation.modeldeploy.internal"
"""Host header under which a model's own listener answers with the `trafficGeneration` it serves."""

REVISION_HEADER = "x-modeldeploy-revision"
"""Response header that names the revision which answered."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One pod's address, from an EndpointSlice.

    Attributes:
        address: IP address.
        port: Port of the model server in the pod.
        ready: Whether Kubernetes would send new requests there: the condition `ready`, so never a terminating
            pod.
    """

    address: str
    port: int
    ready: bool = True


@dataclass(frozen=True, slots=True)
class Backend:
    """A revision that a route leads to, or may lead to soon.

    Attributes:
        revision: The revision's name.
        weight: Share of new requests, relative to the other backends. At 0 the revision is known to the
            routers and connected, but gets no requests.
        cluster_ip: ClusterIP of the revision's Service; empty while there is none.
        service_port: Port of that Service.
        endpoints: Pods of the revision.
    """

    revision: str
    weight: int
    cluster_ip: str
    service_port: int
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class RoutedModel:
    """The route table of one ModelDeployment.

    Attributes:
        namespace: Namespace of the object.
        name: Name of the object.
        listener_port: Port on every router pod of the namespace, kept in the object's status.
        generation: `status.trafficGeneration`: grows with every change of the weights.
        backends: Revisions with their weights. A revision should stand here at weight 0 for as long as it
            exists, so that its pods have been checked before the first request is sent there.
        timeout_s: Seconds after which a request is given up, answer included; None or 0 for never.
        stream_idle_s: Without `timeout_s`, seconds without a byte in either direction after which a request
            is given up.
        uid: UID of the object; generations of different UIDs are not comparable.
    """

    namespace: str
    name: str
    listener_port: int
    generation: int
    backends: tuple[Backend, ...] = ()
    timeout_s: float | None = None
    stream_idle_s: float = 600.0
    uid: str = ""

    @property
    def key(self) -> str:
        """Name of its listener and route table, `<namespace>/<name>`."""
        return f"{self.namespace}/{self.name}"

    def cluster(self, revision: str) -> str:
        """Name of a revision's cluster, `<namespace>/<name>/<revision>`, the labels of its statistics."""
        return f"{self.key}/{revision}"
