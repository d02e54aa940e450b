"""One router's conversation, without input and output: requests and the time go in, responses come out.

State of the world over one stream. For each type there is at most one response on the way, so a slow router
gets the latest configuration when it is ready for it and nothing in between. What is sent in which order
makes before it breaks: a new cluster and its endpoints are confirmed before a route leads there, and a
cluster goes only after the routes that led to it have been confirmed gone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from envoy.service.discovery.v3 import discovery_pb2

from modeldeploy.adapters.xds import version
from modeldeploy.adapters.xds.resources import Resource
from modeldeploy.adapters.xds.snapshot import Snapshot
from modeldeploy.render.traffic.envoy import CLUSTER, ENDPOINTS, LISTENER, ROUTES

ORDER = (CLUSTER, ENDPOINTS, LISTENER, ROUTES)
FOLLOWERS = {CLUSTER: ENDPOINTS, LISTENER: ROUTES}
"""Types with a second one of the same names: Envoy warms a changed resource until its second comes again."""

CLAIMS_SECONDS = 0.1
"""How long a reconnecting router may take to say what it has, type after type."""

GONE_SECONDS = 5.0
"""How long a model that only the router knows may be one that this operator's watch hasn't brought yet."""


@dataclass(slots=True)
class _Channel:
    """What is known of one resource type on the stream.

    Attributes:
        names: Resources asked for; empty for all (clusters and listeners).
        held: What the router has, or has been sent.
        on_the_way: Names in the response that is not confirmed yet; None when there is none.
        confirmed: Names that the router has answered for at least once.
        refused: Names in responses that were refused, until they are sent anew.
        claimed: Hash of what the router had when it connected.
    """

    names: frozenset[str] = frozenset()
    held: dict[str, Resource] = field(default_factory=dict)
    on_the_way: frozenset[str] | None = None
    confirmed: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    claimed: str = ""
    nonce: str = ""
    answered: bool = False

    def digests(self) -> dict[str, str]:
        return {
            name: resource.digest + ("!" if name in self.refused else "")
            for name, resource in self.held.items()
        }

    def settled_on(self, wanted: Mapping[str, Resource]) -> bool:
        """Whether the router has answered for exactly these resources."""
        return (
            self.answered
            and self.on_the_way is None
            and not _changed(self.held, wanted)
            and not (self.held.keys() - wanted.keys())
        )


class Session:
    """The state of one stream.

    Args:
        stream: A name that no other stream has. Envoy may still show the nonces of its last one.
        started: Time at which the stream began, in seconds of any steady clock; the same that `next` is
            given.
    """

    def __init__(self, stream: str, started: float) -> None:
        self._stream = stream
        self._sent = 0
        self._started = started
        self._channels: dict[str, _Channel] = {}
        self._claims: dict[str, version.Generation] = {}
        self._trusted = False

    def receive(self, request: discovery_pb2.DiscoveryRequest) -> str | None:
        """Take a request in. Returns the router's complaint if it refuses the last response of that type."""
        if request.type_url not in ORDER:
            return None
        channel = self._channels.get(request.type_url)
        if channel is None:
            channel = self._channels[request.type_url] = _Channel()
            channel.claimed, claims = version.parse(request.version_info)
            self._claim(claims)
        elif channel.nonce and request.response_nonce != channel.nonce:
            return None  # about an earlier response; the answer to the latest is still to come
        refused = self._settle(channel, request)
        if request.type_url not in FOLLOWERS:
            channel.names = frozenset(request.resource_names)
            for name in channel.held.keys() - channel.names:
                del channel.held[name]
            channel.confirmed &= channel.names
        return refused

    def next(self, snapshot: Snapshot | None, now: float) -> discovery_pb2.DiscoveryResponse | None:
        """The next response to send, or None while there is nothing to say."""
        if snapshot is None or not self._may_answer(snapshot, now):
            return None
        for type_url in ORDER:
            channel = self._channels.get(type_url)
            if channel is None or channel.on_the_way is not None:
                continue
            if type_url in (LISTENER, ROUTES) and not self._clusters_made(snapshot):
                return None
            response = self._answer(type_url, channel, snapshot)
            if response is not None:
                return response
        return None

    def patience(self, now: float) -> float | None:
        """Seconds until `next` may answer differently without a new request or snapshot; None for never."""
        waits = [self._started + limit - now for limit in (CLAIMS_SECONDS, GONE_SECONDS)]
        return min((wait for wait in waits if wait > 0), default=None) if not self._trusted else None

    def behind(self, snapshot: Snapshot | None) -> dict[str, int]:
        """Models of which the router has a later generation than `snapshot`, with that generation."""
        ours = snapshot.generations if snapshot else {}
        return {
            name: theirs.number
            for name, theirs in self._claims.items()
            if name in ours and version.older(ours[name], theirs)
        }

    def _claim(self, claims: Mapping[str, version.Generation]) -> None:
        for name, theirs in claims.items():
            known = self._claims.get(name)
            if known is None or known.number < theirs.number:
                self._claims[name] = theirs

    @staticmethod
    def _settle(channel: _Channel, request: discovery_pb2.DiscoveryRequest) -> str | None:
        sent, channel.on_the_way = channel.on_the_way, None
        if sent is None:
            return None
        channel.confirmed |= sent
        if not request.HasField("error_detail"):
            return None
        # Sending the same again would only be refused again: it counts as held until it changes.
        channel.refused |= sent
        return str(request.error_detail.message)

    def _may_answer(self, snapshot: Snapshot, now: float) -> bool:
        if self._trusted:
            return True
        if self._claims:
            waited = now - self._started
            if len(self._channels) < len(ORDER) and waited < CLAIMS_SECONDS:
                return False
            missing = self._claims.keys() - snapshot.generations.keys()
            if self.behind(snapshot) or (missing and waited < GONE_SECONDS):
                return False
        if self._channels:
            self._trusted = True
        return self._trusted

    def _wanted(self, type_url: str, channel: _Channel, snapshot: Snapshot) -> dict[str, Resource]:
        found = snapshot.of(type_url)
        if type_url == LISTENER:
            return dict(found)
        if type_url == CLUSTER:
            gone = {name: kept for name, kept in channel.held.items() if name not in found}
            return {**found, **({} if self._routes_settled(snapshot) else gone)}
        return {name: found[name] for name in channel.names if name in found}

    def _routes_settled(self, snapshot: Snapshot) -> bool:
        for type_url in (LISTENER, ROUTES):
            channel = self._channels.get(type_url)
            if channel is not None and not channel.settled_on(self._wanted(type_url, channel, snapshot)):
                return False
        return True

    def _clusters_made(self, snapshot: Snapshot) -> bool:
        clusters, endpoints = self._channels.get(CLUSTER), self._channels.get(ENDPOINTS)
        if clusters is None or not clusters.answered or clusters.on_the_way is not None:
            return False
        made = snapshot.of(ENDPOINTS).keys() - clusters.refused
        return made <= (endpoints.confirmed if endpoints else set())

    def _answer(
        self, type_url: str, channel: _Channel, snapshot: Snapshot
    ) -> discovery_pb2.DiscoveryResponse | None:
        wanted = self._wanted(type_url, channel, snapshot)
        whole, first = type_url in FOLLOWERS, not channel.answered
        if first:
            if not wanted and not whole:
                return None
            channel.answered = True
            if channel.claimed == version.fingerprint(_digests(wanted)):
                channel.held, channel.confirmed = wanted, set(wanted)
                return None
        changed = _changed(channel.held, wanted)
        if not changed and not (whole and (first or channel.held.keys() - wanted.keys())):
            return None
        self._expect_again(type_url, changed, changed - channel.held.keys())
        return self._response(type_url, channel, wanted, wanted if whole else changed, snapshot)

    def _expect_again(self, type_url: str, changed: set[str], new: set[str]) -> None:
        follower = self._channels.get(FOLLOWERS.get(type_url, ""))
        if follower is not None:
            follower.confirmed -= new
            for name in changed:
                follower.held.pop(name, None)

    def _response(
        self,
        type_url: str,
        channel: _Channel,
        wanted: dict[str, Resource],
        sent: Iterable[str],
        snapshot: Snapshot,
    ) -> discovery_pb2.DiscoveryResponse:
        names = frozenset(sent)
        channel.held = wanted
        channel.refused -= names
        channel.on_the_way = names
        self._sent += 1
        channel.nonce = f"{self._stream}-{self._sent}"
        return discovery_pb2.DiscoveryResponse(
            type_url=type_url,
            version_info=version.render(version.fingerprint(channel.digests()), snapshot.generations),
            nonce=channel.nonce,
            resources=[wanted[name].packed for name in sorted(names)],
        )


def _digests(resources: Mapping[str, Resource]) -> dict[str, str]:
    return {name: resource.digest for name, resource in resources.items()}


def _changed(held: Mapping[str, Resource], wanted: Mapping[str, Resource]) -> set[str]:
    return {
        name for name, resource in wanted.items() if name not in held or held[name].digest != resource.digest
    }
