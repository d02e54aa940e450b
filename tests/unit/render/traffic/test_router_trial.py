"""What the route tables say of candidates, ports and certificates, beyond what a real Envoy is asked."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy.adapters.xds.resources import pack
from modeldeploy.render.meta import Owner
from modeldeploy.render.traffic import bootstrap, placeholder
from modeldeploy.render.traffic.envoy import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from modeldeploy.render.traffic.model import Backend, Endpoint, ExtraPort, RoutedModel, Trial
from modeldeploy.render.traffic.router import resources
from modeldeploy.render.traffic.router_objects import (
    Autoscaling,
    RouterSettings,
    ServicePort,
    router,
    service,
)

pytestmark = pytest.mark.unit
OWNER = Owner("voice", "recogniser", "u1")
SETTINGS = RouterSettings("envoy:1.40", "modeldeploy-xds.modeldeploy.svc", 18000)
PODS = (Endpoint("10.0.0.1", 8080),)


def backend(revision: str, weight: int, **more: Any) -> Backend:
    return Backend(revision, weight, "10.96.0.9", 80, PODS, **more)


BOTH = (backend("stable", 100), backend("candidate", 0))


def model(*backends: Backend, **more: Any) -> RoutedModel:
    return RoutedModel("voice", "recogniser", 10001, 7, backends or BOTH, **more)


def table(made: RoutedModel) -> list[dict[str, Any]]:
    hosts = resources([made])[ROUTES]["voice/recogniser"]["virtual_hosts"]
    return next(host["routes"] for host in hosts if host["name"] == "model")


def copied(made: RoutedModel) -> list[dict[str, Any]]:
    return [policy for route in table(made) for policy in route["route"].get("request_mirror_policies", [])]


def test_copies_are_those_of_stables_requests_under_the_same_host() -> None:
    made = model(trial=Trial("candidate", mirror=30, header=("x-preview", "1")))

    (policy,) = copied(made)
    assert policy["cluster"] == "voice/recogniser/candidate"
    assert policy["runtime_fraction"]["default_value"] == {"numerator": 30, "denominator": "HUNDRED"}
    assert policy["disable_shadow_host_suffix_append"] is True
    preview = table(made)[0]
    assert preview["route"]["cluster"] == "voice/recogniser/candidate"
    assert "request_mirror_policies" not in preview["route"]


def test_a_candidate_that_no_router_knows_yet_is_led_to_by_nothing() -> None:
    trial = Trial("candidate", mirror=100, header=("x-preview", "1"), hostname="next.example")
    alone = model(backend("stable", 100), trial=trial)

    assert copied(alone) == []
    assert len(table(alone)) == 1
    assert len(resources([alone])[ROUTES]["voice/recogniser"]["virtual_hosts"]) == 2


def test_answers_never_share_their_limits_with_copies() -> None:
    found = resources([model(trial=Trial("candidate", mirror=30))])
    limits = {
        limit["priority"]: limit["max_requests"]
        for limit in found[CLUSTER]["voice/recogniser/candidate"]["circuit_breakers"]["thresholds"]
    }

    assert limits["DEFAULT"] < limits["HIGH"]
    for route in table(model(trial=Trial("candidate", mirror=30, header=("a", "b")), sticky=True)):
        assert route["route"]["priority"] == "HIGH"


@pytest.mark.parametrize("candidate", ["0", "z"])
def test_the_candidates_share_is_the_upper_end_whatever_it_is_called(candidate: str) -> None:
    made = model(backend(candidate, 20), backend("m", 80), trial=Trial(candidate), sticky=True)

    for route in table(made):
        clusters = route["route"]["weighted_clusters"]["clusters"]
        assert [cluster["weight"] for cluster in clusters] == [80, 20]


def test_a_clusters_configuration_moves_with_nothing_but_its_protocol() -> None:
    name = "voice/recogniser/candidate"
    still = resources([model()])[CLUSTER][name]
    moved = model(backend("stable", 1), backend("candidate", 99), trial=Trial("candidate", 50), sticky=True)

    assert resources([moved])[CLUSTER][name] == still
    spoken = resources([model(backend("candidate", 0, http2=True))])[CLUSTER][name]
    assert spoken != still
    assert "http2_protocol_options" in json.dumps(spoken)


def test_a_port_has_resources_of_its_own_and_shares_the_statistics() -> None:
    extra = ExtraPort("grpc", 10002, (backend("stable", 100, http2=True),))
    found = resources([model(extra_ports=(extra,))])

    assert set(found[LISTENER]) == set(found[ROUTES]) == {"voice/recogniser", "voice/recogniser:grpc"}
    cluster = found[CLUSTER]["voice/recogniser/stable:grpc"]
    assert cluster["alt_stat_name"] == "voice/recogniser/stable"
    assert found[ENDPOINTS].keys() == found[CLUSTER].keys()


def test_a_service_by_its_name_needs_no_endpoints() -> None:
    found = resources([model(Backend("incumbent", 100, "", 8000, hostname="old.voice.svc"))])

    assert "voice/recogniser/incumbent" in found[CLUSTER]
    assert found[ENDPOINTS] == {}


def test_a_certificate_changes_the_listener_and_plain_requests_are_sent_to_https() -> None:
    made = model(tls_secret="web")
    found = resources([made])
    chains = found[LISTENER]["voice/recogniser"]["filter_chains"]
    told, asked = found[ROUTES]["voice/recogniser"]["virtual_hosts"]

    assert [chain.get("filter_chain_match") for chain in chains] == [{"transport_protocol": "tls"}, None]
    assert "require_tls" not in told
    assert asked["require_tls"] == "ALL"


def kinds(**more: Any) -> dict[str, dict[str, Any]]:
    return {item["kind"]: item for item in router("voice", [OWNER], more.pop("settings", SETTINGS), **more)}


def test_a_secret_that_lacks_keeps_no_router_from_starting() -> None:
    found = kinds(tls_secrets=["web", "api.example", "web"])
    pod = found["Deployment"]["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume["projected"]["sources"] for volume in pod["volumes"][2:]}
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"][2:]}

    assert sorted(mounts.values()) == [f"{bootstrap.TLS_DIR}/api.example", f"{bootstrap.TLS_DIR}/web"]
    assert volumes.keys() == mounts.keys()
    for first, last in volumes.values():
        assert first["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"]
        assert last["secret"]["optional"] is True
    assert {"tls-web.json", "tls-api.example.json", *placeholder.files()} <= found["ConfigMap"]["data"].keys()


def test_without_secrets_the_pods_are_as_they_were() -> None:
    assert kinds() == kinds(tls_secrets=[])
    assert kinds()["ConfigMap"]["data"].keys() == {"bootstrap.json", "token.json"}


def test_an_autoscaler_is_given_the_replicas_once_the_deployment_is_there() -> None:
    scaled = replace(SETTINGS, autoscaling=Autoscaling(3, 6, 50))
    first, then = kinds(settings=scaled), kinds(settings=scaled, handed_over=True)

    assert first["Deployment"]["spec"]["replicas"] == 3
    assert "HorizontalPodAutoscaler" not in first
    assert "replicas" not in then["Deployment"]["spec"]
    spec = then["HorizontalPodAutoscaler"]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 6)
    assert spec["scaleTargetRef"]["name"] == then["Deployment"]["metadata"]["name"]


def test_the_service_has_every_port_once() -> None:
    extra = [ServicePort("grpc", 9000, 10002), ServicePort("admin", 80, 10003)]

    plain = service(OWNER, 10001, extra)["spec"]["ports"]
    secure = service(OWNER, 10001, extra, tls=True)["spec"]["ports"]

    assert [(p["name"], p["port"], p["targetPort"]) for p in plain] == [
        ("http", 80, 10001),
        ("grpc", 9000, 10002),
    ]
    assert [(p["name"], p["port"]) for p in secure] == [("https", 443), ("grpc", 9000), ("admin", 80)]


trials = st.builds(
    Trial,
    st.just("candidate"),
    st.integers(min_value=0, max_value=100),
    st.none()
    | st.tuples(st.from_regex(r"[A-Za-z0-9!#$&'*+.^_|~-]{1,20}", fullmatch=True), st.text(min_size=1)),
    st.none() | st.just("next.example"),
)


@given(trial=trials, sticky=st.booleans(), http2=st.booleans(), secret=st.sampled_from(["", "web"]))
def test_every_trial_gives_messages_that_the_protos_admit(
    *, trial: Trial, sticky: bool, http2: bool, secret: str
) -> None:
    extra = (ExtraPort("grpc", 10002, BOTH),)
    backends = BOTH[0], replace(BOTH[1], http2=http2)
    made = model(*backends, trial=trial, sticky=sticky, tls_secret=secret, extra_ports=extra)

    for type_url, by_name in resources([made]).items():
        for content in by_name.values():
            assert pack(type_url, json.loads(json.dumps(content))).type_url == type_url
