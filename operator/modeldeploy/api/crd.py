"""The CustomResourceDefinition, made from the pydantic models: `python -m modeldeploy.api.crd [--write]`.

The API server accepts only *structural* schemas: no references, no unions with null, no `default: null`, no
`additionalProperties: false` beside `properties`, no `const`. The generator below leaves those out, adds what
Kubernetes has instead (CEL rules, int-or-string, integer formats) and says in each description what an absent
field means, so that models, `kubectl explain` and the operator can't disagree.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from modeldeploy.api import quantity
from modeldeploy.api.v1alpha1 import GROUP, KIND, PLURAL, SHORT_NAME, VERSION
from modeldeploy.api.v1alpha1 import text as texts
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import ModelDeploymentStatus

ROOT = Path(__file__).resolve().parents[3]
CRD_FILE = ROOT / "crds" / f"{PLURAL}.{GROUP}.yaml"
CHART_FILE = ROOT / "charts" / "modeldeploy" / "templates" / "crd.yaml"

NAME_LENGTH = 52
"""Longest name of an object: a Service name has 63, and a revision adds a dash and up to ten more."""

MEANINGS: Mapping[str, str] = {
    quantity.DURATION_PATTERN: "must be a duration, e.g. 30s, 20m or 1h30m",
    quantity.BOUND_PATTERN: "must be a number with its unit, e.g. 300ms, 1%, 2Gi or 25 (quote: '0.5')",
    quantity.PERCENT_PATTERN: "must be a percentage, e.g. 1% or 0.5%",
    texts.INTERVAL_PATTERN: "must be a time between 1s and 1h, e.g. 10s or 1m",
    texts.KEY_PATTERN: "must hold letters, digits, '-', '_' and '.' only",
    texts.RATIO_PATTERN: "must be a number such as 2 or, quoted, '1.2'",
    texts.PATH_PATTERN: "must be an absolute HTTP path, e.g. /metrics",
    texts.VERSION_PATTERN: "must hold letters, digits, '-', '_' and '.' only, no sign at either end",
    texts.NAME_PATTERN: "must hold small letters, digits and '-' only, starting with a letter, e.g. p95",
    texts.PAIR_PATTERN: "must hold letters, digits and ._*'()!:|- only",
    texts.IMAGE_PATTERN: "must be an image reference, without spaces",
    texts.LABEL_VALUE_PATTERN: "must hold letters, digits, '-', '_', '.' and blanks only",
    texts.DNS_LABEL_PATTERN: "must hold small letters, digits and '-' only, no '-' at either end",
    texts.HOSTNAME_PATTERN: "must be a name of small letters, digits, '-' and '.', e.g. preview.example.org",
    texts.HEADER_PATTERN: "must be the name of an HTTP header, e.g. x-preview",
    texts.REVISION_PATTERN: "must be the name of a revision as in status, e.g. 5d4c0a1b",
    texts.URL_PATTERN: "must be a URL, e.g. http://prometheus.monitoring:9090",
    texts.HOOK_PATTERN: "must be a URL without a user, e.g. https://pipelines.example.org/retrain",
    texts.EPISODE_PATTERN: "must be an episode as in status.retraining.episode.id, e.g. 20261122-120000",
    texts.QUANTITY_PATTERN: "must be a quantity, e.g. 500m, 2 or 1Gi",
}
"""What each pattern asks for, in the words of the refusal: a regular expression is no help to people."""

COLUMNS = (
    ("Phase", "string", ".status.phase", "Where the object stands.", 0),
    ("Step", "string", ".status.candidate.progress", "Step of the rollout, of all its steps.", 0),
    ("Weight", "integer", ".status.candidate.weight", "Percent of requests that the candidate answers.", 0),
    ("Verdict", "string", ".status.verdict", "The worst verdict, and the metric that gave it.", 0),
    ("Stable", "string", ".status.stable.modelVersion", "Model version that users can rely on.", 0),
    ("Candidate", "string", ".status.candidate.modelVersion", "Model version on trial.", 0),
    ("Age", "date", ".metadata.creationTimestamp", "Time since the object was made.", 0),
    ("Message", "string", ".status.message", "What is going on, in a sentence.", 1),
)

NAME_RULES = (
    {
        "rule": f"size(self.metadata.name) <= {NAME_LENGTH}",
        "fieldPath": ".metadata.name",
        "message": f"is longer than {NAME_LENGTH} characters; shorten it",
        "messageExpression": "self.metadata.name + ' has ' + string(dyn(size(self.metadata.name))) + ' "
        "characters, but "
        f"at most {NAME_LENGTH} fit, because the objects of a revision add a suffix; shorten it by ' + "
        f"string(dyn(size(self.metadata.name) - {NAME_LENGTH}))",
    },
    {
        "rule": "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "fieldPath": ".metadata.name",
        "message": "use small letters, digits and '-' only, starting with a letter and ending with a letter "
        "or digit",
        "messageExpression": "self.metadata.name + ' cannot name a Service; use small letters, digits and "
        "\\'-\\' "
        "only, starting with a letter and ending with a letter or digit'",
    },
    {
        "rule": "!has(self.spec) || !has(self.spec.traffic) || !has(self.spec.traffic.incumbent) || "
        "self.spec.traffic.incumbent.service != self.metadata.name",
        "fieldPath": ".spec.traffic.incumbent.service",
        "message": "is the Service that leads to this object itself; give the object another name, or use "
        "spec.adopt to take the Service over",
    },
)

_ORIGIN = "Generated from operator/modeldeploy/api by `python -m modeldeploy.api.crd --write`."
_INT32 = 2**31 - 1
_DROPPED = frozenset({"$ref", "$defs", "title", "default", "examples", "additionalProperties", "pattern"})


class _Generator(GenerateJsonSchema):
    """Pydantic's generator without nulls, and with the CEL rules of each part."""

    def get_union_of_schemas(self, schemas: list[JsonSchemaValue]) -> JsonSchemaValue:
        """The one member that isn't null, or Kubernetes' int-or-string; nothing else can be told apart."""
        members = [schema for schema in schemas if schema != {"type": "null"}]
        if len(members) == 1:
            return members[0]
        if {member.get("type") for member in members} != {"integer", "string"}:
            raise TypeError(f"a structural schema cannot hold the union {members}")
        merged = {key: value for member in members for key, value in member.items() if key != "type"}
        return {"x-kubernetes-int-or-string": True, **merged}

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """The model's schema with the class's rules."""
        json_schema = super().model_schema(schema)
        if rules := getattr(schema["cls"], "rules", ()):
            json_schema["x-kubernetes-validations"] = [dict(rule) for rule in rules]
        return json_schema


