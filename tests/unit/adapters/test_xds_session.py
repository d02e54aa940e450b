"""The order of what is said to a router, against one that answers as the protocol allows."""

from itertools import pairwise

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.service.discovery.v3 import discovery_pb2

from modeldeploy.adapters.xds import version
from modeldeploy.adapters.xds.session import CLAIMS_SECONDS, GONE_SECONDS, Session
from modeldeploy.adapters.xds.snapshot import Snapshot
from modeldeploy.render.traffic.envoy import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from modeldeploy.render.traffic.model import Backend, Endpoint, RoutedModel

pytestmark = pytest.mark.unit
NAMES = {CLUSTER: "clusters", ENDPOINTS: "endpoints", LISTENER: "listeners", ROUTES: "routes"}


def model(generation: int, *weights: int, name: str = "m", uid: str = "u", pods: int = 1) -> RoutedModel:
    endpoints = tuple(Endpoint(f"10.0.0.{i + 1}", 8080) for i in range(pods))
    backends = tuple(Backend(f"r{i}", weight, "10.96.0.9", 80, endpoints) for i, weight in enumerate(weights))
    return RoutedModel("ns", name, 10001, generation, backends, uid=uid)


def snapshot(*models: RoutedModel) -> Snapshot:
    return Snapshot().succeeded_by(models)


class Envoy:
    """A router that asks as Envoy does: clusters, their endpoints, then listeners and their routes."""

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}
        self.held: dict[str, set[str]] = {CLUSTER: set(), ENDPOINTS: set(), LISTENER: set(), ROUTES: set()}
        self.nonces: dict[str, str] = {}
        self.heard: list[tuple[str, list[str]]] = []

    def connect(self, session: Session) -> None:
        self.nonces.clear()
        for type_url in (CLUSTER, ENDPOINTS, LISTENER, ROUTES):
            if type_url in (CLUSTER, LISTENER) or self.held[self._above(type_url)]:
                self.ask(session, type_url)

    def ask(self, session: Session, type_url: str, complaint: str = "") -> str | None:
        request = discovery_pb2.DiscoveryRequest(
            type_url=type_url,
            version_info=self.versions.get(type_url, ""),
            response_nonce=self.nonces.get(type_url, ""),
            resource_names=sorted(self.held[self._above(type_url)])
            if type_url in (ENDPOINTS, ROUTES)
            else [],
        )
        if complaint:
            request.error_detail.message = complaint
        return session.receive(request)

    def take(self, response: discovery_pb2.DiscoveryResponse) -> None:
        names = [_name(response.type_url, packed.value) for packed in response.resources]
        self.heard.append((NAMES[response.type_url], names))
        self.nonces[response.type_url] = response.nonce
        self.versions[response.type_url] = response.version_info
        if response.type_url in (CLUSTER, LISTENER):
            self.held[response.type_url] = set(names)

    def confirm(self, session: Session, type_url: str) -> None:
        self.ask(session, type_url)
        for below in (ENDPOINTS, ROUTES):
            if self._above(below) == type_url and (self.held[type_url] or below in self.nonces):
                self.ask(session, below)

    @staticmethod
    def _above(type_url: str) -> str:
        return {ENDPOINTS: CLUSTER, ROUTES: LISTENER}.get(type_url, type_url)

    def follow(self, session: Session, state: Snapshot, now: float = 100.0) -> list[tuple[str, list[str]]]:
        """Take and confirm all that the session has to say; returns what it said."""
        self.heard = []
        while (response := session.next(state, now)) is not None:
            assert len(self.heard) < 50, "no end"
            self.take(response)
            self.confirm(session, response.type_url)
        return self.heard


def _name(type_url: str, value: bytes) -> str:
    if type_url == ENDPOINTS:
        return str(endpoint_pb2.ClusterLoadAssignment.FromString(value).cluster_name)
    kind = {
        CLUSTER: cluster_pb2.Cluster,
        LISTENER: listener_pb2.Listener,
        ROUTES: route_pb2.RouteConfiguration,
    }[type_url]
    return str(kind.FromString(value).name)


def connected(state: Snapshot) -> tuple[Envoy, Session]:
    envoy, session = Envoy(), Session("s1", 0.0)
    envoy.connect(session)
    envoy.follow(session, state)
    return envoy, session


def test_a_new_router_gets_everything_in_order() -> None:
    envoy, session = Envoy(), Session("s1", 0.0)
    envoy.connect(session)

    assert envoy.follow(session, snapshot(model(1, 100))) == [
        ("clusters", ["ns/m/r0"]),
        ("endpoints", ["ns/m/r0"]),
        ("listeners", ["ns/m"]),
        ("routes", ["ns/m"]),
    ]


def test_a_router_without_models_is_told_so() -> None:
    envoy, session = Envoy(), Session("s1", 0.0)
    envoy.connect(session)

    assert envoy.follow(session, snapshot()) == [("clusters", []), ("listeners", [])]


