"""Names of revisions: what a pod feels, and nothing else."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeldeploy.core.naming import digest, object_name, revision_content, revision_name

pytestmark = pytest.mark.unit

SPEC: Mapping[str, Any] = {
    "model": {"version": "v1"},
    "server": {"image": "models/digits:v1", "podTemplate": {"spec": {"nodeSelector": {"gpu": "yes"}}}},
    "rollout": {"drain": "30s"},
}
CONTENT = revision_content(SPEC)


def edited(**server: Any) -> dict[str, Any]:
    return {**SPEC, "server": {**SPEC["server"], **server}}


FELT = {
    "version": ({**SPEC, "model": {"version": "v2"}}, True),
    "image": (edited(image="models/digits:v2"), True),
    "environment": (edited(podTemplate={"spec": {"containers": [{"name": "model"}]}}), True),
    "replicas": (edited(replicas={"min": 3}), False),
    "start-up time-out": (edited(startupTimeout="1h"), False),
    "rollout": ({**SPEC, "rollout": {"drain": "1h"}}, False),
    "monitoring": ({**SPEC, "monitoring": {"metrics": []}}, False),
    "a null": (edited(port=None), False),
    "a nested null": (
        edited(podTemplate={"spec": {"nodeSelector": {"gpu": "yes"}, "tolerations": None}}),
        False,
    ),
    "a default that is written out": (edited(runtime="OpenInference"), True),
}


@pytest.mark.parametrize(("spec", "differs"), FELT.values(), ids=FELT)
def test_revision_changes_with(spec: Mapping[str, Any], differs: bool) -> None:  # noqa: FBT001
    assert (revision_content(spec) != CONTENT) is differs
    assert (digest(revision_content(spec)) != digest(CONTENT)) is differs


def test_name_is_the_same_in_every_process_and_for_ever() -> None:
    assert digest(CONTENT) == "4e7a7a2e"


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=5))
def test_name_does_not_depend_on_the_order_of_keys(content: dict[str, Any]) -> None:
    assert digest(dict(reversed(content.items()))) == digest(content)


def test_name_of_a_known_content_is_its_own() -> None:
    name = revision_name(CONTENT, {})
    assert revision_name(CONTENT, {name: CONTENT}) == name == digest(CONTENT)


def test_name_grows_where_another_content_has_it() -> None:
    other = {"model": {"version": "v9"}}
    taken = {digest(CONTENT): other, digest(CONTENT, 9): other}
    assert revision_name(CONTENT, taken) == digest(CONTENT, 10)


def test_object_names_fit_a_label_with_the_longest_name_and_a_grown_hash() -> None:
    assert len(object_name("d" * 52, digest(CONTENT, 10))) == 63
