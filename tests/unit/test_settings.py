"""Settings from the environment."""

import pytest

from modeldeploy.settings import SettingError, Settings, load

pytestmark = pytest.mark.unit


def test_a_bare_environment_gives_the_defaults() -> None:
    settings = load({"POD_NAME": "modeldeploy-0"})
    assert settings == Settings(namespace="default", identity="modeldeploy-0")


def test_what_the_chart_sets_is_read() -> None:
    settings = load(
        {
            "POD_NAME": "p",
            "MODELDEPLOY_NAMESPACE": "ops",
            "MODELDEPLOY_WATCH_NAMESPACES": "a, b,,c",
            "MODELDEPLOY_PROMETHEUS_URL": "http://prometheus:9090/",
            "MODELDEPLOY_PROMETHEUS_ALLOWED_URLS": "https://a/x,https://b",
            "MODELDEPLOY_PROMETHEUS_CREDENTIALS": "/etc/modeldeploy/prometheus",
            "MODELDEPLOY_PROMETHEUS_SECRET_NAMES": "team-metrics",
            "MODELDEPLOY_PROMETHEUS_QUERY_PARAMETERS": "dedup=true, partial_response=false",
            "MODELDEPLOY_PROMETHEUS_HEADERS": "X-Scope-OrgID=a|b",
            "MODELDEPLOY_PROMETHEUS_TIMEOUT": "8",
            "MODELDEPLOY_ROUTER_REPLICAS": "3",
            "MODELDEPLOY_XDS_ADDRESS": "[::1]:18000",
            "MODELDEPLOY_LEASE_DURATION": "30",
            "MODELDEPLOY_RETRAINING_ALLOWED_HOSTS": "a.example,b:8080,[::1]:8080",
            "MODELDEPLOY_RETRAINING_SECRET_NAMES": "key",
            "MODELDEPLOY_RETRAINING_OBJECTS": "argoproj.io/v1alpha1/Workflow/workflows,a.b/v1/C/cs",
            "MODELDEPLOY_LOG_LEVEL": "debug",
        }
    )
    assert settings.namespace == "ops"
    assert settings.watch_namespaces == ("a", "b", "c")
    assert settings.prometheus_urls == {"http://prometheus:9090", "https://a/x", "https://b"}
    assert settings.prometheus_credentials == "/etc/modeldeploy/prometheus"
    assert settings.prometheus_secret_names == ("team-metrics",)
    assert settings.prometheus_parameters == (("dedup", "true"), ("partial_response", "false"))
    assert settings.prometheus_headers == (("X-Scope-OrgID", "a|b"),)
    assert settings.prometheus_timeout == 8.0
    assert settings.router_replicas == 3
    assert settings.retraining_allowed_hosts == ("a.example", "b:8080", "[::1]:8080")
    assert settings.retraining_secret_names == ("key",)
    assert settings.retraining_objects == (
        ("argoproj.io/v1alpha1", "Workflow", "workflows"),
        ("a.b/v1", "C", "cs"),
    )
    assert (settings.lease_duration, settings.lease_renew) == (30.0, 10.0)
    assert settings.log_level == "DEBUG"


def test_routers_are_scaled_by_load_where_a_most_is_given() -> None:
    assert load({"MODELDEPLOY_ROUTER_MIN_REPLICAS": "3"}).router_autoscaling is None
    assert load({"MODELDEPLOY_ROUTER_MAX_REPLICAS": "6"}).router_autoscaling == (2, 6, 60)
    bounds = {"MODELDEPLOY_ROUTER_MIN_REPLICAS": "5", "MODELDEPLOY_ROUTER_MAX_REPLICAS": "4"}
    with pytest.raises(SettingError, match="a number from 5 to 100"):
        load(bounds)


def test_an_empty_value_counts_as_absent() -> None:
    settings = load(
        {"MODELDEPLOY_XDS_PORT": "", "MODELDEPLOY_WATCH_NAMESPACES": " ", "MODELDEPLOY_LEASE_NAME": ""}
    )
    assert (settings.xds_port, settings.watch_namespaces) == (18000, ())
    assert settings.lease_name == "modeldeploy-lease"


def test_without_a_pods_name_two_processes_are_told_apart() -> None:
    assert load({}).identity.rpartition("-")[2].isdigit()


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("ROUTER_REPLICAS", "0", "a number from 1 to 100"),
        ("ROUTER_REPLICAS", "2.5", "a whole number from 1 to 100"),
        ("XDS_PORT", "http", "a number from 1 to 65535"),
        ("HEALTH_PORT", "65536", "a number from 1 to 65535"),
        ("LEASE_DURATION", "nan", "a number from 3 to 300"),
        ("LEASE_DURATION", "15s", "a number from 3 to 300"),
        ("LEASE_RENEW", "10", "a number from 0.5 to 7.5"),
        ("LOG_LEVEL", "loud", "one of DEBUG, INFO, WARNING, ERROR"),
        ("PROMETHEUS_URL", "prometheus:9090", "http:// or https:// and a host"),
        ("PROMETHEUS_URL", "http://a,http://b", "one URL"),
        ("PROMETHEUS_ALLOWED_URLS", "http://a,file:///etc/passwd", "http:// or https:// and a host"),
        ("PROMETHEUS_URL", "http://[::1", "http:// or https:// and a host"),
        ("PROMETHEUS_QUERY_PARAMETERS", "query=up", "name=value,… with names among dedup, "),
        ("PROMETHEUS_QUERY_PARAMETERS", "dedup", "name=value,… with names among dedup, "),
        ("PROMETHEUS_HEADERS", "Authorization=x", "name=value,… with names among THANOS-TENANT, X-Scope-"),
        ("PROMETHEUS_TIMEOUT", "0", "a number from 0.5 to 60"),
        ("RETRAINING_ALLOWED_HOSTS", "https://a.example", "hosts, each with a port"),
        ("RETRAINING_ALLOWED_HOSTS", "*.example", "hosts, each with a port"),
        ("RETRAINING_OBJECTS", "apps/v1/DaemonSet/daemonsets", "kinds of custom resources as"),
        ("RETRAINING_OBJECTS", "rbac.authorization.k8s.io/v1/Role/roles", "kinds of custom resources as"),
        ("RETRAINING_OBJECTS", "argoproj.io/v1alpha1/Workflow", "kinds of custom resources as"),
        ("XDS_ADDRESS", "modeldeploy-xds", "host:port"),
        ("XDS_ADDRESS", "modeldeploy-xds:0", "host:port"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: str, wanted: str) -> None:
    with pytest.raises(SettingError) as caught:
        load({f"MODELDEPLOY_{name}": value})
    message = str(caught.value)
    assert message.startswith(f"MODELDEPLOY_{name} is {value!r}; it must be {wanted}")


@pytest.mark.parametrize("name", ["PROMETHEUS_URL", "PROMETHEUS_ALLOWED_URLS"])
def test_credentials_in_a_url_are_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(SettingError, match=f"MODELDEPLOY_{name} holds credentials") as caught:
        load({f"MODELDEPLOY_{name}": "https://me:pa55@prometheus:9090"})
    assert "pa55" not in str(caught.value)