def test_before_the_first_snapshot_nothing_is_said() -> None:
    envoy, session = Envoy(), Session("s1", 0.0)
    envoy.connect(session)

    assert session.next(None, 1000.0) is None


def test_a_change_of_weights_sends_that_models_routes_only() -> None:
    envoy, session = connected(snapshot(model(1, 100, 0), model(1, 100, name="other")))

    said = envoy.follow(session, snapshot(model(2, 0, 100), model(1, 100, name="other")))

    assert said == [("routes", ["ns/m"])]


def test_moved_pods_send_those_endpoints_only() -> None:
    envoy, session = connected(snapshot(model(1, 100), model(1, 100, name="other")))

    said = envoy.follow(session, snapshot(model(1, 100, pods=2), model(1, 100, name="other")))

    assert said == [("endpoints", ["ns/m/r0"])]


def test_an_equal_snapshot_sends_nothing() -> None:
    envoy, session = connected(snapshot(model(1, 100)))

    assert envoy.follow(session, snapshot(model(1, 100))) == []


def test_a_route_waits_until_its_new_cluster_has_endpoints() -> None:
    envoy, session = connected(snapshot(model(1, 100)))

    said = envoy.follow(session, snapshot(model(2, 0, 100)))

    assert said == [
        ("clusters", ["ns/m/r0", "ns/m/r1"]),
        ("endpoints", ["ns/m/r1"]),
        ("routes", ["ns/m"]),
    ]


def test_a_cluster_goes_only_after_the_route_is_confirmed() -> None:
    envoy, session = connected(snapshot(model(1, 100, 0)))
    after = snapshot(model(2, 100))
    route = session.next(after, 100.0)
    assert route is not None
    assert route.type_url == ROUTES
    assert session.next(after, 100.0) is None

    envoy.take(route)
    envoy.confirm(session, ROUTES)

    assert envoy.follow(session, after) == [("clusters", ["ns/m/r0"])]


def test_a_deleted_model_loses_its_listener_before_its_clusters() -> None:
    envoy, session = connected(snapshot(model(1, 100), model(1, 100, name="other")))

    said = envoy.follow(session, snapshot(model(1, 100)))

    assert said == [("listeners", ["ns/m"]), ("clusters", ["ns/m/r0"])]


def test_only_the_latest_is_sent_to_a_router_that_was_slow() -> None:
    envoy, session = connected(snapshot(model(1, 100, 0)))
    slow = session.next(snapshot(model(2, 90, 10)), 100.0)
    assert slow is not None
    assert session.next(snapshot(model(3, 80, 20)), 100.0) is None

    envoy.take(slow)
    envoy.confirm(session, ROUTES)
    envoy.follow(session, snapshot(model(4, 70, 30)))

    assert "m@u=4" in envoy.versions[ROUTES]
    assert envoy.heard == [("routes", ["ns/m"])]


def test_a_refusal_is_told_once_and_does_not_hold_up_the_next_change() -> None:
    envoy, session = connected(snapshot(model(1, 100, 0)))
    bad = snapshot(model(2, 90, 10))
    response = session.next(bad, 100.0)
    assert response is not None
    envoy.nonces[ROUTES] = response.nonce

    assert envoy.ask(session, ROUTES, "no such thing") == "no such thing"
    assert session.next(bad, 100.0) is None
    assert envoy.follow(session, snapshot(model(3, 100, 0))) == [("routes", ["ns/m"])]


def test_what_a_router_refused_is_sent_again_when_it_reconnects() -> None:
    envoy, session = connected(snapshot(model(1, 100, 0), model(1, 100, name="other")))
    state = snapshot(model(2, 90, 10), model(1, 100, name="other"))
    response = session.next(state, 100.0)
    assert response is not None
    envoy.nonces[ROUTES] = response.nonce
    envoy.ask(session, ROUTES, "no")
    state = snapshot(model(2, 90, 10), model(5, 100, name="other", pods=1))
    envoy.follow(session, state)
    assert "other@u=5" in envoy.versions[ROUTES]

    again = Session("s2", 0.0)
    envoy.connect(again)

    assert ("routes", ["ns/m", "ns/other"]) in envoy.follow(again, state)


def test_an_answer_to_an_earlier_response_confirms_nothing() -> None:
    envoy, session = connected(snapshot(model(1, 100, 0)))
    stale = dict(envoy.nonces)
    after = snapshot(model(2, 100))
    response = session.next(after, 100.0)
    assert response is not None

    envoy.nonces = stale
    envoy.ask(session, ROUTES)

    assert session.next(after, 100.0) is None


def test_a_reconnecting_router_that_is_current_hears_nothing() -> None:
    state = snapshot(model(3, 100, 0))
    envoy, _ = connected(state)
    session = Session("s2", 0.0)
    envoy.connect(session)

    assert envoy.follow(session, state) == []
    assert envoy.follow(session, snapshot(model(4, 0, 100))) == [("routes", ["ns/m"])]