def crd() -> dict[str, Any]:
    """The CustomResourceDefinition as a plain dict."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": [SHORT_NAME],
                "categories": ["ml"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(*column) for column in COLUMNS],
                    "schema": {"openAPIV3Schema": _root()},
                }
            ],
        },
    }


def _column(name: str, kind: str, path: str, description: str, priority: int) -> dict[str, Any]:
    column = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return {**column, "priority": priority} if priority else column


def _root() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "A machine learning model in production: which version to serve, how to bring a new "
        "one in, "
        "what to watch, and what to do on a breach.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}"},
            "kind": {"type": "string", "description": KIND},
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": structural(ModelDeploymentSpec, state_defaults=True),
            "status": structural(ModelDeploymentStatus, state_defaults=False),
        },
        "x-kubernetes-validations": [dict(rule) for rule in NAME_RULES],
    }


def structural(model: type[BaseModel], *, state_defaults: bool) -> dict[str, Any]:
    """The structural schema of a model.

    Args:
        model: A part of the resource.
        state_defaults: Whether descriptions end with "Defaults to …"; the API server itself sets none.

    Raises:
        TypeError: The model holds something that a structural schema can't say.
    """
    schema = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    definitions = schema.get("$defs", {})

    def convert(node: Mapping[str, Any]) -> dict[str, Any]:
        if reference := node.get("$ref"):
            node = {**definitions[reference.rsplit("/", 1)[1]], **node}
        converted = {key: value for key, value in node.items() if key not in _DROPPED}
        _children(node, converted, convert)
        _scalars(node, converted)
        _validations(node, converted)
        _description(node, converted, state_defaults=state_defaults)
        return converted

    return convert(schema)


def _children(
    node: Mapping[str, Any], converted: dict[str, Any], convert: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> None:
    if "properties" in node:
        converted["properties"] = {name: convert(child) for name, child in node["properties"].items()}
    if "items" in node:
        converted["items"] = convert(node["items"])
    if isinstance(values := node.get("additionalProperties"), dict):
        converted["additionalProperties"] = convert(values)


def _scalars(node: Mapping[str, Any], converted: dict[str, Any]) -> None:
    if converted.get("type") == "integer":
        converted["format"] = "int32" if node.get("maximum", _INT32 + 1) <= _INT32 else "int64"
    if converted.get("x-kubernetes-int-or-string"):
        converted["anyOf"] = [{"type": "integer"}, {"type": "string"}]


def _validations(node: Mapping[str, Any], converted: dict[str, Any]) -> None:
    """A pattern becomes a rule, since only a rule can say in words what the value should be."""
    if "pattern" not in node:
        return
    pattern = node["pattern"]
    text = "string(self)" if converted.get("x-kubernetes-int-or-string") else "self"
    rule = {"rule": f"{text}.matches({_quoted(pattern)})", "message": MEANINGS[pattern]}
    converted["x-kubernetes-validations"] = [rule, *converted.get("x-kubernetes-validations", [])]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _description(node: Mapping[str, Any], converted: dict[str, Any], *, state_defaults: bool) -> None:
    default = node.get("default")
    if state_defaults and default is not None:
        spelled = str(default).lower() if isinstance(default, bool) else default
        converted["description"] = f"{node['description']} Defaults to {spelled}."


def text() -> str:
    """The CustomResourceDefinition as YAML."""
    return f"# {_ORIGIN}\n" + _yaml(crd())


def chart_text() -> str:
    """The same as a template of the chart, whose values say whether it is installed and kept.

    Raises:
        ValueError: A text in it would be taken for a template's action.
    """
    definition = _yaml({"spec": crd()["spec"]})
    if "{{" in definition:
        raise ValueError("the schema contains {{, which Helm would take for an action")
    return f"""\
{{{{- /* {_ORIGIN} */}}}}
{{{{- if .Values.crds.install }}}}
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: {PLURAL}.{GROUP}
  labels:
    {{{{- include "modeldeploy.labels" . | nindent 4 }}}}
  {{{{- if .Values.crds.keep }}}}
  annotations:
    helm.sh/resource-policy: keep
  {{{{- end }}}}
{definition}{{{{- end }}}}
"""


class _Dumper(yaml.SafeDumper):
    """Equal parts are written out each time: Kubernetes refuses nothing, but people stumble over anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """No part is written as a reference to another."""
        return True


def _yaml(value: Any) -> str:
    rendered: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    return rendered


def main(arguments: list[str] | None = None) -> int:
    """Print the CustomResourceDefinition, or write it and the chart's copy."""
    parser = argparse.ArgumentParser(
        prog="python -m modeldeploy.api.crd", description="Print or write the CRD."
    )
    parser.add_argument("--write", action="store_true", help="write crds/ and the chart's template")
    if parser.parse_args(arguments).write:
        for path, content in ((CRD_FILE, text()), (CHART_FILE, chart_text())):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    else:
        sys.stdout.write(text())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
