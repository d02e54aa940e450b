"""What an answer of the API server means. The answers are those of Kubernetes 1.35."""

import json
from typing import Any

import pytest

from modeldeploy.adapters.kube import errors
from modeldeploy.adapters.kube.errors import Cause, KubeError, from_response
from modeldeploy.adapters.kube.limiter import Limiter
from modeldeploy.adapters.kube.resources import (
    CONFIG_MAP,
    DEPLOYMENT,
    MODEL_DEPLOYMENT,
    NAMESPACE,
    RESOURCES,
    TOKEN_REVIEW,
    resource_of,
)

pytestmark = pytest.mark.unit


def status(**fields: Any) -> bytes:
    return json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", **fields}).encode()


TERMINATING = {
    "name": "c",
    "kind": "configmaps",
    "causes": [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace a is being terminated",
            "field": "metadata.namespace",
        }
    ],
}


@pytest.mark.parametrize(
    ("code", "body", "kind"),
    [
        (400, status(reason="BadRequest", message="no"), errors.Invalid),
        (401, status(reason="Unauthorized", message="no"), errors.Unauthorized),
        (403, status(reason="Forbidden", message="no"), errors.Forbidden),
        (403, status(reason="Forbidden", message="no", details=TERMINATING), errors.Terminating),
        (404, status(reason="NotFound", message="no", details={"kind": "pods"}), errors.NotFound),
        (404, status(reason="NotFound", message="no", details={"kind": "namespaces"}), errors.Terminating),
        (405, status(reason="MethodNotAllowed", message="no"), KubeError),
        (409, status(reason="Conflict", message="no"), errors.Conflict),
        (409, status(reason="AlreadyExists", message="no"), errors.AlreadyExists),
        (410, status(reason="Expired", message="no"), errors.Expired),
        (422, status(reason="Invalid", message="no"), errors.Invalid),
        (429, status(reason="TooManyRequests", message="no"), errors.TooManyRequests),
        (500, status(reason="InternalError", message="no"), errors.Unavailable),
        (503, b"no healthy upstream", errors.Unavailable),
        (504, status(reason="Timeout", message="no"), errors.TimedOut),
        (502, b"<html>\n<body>Bad gateway</body>", errors.Unavailable),
        (500, b"", errors.Unavailable),
        (500, b"[]", errors.Unavailable),
        (500, b"\xff\xfe", errors.Unavailable),
    ],
)
def test_the_answer_decides_the_error(code: int, body: bytes, kind: type[KubeError]) -> None:
    error = from_response(code, body)
    assert type(error) is kind
    assert error.code == code
    assert error.message


def test_a_complaint_leaves_out_the_object_that_it_is_about() -> None:
    cause = {
        "field": "spec.containers[0].securityContext",
        "message": 'Invalid value: {"Privileged":true,"Caps":{"Add":null}}: cannot set `allowPrivilege'
        "Escalation` to false and `privileged` to true",
    }
    details = {"name": "web", "kind": "Pod", "causes": [cause]}
    error = from_response(422, status(reason="Invalid", message="Pod web is invalid: …", details=details))
    assert error.message == (
        "Pod web is invalid: spec.containers[0].securityContext: Invalid value: cannot set "
        "`allowPrivilegeEscalation` to false and `privileged` to true"
    )


def test_an_invalid_object_is_described_by_its_fields() -> None:
    details = {
        "name": "web",
        "group": "apps",
        "kind": "Deployment",
        "causes": [
            {
                "reason": "FieldValueInvalid",
                "message": "Invalid value: -1: too small",
                "field": "spec.replicas",
            },
            {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.template"},
        ],
    }
    long = 'Deployment.apps "web" is invalid: [spec.replicas: …, spec.template: …]'
    error = from_response(422, status(reason="Invalid", message=long, details=details))
    assert error.message == (
        "Deployment web is invalid: spec.replicas: Invalid value: -1: too small; "
        "spec.template: Required value"
    )
    assert error.causes[1] == Cause("spec.template", "Required value")


def test_messages_are_one_line() -> None:
    assert from_response(500, status(message="a\n  b\tc")).message == "a b c"


def test_apply_refuses_unknown_fields_with_status_500() -> None:
    message = (
        "failed to create typed patch object (ns/web; apps/v1, Kind=Deployment): errors:\n"
        "  .spec.one: field not declared in schema\n"
        "  .spec.two: expected string, got &value.valueUnstructured{}"
    )
    error = from_response(500, status(message=message))
    assert type(error) is errors.Invalid
    assert error.message == (
        "Deployment web is invalid: spec.one: field not declared in schema; "
        "spec.two: expected string, got &value.valueUnstructured{}"
    )


def test_apply_may_refuse_without_naming_a_field() -> None:
    message = "failed to create typed patch object (/x; v1, Kind=Namespace): something else"
    error = from_response(500, status(message=message))
    assert error.message == "Namespace x is invalid: something else"
    assert error.causes == ()


@pytest.mark.parametrize(
    ("body", "header", "seconds"),
    [
        (status(message="slow down", details={"retryAfterSeconds": 7}), "3", 7.0),
        (status(message="slow down"), "3", 3.0),
        (status(message="slow down"), "Wed, 21 Oct 2026 07:28:00 GMT", None),
        (status(message="slow down"), None, None),
    ],
)
def test_the_servers_wish_for_a_pause_is_kept(body: bytes, header: str | None, seconds: float | None) -> None:
    assert from_response(429, body, header).retry_after == seconds


def test_paths_follow_from_the_table() -> None:
    assert DEPLOYMENT.path("ns", "web") == "/apis/apps/v1/namespaces/ns/deployments/web"
    assert CONFIG_MAP.path() == "/api/v1/configmaps"
    assert NAMESPACE.path(None, "ns") == "/api/v1/namespaces/ns"
    assert TOKEN_REVIEW.path() == "/apis/authentication.k8s.io/v1/tokenreviews"
    assert MODEL_DEPLOYMENT.path("ns", "m", "status").endswith("/namespaces/ns/modeldeployments/m/status")
    assert CONFIG_MAP.path("../x", "a/b?c") == "/api/v1/namespaces/..%2Fx/configmaps/a%2Fb%3Fc"
    assert all(resource_of({"kind": kind}).kind == kind for kind in RESOURCES)


def test_a_burst_goes_at_once_and_then_the_rate_holds() -> None:
    now = 0.0
    limiter = Limiter(rate=10.0, burst=3, clock=lambda: now)
    assert [limiter.reserve() for _ in range(5)] == pytest.approx([0, 0, 0, 0.1, 0.2])
    now = 0.2
    assert limiter.reserve() == pytest.approx(0.1)
    now = 1000.0
    assert [limiter.reserve() for _ in range(4)] == pytest.approx([0, 0, 0, 0.1]), (
        "rest earns one burst, no more"
    )