def test_a_reconnecting_router_may_show_nonces_of_its_last_stream() -> None:
    state = snapshot(model(3, 100))
    envoy, _ = connected(state)
    session, before = Session("s2", 0.0), dict(envoy.nonces)
    envoy.connect(session)
    assert envoy.follow(session, state) == []
    envoy.nonces = before

    said = envoy.follow(session, snapshot(model(4, 0, 100)))

    assert said[1] == ("endpoints", ["ns/m/r1"])


def test_an_operator_that_is_behind_holds_its_tongue_until_it_has_caught_up() -> None:
    envoy, _ = connected(snapshot(model(7, 0, 100)))
    session = Session("s2", 0.0)
    envoy.connect(session)
    behind = snapshot(model(6, 100, 0))

    assert envoy.follow(session, behind, now=1000.0) == []
    assert session.behind(behind) == {"m": 7}
    assert envoy.follow(session, snapshot(model(7, 0, 100))) == []
    assert envoy.follow(session, snapshot(model(8, 100, 0))) == [("routes", ["ns/m"])]


def test_an_object_made_anew_starts_from_its_own_generation() -> None:
    envoy, _ = connected(snapshot(model(7, 0, 100, uid="first")))
    session = Session("s2", 0.0)
    envoy.connect(session)

    assert envoy.follow(session, snapshot(model(1, 100, 0, uid="second"))) == [("routes", ["ns/m"])]


def test_a_model_that_only_the_router_knows_stays_for_a_while() -> None:
    envoy, _ = connected(snapshot(model(1, 100), model(1, 100, name="new")))
    session = Session("s2", 10.0)
    envoy.connect(session)
    state = snapshot(model(1, 100))

    assert envoy.follow(session, state, now=10.0 + GONE_SECONDS - 0.1) == []
    assert session.patience(10.0 + GONE_SECONDS - 0.1) == pytest.approx(0.1)
    assert ("listeners", ["ns/m"]) in envoy.follow(session, state, now=10.0 + GONE_SECONDS)


def test_a_reconnecting_router_is_heard_out_first() -> None:
    envoy, _ = connected(snapshot(model(7, 0, 100)))
    session, later = Session("s2", 0.0), snapshot(model(8, 0, 100))
    envoy.ask(session, CLUSTER)

    assert session.next(later, CLAIMS_SECONDS / 2) is None
    assert session.patience(CLAIMS_SECONDS / 2) == pytest.approx(CLAIMS_SECONDS / 2)
    assert session.next(later, CLAIMS_SECONDS) is not None or session.patience(CLAIMS_SECONDS) is None


def test_nonces_differ_between_streams() -> None:
    state = snapshot(model(1, 100))
    nonces = [connected(state)[0].nonces[CLUSTER], None]
    envoy, session = Envoy(), Session("s2", 0.0)
    envoy.connect(session)
    envoy.follow(session, state)
    nonces[1] = envoy.nonces[CLUSTER]

    assert all(one != other for one, other in pairwise(nonces))


def test_a_cache_that_runs_back_undoes_nothing() -> None:
    state = snapshot(model(5, 0, 100))

    assert state.succeeded_by([model(4, 100, 0)]).of(ROUTES) == state.of(ROUTES)
    assert state.succeeded_by([model(6, 100, 0)]).of(ROUTES) != state.of(ROUTES)
    assert state.succeeded_by([model(1, 100, 0, uid="new")]).of(ROUTES) != state.of(ROUTES)


def test_a_value_that_no_message_can_hold_changes_nothing() -> None:
    state = snapshot(model(5, 0, 100))

    with pytest.raises(ValueError, match="weight"):
        state.succeeded_by([model(6, 2**40, 100)])


def test_what_did_not_change_is_not_made_again() -> None:
    state = snapshot(model(5, 0, 100), model(1, 100, name="other"))
    after = state.succeeded_by([model(6, 100, 0), model(1, 100, name="other")])

    for type_url in (CLUSTER, ENDPOINTS, LISTENER):
        for name, resource in state.of(type_url).items():
            assert after.of(type_url)[name] is resource


@pytest.mark.parametrize(
    "text", ["", "7", "nonsense", "a;b", "a;m@u=x", "a;m@u=-1", ";;", "2026-11-22T10:00:00Z/3"]
)
def test_a_version_of_another_server_claims_nothing(text: str) -> None:
    assert version.parse(text)[1] == {}


def test_a_version_comes_back_as_it_was_written() -> None:
    made = {"a": version.Generation("0b8f1c52-7d0a", 3), "b": version.Generation("", 0)}

    mark, generations = version.parse(version.render("abc", made))

    assert mark == "abc"
    assert generations == {"a": version.Generation("0b8f1c52", 3), "b": version.Generation("", 0)}
    assert version.older(version.Generation("0b8f1c52-7d0a", 2), generations["a"])
    assert not version.older(version.Generation("0b8f1c52-7d0a", 3), generations["a"])
    assert not version.older(version.Generation("another-uid", 2), generations["a"])
