"""What the embedded router is told of a ModelDeployment, and what each thing is called at the data plane."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

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
        http2: Whether its server speaks HTTP/2 without TLS, as gRPC does, instead of HTTP/1.1.
        hostname: DNS name of a Service that isn't a revision's, instead of `cluster_ip` and `endpoints`;
            empty for a revision.
    """

    revision: str
    weight: int
    cluster_ip: str
    service_port: int
    endpoints: tuple[Endpoint, ...] = ()
    http2: bool = False
    hostname: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """How requests reach a revision beyond its weight.

    Attributes:
        revision: The candidate; it stands among the backends.
        mirror: Share of stable's requests that are copied to it, in percent. Nobody gets the answers.
        header: Name and exact value of a header that leads a request to it.
        hostname: Host name that leads a request to it.
    """

    revision: str
    mirror: int = 0
    header: tuple[str, str] | None = None
    hostname: str | None = None


@dataclass(frozen=True, slots=True)
class ExtraPort:
    """One more port of a model's server.

    Attributes:
        name: Its name, in pods and Services.
        listener_port: Port on every router pod, kept in the object's status.
        backends: The revisions that have this port, with their weights and their pods at this port.
    """

    name: str
    listener_port: int
    backends: tuple[Backend, ...] = ()


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
        trial: Copies and previews for the candidate.
        sticky: A client stays with the revision that answered it first, by a cookie.
        tls_secret: Name of the Secret with the certificate for clients; empty for plain HTTP.
        extra_ports: Further ports, routed alike.
        port: Name of the extra port that this is the table of; empty for the model's own. See `tables`.
    """

    namespace: str
    name: str
    listener_port: int
    generation: int
    backends: tuple[Backend, ...] = ()
    timeout_s: float | None = None
    stream_idle_s: float = 600.0
    uid: str = ""
    trial: Trial | None = None
    sticky: bool = False
    tls_secret: str = ""
    extra_ports: tuple[ExtraPort, ...] = ()
    port: str = ""

    @property
    def key(self) -> str:
        """Name of its listener and route table, `<namespace>/<name>`, with `:<port>` for an extra port."""
        return f"{self.namespace}/{self.name}" + (f":{self.port}" if self.port else "")

    def tables(self) -> Iterator[Self]:
        """One model for each port, this one first."""
        yield self
        for extra in self.extra_ports:
            yield replace(
                self,
                listener_port=extra.listener_port,
                backends=extra.backends,
                extra_ports=(),
                port=extra.name,
            )

    def cluster(self, revision: str) -> str:
        """Name of a revision's cluster, `<namespace>/<name>/<revision>`, with `:<port>` for an extra port."""
        return self.statistics(revision) + (f":{self.port}" if self.port else "")

    def statistics(self, revision: str) -> str:
        """What a revision's statistics are called, all its ports together: the labels of its metrics."""
        return f"{self.namespace}/{self.name}/{revision}"
