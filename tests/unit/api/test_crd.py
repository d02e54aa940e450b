"""The generated CustomResourceDefinition; tests/api/test_crd.py asks the API server what it makes of it."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pydantic import Field

from modeldeploy.api import crd
from modeldeploy.api.v1alpha1.base import Part
from modeldeploy.api.v1alpha1.rollout import Rollout

pytestmark = pytest.mark.unit

Schema = dict[str, Any]
ROOT: Schema = crd.crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
ILLEGAL = {
    "$ref",
    "$defs",
    "oneOf",
    "allOf",
    "not",
    "const",
    "title",
    "default",
    "nullable",
    "examples",
    "pattern",
}


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}" if path else name)
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            yield from nodes(schema[key], path + mark)


NODES = dict(nodes(ROOT))
SPEC = {path: node for path, node in NODES.items() if path.startswith("spec")}


@pytest.mark.parametrize(
    ("path", "content"), [(crd.CRD_FILE, crd.text()), (crd.CHART_FILE, crd.chart_text())]
)
def test_the_files_are_what_the_generator_makes(path: Any, content: str) -> None:
    assert path.read_text(encoding="utf-8") == content, "run `python -m modeldeploy.api.crd --write`"


def test_the_printed_text_reads_back_as_the_definition() -> None:
    assert yaml.safe_load(crd.text()) == crd.crd()


def test_nothing_that_a_structural_schema_forbids() -> None:
    assert {
        path: sorted(ILLEGAL & node.keys()) for path, node in NODES.items() if ILLEGAL & node.keys()
    } == {}


def test_every_node_has_a_type_or_is_int_or_string() -> None:
    untyped = [path for path, node in NODES.items() if "type" not in node]
    assert [path for path in untyped if not NODES[path].get("x-kubernetes-int-or-string")] == []


def test_every_field_is_described() -> None:
    inner = ("metadata", "[]", "{}")
    missing = [path for path, node in NODES.items() if not node.get("description")]
    assert [path for path in missing if not path.startswith(inner[0]) and not path.endswith(inner[1:])] == []


def test_every_list_text_and_map_is_bounded() -> None:
    bounds = {"array": "maxItems", "string": "maxLength"}
    loose = [
        path
        for path, node in NODES.items()
        if path.startswith(("spec", "status"))
        and (bound := bounds.get(node.get("type", "")))
        and bound not in node
        and not node.keys() & {"enum", "format"}
    ]
    loose += [
        path for path, node in SPEC.items() if "additionalProperties" in node and "maxProperties" not in node
    ]
    assert loose == []


def test_defaults_of_the_models_stand_in_the_descriptions() -> None:
    default = Rollout.model_fields["keep_previous"].default
    assert SPEC["spec.rollout.keepPrevious"]["description"].endswith(f"Defaults to {default}.")
    assert SPEC["spec.traffic.provider"]["description"].endswith("Defaults to Router.")
    assert SPEC["spec.server.replicas.min"]["description"].endswith("Defaults to 1.")


def test_a_status_promises_no_defaults() -> None:
    said = [
        path
        for path, node in NODES.items()
        if path.startswith("status") and "Defaults to" in node.get("description", "")
    ]
    assert said == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("spec.server.port", "int32"),
        ("status.trafficGeneration", "int64"),
        ("status.candidate.startedAt", "date-time"),
    ],
)
def test_formats(path: str, kind: str) -> None:
    assert NODES[path]["format"] == kind


@pytest.mark.parametrize("path", ["spec.monitoring.metrics[].max", "spec.server.resources.requests{}"])
def test_a_number_or_a_text_is_int_or_string(path: str) -> None:
    assert NODES[path]["x-kubernetes-int-or-string"] is True
    assert NODES[path]["anyOf"] == [{"type": "integer"}, {"type": "string"}]


def test_every_pattern_has_words_and_no_words_are_left_over() -> None:
    rules = [rule for node in SPEC.values() for rule in node.get("x-kubernetes-validations", [])]
    used = {
        rule["message"] for rule in rules if rule["rule"].split(".matches(")[0] in {"self", "string(self)"}
    }
    assert used == set(crd.MEANINGS.values())


def test_the_pod_template_takes_any_field() -> None:
    assert NODES["spec.server.podTemplate"]["x-kubernetes-preserve-unknown-fields"] is True


def test_what_a_structural_schema_cannot_say_is_refused() -> None:
    class Odd(Part):
        value: list[str] | str = Field(description="Either.")

    with pytest.raises(TypeError, match="cannot hold the union"):
        crd.structural(Odd, state_defaults=True)


def test_the_command_prints_the_definition(capsys: pytest.CaptureFixture[str]) -> None:
    assert crd.main([]) == 0
    assert capsys.readouterr().out == crd.text()
