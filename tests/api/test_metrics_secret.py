"""What a metrics store is shown comes from a Secret that is read by its name, and follows its changes."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from cluster import Cluster
from modeldeploy.adapters import credentials
from modeldeploy.adapters.endpoint import Endpoint
from modeldeploy.adapters.history import Ticket
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.config import api_client
from modeldeploy.adapters.kube.resources import SECRET, Object
from modeldeploy.adapters.sampler import Sampler
from modeldeploy.adapters.stores import Own, Stores
from modeldeploy.core import judgement
from modeldeploy.core.judgement import NoData, QueryFailed, Roles
from unit.core.judgement.simulation import make_spec

pytestmark = pytest.mark.api

FIELD = "spec.monitoring.prometheus.secretName"
RULE = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["reader"], "verbs": ["get"]}


class Store:
    """A metrics store without series that wants a token, and counts by whom it is asked."""

    def __init__(self) -> None:
        self.token = "first"
        self.url = ""
        self.tenants: list[str | None] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.tenants.append(request.headers.get("X-Scope-OrgID"))
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401)
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": []}})


@pytest_asyncio.fixture
async def store() -> AsyncIterator[Store]:
    made, app = Store(), web.Application()
    app.router.add_get("/api/v1/query", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest_asyncio.fixture
async def reader(kubeconfig: Path, namespace: str, control_plane: Cluster) -> AsyncIterator[Kube]:
    """A client with the one right that the chart gives for a name in prometheus.secretNames."""
    user = f"reader-{namespace}"
    where = f"--namespace={namespace}"
    role: Object = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "reader", "namespace": namespace},
        "rules": [RULE],
    }
    control_plane.run_kubectl("apply", "--filename=-", given=json.dumps(role))
    control_plane.run_kubectl("create", "rolebinding", "reader", "--role=reader", f"--user={user}", where)
    api = await api_client(kubeconfig)
    api.set_default_header("Impersonate-User", user)
    made = Kube(api)
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "RETRY", 0.0)


def secret(namespace: str, token: str) -> Object:
    data = {"token": base64.b64encode(token.encode()).decode()}
    meta = {"name": "reader", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data}


async def outcome(sampler: Sampler, namespace: str, named: Endpoint) -> NoData | str:
    """What the judgement gets: no series (all is well here), or why not."""
    queries = judgement.queries(make_spec(), namespace, "model", Roles("aaaa"))
    answers = await sampler.ask(Ticket(namespace, "model", named), queries, datetime.now(UTC))
    [answer] = answers.values()
    assert isinstance(answer, NoData | QueryFailed)
    return answer.reason if isinstance(answer, QueryFailed) else answer


async def test_a_secret_is_read_by_its_name_and_its_changes_are_picked_up(
    kube: Kube, reader: Kube, namespace: str, store: Store
) -> None:
    stores = Stores("http://127.0.0.1:1", [store.url], secrets=["reader"], kube=reader)
    named = Endpoint(store.url, "reader", (), (("X-Scope-OrgID", "team-a"),))
    with closing(Sampler(stores)) as sampler:
        assert (await outcome(sampler, namespace, named)) == (
            f"Prometheus at {store.url}: {FIELD}: "
            f"there is no Secret reader in namespace {namespace}; create it"
        )
        assert store.tenants == []
        await kube.create(secret(namespace, "first"))
        assert await outcome(sampler, namespace, named) == NoData()
        store.token = "second"
        told = await outcome(sampler, namespace, named)
        assert str(told).endswith(
            "HTTP 401; it does not accept the token in Secret reader (key token); put one there that it does"
        )
        await kube.delete(SECRET, namespace, "reader")
        await kube.create(secret(namespace, "second"))
        assert await outcome(sampler, namespace, named) == NoData()
        assert set(store.tenants) == {"team-a"}


async def test_a_secret_that_was_not_allowed_is_not_read(
    kube: Kube, reader: Kube, namespace: str, store: Store
) -> None:
    await kube.create(secret(namespace, "first"))
    named = Endpoint(store.url, "reader")
    told = (
        f"{FIELD}: the operator may not read Secret reader; add it to the chart value prometheus.secretNames"
    )
    with closing(Sampler(Stores("", [store.url], secrets=["another"], kube=reader))) as sampler:
        assert sampler.complaint(named) == told
        assert await outcome(sampler, namespace, named) == told
    # Allowed here, but without the right there.
    other = Endpoint(store.url, "other")
    with closing(Sampler(Stores("", [store.url], secrets=["other"], kube=reader))) as sampler:
        assert sampler.complaint(other) is None
        assert str(await outcome(sampler, namespace, other)).endswith(told.replace("reader", "other"))
    assert store.tenants == []


async def test_what_the_operator_is_shown_by_is_no_objects_to_use(
    tmp_path: Path, namespace: str, store: Store
) -> None:
    (tmp_path / "token").write_text("first")
    own = Own(store.url, tmp_path)
    with closing(Sampler(Stores(own))) as sampler:
        assert await outcome(sampler, namespace, Endpoint(store.url)) == NoData()
        told = await outcome(sampler, namespace, Endpoint(store.url, headers=(("X-Scope-OrgID", "theirs"),)))
    assert str(told).endswith(f"HTTP 401; it asks for credentials; name a Secret in {FIELD}")
