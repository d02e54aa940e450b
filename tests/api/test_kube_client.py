"""Requests against a real API server."""

from copy import deepcopy
from pathlib import Path

import pytest

from api.kube_objects import config_map, deployment, model_deployment
from cluster import Cluster
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.config import api_client, configuration
from modeldeploy.adapters.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    NotLeader,
    Terminating,
    Unauthorized,
)
from modeldeploy.adapters.kube.resources import CONFIG_MAP, DEPLOYMENT, NAMESPACE
from modeldeploy.adapters.xds.tokens import TokenAuthenticator

pytestmark = pytest.mark.api

MANAGER = "modeldeploy-test"


async def test_applying_the_same_twice_changes_no_resource_version(kube: Kube, namespace: str) -> None:
    first = await kube.apply(config_map(namespace, "c", {"a": "1"}), manager=MANAGER)
    again = await kube.apply(config_map(namespace, "c", {"a": "1"}), manager=MANAGER)
    assert first["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]


async def test_apply_takes_a_field_back_and_leaves_others_alone(kube: Kube, namespace: str) -> None:
    await kube.apply(config_map(namespace, "c", {"ours": "1"}), manager=MANAGER)
    await kube.patch(CONFIG_MAP, namespace, "c", {"data": {"ours": "2", "theirs": "3"}}, manager="someone")
    with pytest.raises(Conflict, match=r"conflict with \"someone\"") as caught:
        await kube.apply(config_map(namespace, "c", {"ours": "1"}), manager=MANAGER, force=False)
    assert [cause.field for cause in caught.value.causes] == [".data.ours"]
    mended = await kube.apply(config_map(namespace, "c", {"ours": "1"}), manager=MANAGER)
    assert mended["data"] == {"ours": "1", "theirs": "3"}


async def test_apply_at_an_older_version_is_a_conflict(kube: Kube, namespace: str) -> None:
    first = await kube.apply(config_map(namespace, "c", {"a": "1"}), manager=MANAGER)
    seen = first["metadata"]["resourceVersion"]
    await kube.apply(config_map(namespace, "c", {"a": "2"}), manager=MANAGER, resource_version=seen)
    with pytest.raises(Conflict):
        await kube.apply(config_map(namespace, "c", {"a": "3"}), manager=MANAGER, resource_version=seen)


async def test_a_dry_run_checks_but_changes_nothing(kube: Kube, namespace: str) -> None:
    await kube.apply(config_map(namespace, "c", {}), manager=MANAGER, dry_run=True)
    with pytest.raises(NotFound) as caught:
        await kube.get(CONFIG_MAP, namespace, "c")
    assert caught.value.message == 'configmaps "c" not found'


async def test_an_unknown_field_is_named_in_one_sentence(kube: Kube, namespace: str) -> None:
    wrong = deployment(namespace, "web")
    wrong["spec"]["template"]["spec"]["containers"][0]["imagee"] = "x"
    wrong["spec"]["replicas"] = "two"
    with pytest.raises(Invalid) as caught:
        await kube.apply(wrong, manager=MANAGER)
    assert caught.value.message == (
        "Deployment web is invalid: spec.replicas: expected numeric (int or float), got string; "
        'spec.template.spec.containers[name="server"].imagee: field not declared in schema'
    )
    assert [cause.field for cause in caught.value.causes] == [
        "spec.replicas",
        'spec.template.spec.containers[name="server"].imagee',
    ]
    wrong["spec"]["replicas"] = 1
    with pytest.raises(Invalid, match=r'unknown field "spec.template.spec.containers\[0\].imagee"'):
        await kube.create(wrong)


async def test_wrong_values_are_named_with_their_fields(kube: Kube, namespace: str) -> None:
    wrong = deployment(namespace, "web", image="", replicas=-1)
    with pytest.raises(Invalid) as caught:
        await kube.apply(wrong, manager=MANAGER)
    fields = {cause.field for cause in caught.value.causes}
    assert fields == {"spec.replicas", "spec.template.spec.containers[0].image"}
    assert caught.value.message.startswith("Deployment web is invalid: ")
    assert "spec.template.spec.containers[0].image: Required value" in caught.value.message


@pytest.mark.usefixtures("definition")
async def test_a_status_write_needs_the_version_that_was_read(kube: Kube, namespace: str) -> None:
    created = await kube.apply(model_deployment(namespace, "m"), manager=MANAGER)
    mine, theirs = deepcopy(created), deepcopy(created)
    theirs["status"] = {"phase": "Pending"}
    theirs["spec"]["model"]["version"] = "ignored"
    written = await kube.replace_status(theirs, manager="status")
    assert (written["status"], written["spec"]) == ({"phase": "Pending"}, created["spec"])
    assert written["metadata"]["generation"] == created["metadata"]["generation"]
    mine["status"] = {"phase": "Healthy"}
    with pytest.raises(Conflict):
        await kube.replace_status(mine)
    mine["metadata"]["resourceVersion"] = written["metadata"]["resourceVersion"]
    mine["status"] = {"phase": "Splendid"}
    with pytest.raises(Invalid, match=r"status\.phase: Unsupported value"):
        await kube.replace_status(mine)


@pytest.mark.usefixtures("definition")
async def test_a_status_write_without_bookkeeping_keeps_the_owners_of_fields(
    kube: Kube, namespace: str
) -> None:
    created = await kube.apply(model_deployment(namespace, "m"), manager=MANAGER)
    body = deepcopy(created)
    del body["metadata"]["managedFields"]
    body["status"] = {"phase": "Pending"}
    written = await kube.replace_status(body, manager="status")
    managers = {entry["manager"] for entry in written["metadata"]["managedFields"]}
    assert managers == {MANAGER, "status"}


async def test_creating_what_is_there_is_told_apart_from_a_race(kube: Kube, namespace: str) -> None:
    await kube.create(config_map(namespace, "c", {}))
    with pytest.raises(AlreadyExists):
        await kube.create(config_map(namespace, "c", {}))


async def test_replace_needs_the_version_that_was_read(kube: Kube, namespace: str) -> None:
    created = await kube.create(config_map(namespace, "c", {}))
    await kube.replace({**created, "data": {"a": "1"}})
    with pytest.raises(Conflict):
        await kube.replace({**created, "data": {"a": "2"}})


async def test_delete_touches_only_the_very_object(kube: Kube, namespace: str) -> None:
    created = await kube.create(config_map(namespace, "c", {}))
    with pytest.raises(Conflict):
        await kube.delete(CONFIG_MAP, namespace, "c", uid="00000000-0000-0000-0000-000000000000")
    with pytest.raises(Conflict):
        await kube.delete(CONFIG_MAP, namespace, "c", resource_version="1")
    await kube.delete(CONFIG_MAP, namespace, "c", uid=created["metadata"]["uid"])
    with pytest.raises(NotFound):
        await kube.delete(CONFIG_MAP, namespace, "c")


async def test_nothing_is_created_in_a_namespace_that_goes(kube: Kube, namespace: str) -> None:
    name = f"{namespace}-going"
    meta = {"name": name, "finalizers": ["modeldeploy.dev/test"]}
    await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    await kube.delete(NAMESPACE, None, name)
    try:
        with pytest.raises(Terminating, match="being terminated"):
            await kube.apply(config_map(name, "c", {}), manager=MANAGER)
    finally:
        await kube.patch(NAMESPACE, None, name, {"metadata": {"finalizers": None}})


async def test_nothing_is_created_in_a_namespace_that_is_gone(kube: Kube, namespace: str) -> None:
    with pytest.raises(Terminating):
        await kube.apply(config_map(f"{namespace}-gone", "c", {}), manager=MANAGER)


async def test_a_list_comes_in_pages_with_kinds_and_selectors(kube: Kube, namespace: str) -> None:
    for number in range(5):
        labels = {"parity": "odd" if number % 2 else "even"}
        await kube.create(config_map(namespace, f"c{number}", {}, labels=labels))
    pages = [page async for page in kube.pages(CONFIG_MAP, namespace, labels="parity", size=2)]
    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert len({page.resource_version for page in pages}) == 1, "one moment for all pages"
    odd = await kube.list(CONFIG_MAP, namespace, labels="parity=odd")
    assert [(item["kind"], item["metadata"]["name"]) for item in odd.items] == [
        ("ConfigMap", "c1"),
        ("ConfigMap", "c3"),
    ]
    one = await kube.list(CONFIG_MAP, namespace, fields="metadata.name=c4")
    assert [item["metadata"]["name"] for item in one.items] == ["c4"]


async def test_requests_are_counted_by_verb_and_kind(kube: Kube, namespace: str) -> None:
    before = kube.requests.copy()
    await kube.apply(config_map(namespace, "c", {}), manager=MANAGER)
    await kube.get(CONFIG_MAP, namespace, "c")
    await kube.list(DEPLOYMENT, namespace)
    assert kube.requests - before == {
        ("patch", "ConfigMap"): 1,
        ("get", "ConfigMap"): 1,
        ("list", "Deployment"): 1,
    }


async def test_a_follower_reads_but_does_not_write(kubeconfig: Path, namespace: str) -> None:
    leads = False
    follower = Kube(await api_client(kubeconfig), may_write=lambda: leads)
    try:
        with pytest.raises(NotLeader):
            await follower.apply(config_map(namespace, "c", {}), manager=MANAGER)
        assert not follower.requests
        with pytest.raises(NotFound):
            await follower.get(CONFIG_MAP, namespace, "c")
        leads = True
        await follower.apply(config_map(namespace, "c", {}), manager=MANAGER)
    finally:
        await follower.close()


async def test_a_missing_right_is_told_in_the_servers_words(kubeconfig: Path, namespace: str) -> None:
    api = await api_client(kubeconfig)
    api.set_default_header("Impersonate-User", "nobody")
    nobody = Kube(api)
    try:
        with pytest.raises(Forbidden, match=r'User "nobody" cannot list resource "configmaps"') as caught:
            await nobody.list(CONFIG_MAP, namespace)
        assert not isinstance(caught.value, Terminating)
    finally:
        await nobody.close()


async def test_a_token_that_is_not_accepted(kubeconfig: Path, namespace: str) -> None:
    api = await api_client(kubeconfig)
    stranger = await configuration(kubeconfig)
    stranger.cert_file = stranger.key_file = None
    stranger.api_key["BearerToken"] = "Bearer nonsense"
    client = Kube(type(api)(stranger))
    try:
        with pytest.raises(Unauthorized):
            await client.get(CONFIG_MAP, namespace, "c")
    finally:
        await client.close()
        await api.close()


async def test_a_routers_token_opens_its_namespace_and_no_other_token_does(
    kube: Kube, namespace: str, control_plane: Cluster
) -> None:
    def token(account: str, audience: str) -> str:
        return control_plane.run_kubectl(
            "create", "token", account, "--namespace", namespace, "--audience", audience
        ).strip()

    for name in ("modeldeploy-router", "somebody"):
        account = {"apiVersion": "v1", "kind": "ServiceAccount"}
        await kube.create({**account, "metadata": {"namespace": namespace, "name": name}})
    authenticate = TokenAuthenticator(kube.ask)
    assert await authenticate(token("modeldeploy-router", "modeldeploy-xds")) == namespace
    assert await authenticate(token("modeldeploy-router", "another")) is None
    assert await authenticate(token("somebody", "modeldeploy-xds")) is None
    assert await authenticate("nonsense") is None
