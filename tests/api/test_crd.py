"""What an API server makes of the CRD: every rule tripped, every field wrong in turn, the answers read."""

import base64
import copy
import functools
import http.client
import json
import re
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import yaml

from cluster import Cluster, ClusterError
from modeldeploy.api import crd
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec

pytestmark = pytest.mark.api

Schema = dict[str, Any]
Path_ = tuple[str | int, ...]
NAMESPACE = "crd-test"
ROOT: Schema = crd.crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC: Schema = ROOT["properties"]["spec"]

HERE = Path(__file__).parent
FULLS: list[dict[str, Any]] = list(yaml.safe_load_all((HERE / "crd_full.yaml").read_text()))
FULL = FULLS[0]
NAMED = {full["metadata"]["name"]: full for full in FULLS}
REFUSED: list[dict[str, Any]] = yaml.safe_load((HERE / "crd_refusals.yaml").read_text())


class Answer(NamedTuple):
    """What the API server said: the HTTP status, and the sentence that kubectl shows."""

    status: int
    message: str


class Api:
    """Dry runs over one connection: hundreds of them would be slow through kubectl."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        files = {}
        for part, holder in (
            ("certificate-authority", cluster),
            ("client-certificate", user),
            ("client-key", user),
        ):
            files[part] = folder / part
            data = holder.get(f"{part}-data")
            files[part].write_bytes(base64.b64decode(data) if data else Path(holder[part]).read_bytes())
        context = ssl.create_default_context(cafile=str(files["certificate-authority"]))
        context.load_cert_chain(files["client-certificate"], files["client-key"])
        where = urlsplit(cluster["server"])
        self.connection = http.client.HTTPSConnection(
            str(where.hostname), where.port, context=context, timeout=20
        )

    def create(self, obj: dict[str, Any]) -> Answer:
        path = f"/apis/modeldeploy.dev/v1alpha1/namespaces/{NAMESPACE}/modeldeployments"
        query = "dryRun=All&fieldValidation=Strict"
        self.connection.request(
            "POST", f"{path}?{query}", json.dumps(obj), {"Content-Type": "application/json"}
        )
        response = self.connection.getresponse()
        return Answer(response.status, str(json.load(response).get("message", "")))


@pytest.fixture(scope="module")
def cluster(control_plane: Cluster, definition: None) -> Cluster:  # noqa: ARG001
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    control_plane.run_kubectl("apply", "--server-side", "-f", "-", given=json.dumps(namespace))
    return control_plane


@pytest.fixture(scope="module")
def api(cluster: Cluster) -> Iterator[Api]:
    with tempfile.TemporaryDirectory() as folder:
        client = Api(cluster.kubeconfig, Path(folder))
        yield client
        client.connection.close()


def changed(path: Path_, value: Any, of: dict[str, Any] = FULL) -> dict[str, Any]:
    """A full example with one value set, or removed when it is `...`."""
    obj = copy.deepcopy(of)
    holder: Any = obj
    for part in path[:-1]:
        holder = holder[part] if isinstance(part, int) else holder.setdefault(part, {})
    if value is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return obj


def spelled(path: Path_) -> str:
    """A path as the API server writes it."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def leaves(schema: Schema, value: Any, path: Path_) -> Iterator[tuple[Path_, Schema]]:
    """Every schema node with the place where a value has one for it."""
    yield path, schema
    if isinstance(value, dict):
        for name, child in value.items():
            inner = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
            if inner:
                yield from leaves(inner, child, (*path, name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from leaves(schema["items"], child, (*path, index))


def places() -> Iterator[tuple[dict[str, Any], Path_, Schema]]:
    """Every schema node once, with the first example and place that have a value for it."""
    seen: set[str] = set()
    for full in FULLS:
        found = list(leaves(SPEC, full["spec"], ("spec",)))
        yield from ((full, path, node) for path, node in found if general(path) not in seen)
        seen |= {general(path) for path, _ in found}


def general(path: Path_) -> str:
    """A path without the positions in lists."""
    return re.sub(r"\[\d+\]", "[]", spelled(path))


PLACES = list(places())
WRONG_TYPE = {
    "string": 2026,
    "integer": "text",
    "number": "text",
    "boolean": "text",
    "object": "text",
    "array": "text",
    "int-or-string": 0.25,
}


class Wrong(NamedTuple):
    """One value that must be refused, and what the answer must say besides the field's path."""

    of: dict[str, Any]
    path: Path_
    value: Any
    says: str


def wrong_values(of: dict[str, Any], path: Path_, node: Schema) -> Iterator[Wrong]:
    kind = node.get("type", "int-or-string")
    yield Wrong(of, path, WRONG_TYPE[kind], "must be of type")
    if "enum" in node:
        yield Wrong(of, path, "Elsewhere", 'supported values: "' + '", "'.join(node["enum"]))
    for name in node.get("required", ()):
        yield Wrong(of, (*path, name), ..., "Required value")
    if "properties" in node:
        yield Wrong(of, (*path, "colour"), "blue", 'unknown field "')
    for rule in node.get("x-kubernetes-validations", ()):
        if rule["message"] in crd.MEANINGS.values():
            yield Wrong(of, path, "? ?", rule["message"])
    for value, says in out_of_range(node):
        yield Wrong(of, path, value, says)


def out_of_range(node: Schema) -> Iterator[tuple[Any, str]]:
    kind = node.get("type")
    if "minimum" in node and kind:
        yield node["minimum"] - 1, f"should be greater than or equal to {node['minimum']:g}"
    if "maximum" in node:
        yield node["maximum"] + 1, "should be less than or equal to"
    if "maxLength" in node and kind:
        yield "1" * (node["maxLength"] + 1), f"may not be more than {node['maxLength']} bytes"
    if "maxItems" in node:
        yield [{}] * (node["maxItems"] + 1), f"must have at most {node['maxItems']} items"
    if "minItems" in node:
        yield [], f"should have at least {node['minItems']} items"
    if "maxProperties" in node:
        many = {f"r{number}": 1 for number in range(node["maxProperties"] + 1)}
        yield many, f"must have at most {node['maxProperties']} items"


WRONG = [wrong for place in PLACES for wrong in wrong_values(*place)]


def places_without_a_value(schema: Schema, path: str, seen: set[str]) -> Iterator[str]:
    if path not in seen:
        yield path
    for name, child in schema.get("properties", {}).items():
        yield from places_without_a_value(child, f"{path}.{name}", seen)
    if "items" in schema:
        yield from places_without_a_value(schema["items"], f"{path}[]", seen)


def test_the_full_examples_set_every_field() -> None:
    seen = {general(path) for _, path, _ in PLACES}
    assert list(places_without_a_value(SPEC, "spec", seen)) == []


@pytest.mark.parametrize("full", FULLS, ids=list(NAMED))
def test_the_full_examples_are_accepted_by_both(api: Api, full: dict[str, Any]) -> None:
    assert api.create(full) == Answer(http.HTTPStatus.CREATED, "")
    ModelDeploymentSpec.model_validate(full["spec"])


def test_the_smallest_example_is_accepted(api: Api) -> None:
    spec = {"model": {"version": "v1"}, "server": {"image": "m:1"}}
    assert api.create({**FULL, "spec": spec}).status == http.HTTPStatus.CREATED


EXAMPLES = sorted((HERE.parents[1] / "examples").glob("*/*.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_examples_are_accepted(api: Api, example: Path) -> None:
    for obj in yaml.safe_load_all(example.read_text()):
        assert api.create(obj) == Answer(http.HTTPStatus.CREATED, "")


@pytest.mark.parametrize("name", ["a", "a" * 52, "digits-2"])
def test_names_that_fit(api: Api, name: str) -> None:
    assert api.create(changed(("metadata", "name"), name)).status == http.HTTPStatus.CREATED


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{spelled(wrong.path)}={str(wrong.value)[:12]}")
def test_each_field_wrong_in_turn(api: Api, wrong: Wrong) -> None:
    answer = api.create(changed(wrong.path, wrong.value, wrong.of))
    assert answer.status in {http.HTTPStatus.BAD_REQUEST, http.HTTPStatus.UNPROCESSABLE_ENTITY}
    # A map's key stands after a dot when its type is wrong, in brackets when its value is.
    assert spelled(wrong.path) in re.sub(r"\[([A-Za-z][\w-]*)\]", r".\1", answer.message)
    assert wrong.says in answer.message


@pytest.mark.parametrize(
    "case", REFUSED, ids=lambda case: f"{case.get('of', '')}:{case['at']}={str(case.get('value'))[:30]}"
)
def test_each_rule_says_field_value_and_mend(api: Api, case: dict[str, Any]) -> None:
    path = tuple(int(part) if part.isdecimal() else part for part in case["at"].split("."))
    answer = api.create(changed(path, case.get("value", ...), NAMED[case.get("of", "recogniser")]))
    assert answer.status == http.HTTPStatus.UNPROCESSABLE_ENTITY
    assert case["answer"] in answer.message


def rules(schema: Schema) -> Iterator[dict[str, str]]:
    yield from schema.get("x-kubernetes-validations", ())
    for child in schema.get("properties", {}).values():
        yield from rules(child)
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from rules(schema[key])


def words(rule: dict[str, str]) -> list[str]:
    """The fixed words of a rule's answer."""
    if expression := rule.get("messageExpression"):
        found = re.findall(r"'((?:[^'\\]|\\.)*)'", expression)
        return [text.replace("\\'", "'").strip("; ") for text in found for text in text.split("%s")]
    return [rule["message"]]


def test_every_rule_is_tripped_above() -> None:
    said = [case["answer"] for case in REFUSED] + [wrong.says for wrong in WRONG]
    missed = [
        rule["rule"]
        for rule in rules(ROOT)
        if not all(any(text in answer for answer in said) for text in words(rule))
    ]
    assert missed == []


def test_the_cost_of_the_rules_is_accepted_and_the_schema_is_structural(cluster: Cluster) -> None:
    found = json.loads(cluster.run_kubectl("get", "crd", crd.CRD_FILE.stem, "-o", "json"))
    conditions = {each["type"]: each["status"] for each in found["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}


def kubectl_refuses(cluster: Cluster, obj: dict[str, Any]) -> str:
    with pytest.raises(ClusterError) as refusal:
        cluster.run_kubectl("apply", "--namespace", NAMESPACE, "-f", "-", given=json.dumps(obj))
    return str(refusal.value)


@pytest.mark.parametrize("length", [53, 63])
def test_kubectl_says_how_long_a_name_is(cluster: Cluster, length: int) -> None:
    refusal = kubectl_refuses(cluster, changed(("metadata", "name"), "n" * length))
    assert f"has {length} characters, but at most 52 fit" in refusal
    assert f"shorten it by {length - 52}" in refusal


def test_kubectl_apply_refuses_an_unknown_field(cluster: Cluster) -> None:
    refusal = kubectl_refuses(cluster, changed(("spec", "rollout", "stepz"), []))
    assert 'strict decoding error: unknown field "spec.rollout.stepz"' in refusal


def test_kubectl_explains_the_steps(cluster: Cluster) -> None:
    text = " ".join(cluster.run_kubectl("explain", "mdep.spec.rollout.steps").split())
    assert "Steps instead of the strategy's own; after the last one the candidate is promoted." in text
    assert "weight <integer> Share of requests, in percent, that the candidate answers." in text
    assert "Defaults to 5m, and to 0s for a step of nothing but an approval." in text


def test_kubectl_explains_what_a_human_can_want(cluster: Cluster) -> None:
    text = " ".join(cluster.run_kubectl("explain", "modeldeployments.spec.rollout.control").split())
    assert "Each intent acts once, and `status.control` tells what came of it." in text
    assert "paused <boolean> The candidate gets no further, whatever the metrics say." in text
    assert "Defaults to false." in text
    text = " ".join(cluster.run_kubectl("explain", "modeldeployments.spec.rollout.control.undo").split())
    assert "revision <string> -required- The revision that is meant, as in status." in text
    assert "The same revision and nonce act once; change it to ask again." in text


def test_a_pod_template_keeps_what_the_schema_does_not_know(cluster: Cluster) -> None:
    given = json.dumps(changed(("metadata", "name"), "kept"))
    words = ("apply", "--namespace", NAMESPACE, "--dry-run=server", "-o", "json", "-f", "-")
    stored = json.loads(cluster.run_kubectl(*words, given=given))
    assert stored["spec"] == FULL["spec"]


STATUS = {
    "observedGeneration": 1,
    "phase": "Progressing",
    "message": "canary at 5%: step 2 of 3",
    "verdict": "Pass",
    "stable": {"revision": "5d4c0001", "modelVersion": "2026-10-02", "weight": 95},
    "candidate": {
        "revision": "9f1a0001",
        "modelVersion": "2026-11-20",
        "weight": 5,
        "step": 2,
        "progress": "2/3",
        "startedAt": "2026-11-20T10:00:00Z",
        "stepStartedAt": "2026-11-20T10:05:00Z",
    },
}


@pytest.fixture
def shown(cluster: Cluster) -> Iterator[functools.partial[str]]:
    run = functools.partial(cluster.run_kubectl, "--namespace", NAMESPACE)
    run("apply", "-f", "-", given=json.dumps(changed(("metadata", "name"), "shown")))
    patch = json.dumps({"status": STATUS})
    run("patch", "mdep", "shown", "--subresource=status", "--type=merge", "--patch", patch)
    yield run
    run("delete", "mdep", "shown", "--wait=false")


def test_columns(shown: functools.partial[str]) -> None:
    head, line = (text.split() for text in shown("get", "mdep", "shown").splitlines())
    assert head == ["NAME", "PHASE", "STEP", "WEIGHT", "VERDICT", "STABLE", "CANDIDATE", "AGE"]
    assert line[:-1] == ["shown", "Progressing", "2/3", "5", "Pass", "2026-10-02", "2026-11-20"]
    assert "canary at 5%: step 2 of 3" in shown("get", "ml", "shown", "--output=wide")


def test_the_status_is_written_through_its_subresource_only(shown: functools.partial[str]) -> None:
    shown("patch", "mdep", "shown", "--type=merge", "--patch", '{"status": {"phase": "Healthy"}}')
    assert shown("get", "mdep", "shown", "--output=jsonpath={.status.phase}") == "Progressing"


def test_a_status_with_an_unknown_phase_is_refused(shown: functools.partial[str]) -> None:
    patch = '{"status": {"phase": "Resting"}}'
    with pytest.raises(ClusterError, match=r"status\.phase: Unsupported value"):
        shown("patch", "mdep", "shown", "--subresource=status", "--type=merge", "--patch", patch)
