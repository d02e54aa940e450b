"""The fewest writes: what is covered needs none."""

from typing import Any

import pytest

from modeldeploy.core.plan import covers, plan, stamp

pytestmark = pytest.mark.unit


def service(**spec: Any) -> dict[str, Any]:
    return {
        "kind": "Service",
        "metadata": {"name": "digits", "uid": "u", "resourceVersion": "7"},
        "spec": spec,
    }


COVERED = {
    "the same": ({"a": 1}, {"a": 1}),
    "more than we own": ({"a": 1, "b": 2}, {"a": 1}),
    "further items in a named list": (
        {"containers": [{"name": "sidecar"}, {"name": "model", "image": "x", "tty": True}]},
        {"containers": [{"name": "model", "image": "x"}]},
    ),
    "ports told apart by number": (
        {"ports": [{"containerPort": 8080, "protocol": "TCP"}]},
        {"ports": [{"containerPort": 8080}]},
    ),
    "a plain list": ({"drop": ["ALL"]}, {"drop": ["ALL"]}),
    "nothing": ({"a": 1}, {}),
}
UNCOVERED = {
    "another value": ({"a": 1}, {"a": 2}),
    "a missing field": ({}, {"a": 1}),
    "a missing item": ({"containers": []}, {"containers": [{"name": "model"}]}),
    "a changed item": ({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "A", "value": "2"}]}),
    "a plain list with more": ({"drop": ["ALL", "KILL"]}, {"drop": ["ALL"]}),
    "a selector with more": ({"selector": {"a": "1", "b": "2"}}, {"selector": {"a": "1"}}),
    "another type": ({"a": "1"}, {"a": 1}),
}


@pytest.mark.parametrize(("present", "wanted"), COVERED.values(), ids=COVERED)
def test_covers(present: Any, wanted: Any) -> None:
    assert covers(present, wanted)


@pytest.mark.parametrize(("present", "wanted"), UNCOVERED.values(), ids=UNCOVERED)
def test_does_not_cover(present: Any, wanted: Any) -> None:
    assert not covers(present, wanted)


def test_what_is_absent_or_has_drifted_is_applied_in_the_given_order() -> None:
    first, second = service(a=1), service(b=1) | {"kind": "Deployment"}
    drifted = {("Deployment", "digits"): second | {"spec": {"b": 2}}}
    assert plan([second, first], drifted, [], {}).applies == (second, first)


def test_what_the_server_writes_otherwise_is_applied_once_and_then_left() -> None:
    wanted, present = service(cpu="1000m"), service(cpu="1")
    found = {("Service", "digits"): present}
    assert plan([wanted], found, [], {}).applies == (wanted,)
    settled = {("Service", "digits"): stamp(wanted, present)}
    assert plan([wanted], found, [], settled).applies == ()
    edited = present | {"metadata": present["metadata"] | {"resourceVersion": "8"}}
    assert plan([wanted], {("Service", "digits"): edited}, [], settled).applies == (wanted,)


def test_deletions_keep_their_order() -> None:
    gone = [service(a=1), service(a=2)]
    assert plan([], {}, gone, {}).deletes == tuple(gone)
