import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from modeldeploy.adapters.xds.tokens import TokenAuthenticator, router_namespace, token_review

pytestmark = pytest.mark.unit
ROUTER = "system:serviceaccount:voice-search:modeldeploy-router"


def reviewed(
    username: str = ROUTER, *, authenticated: bool = True, audiences: tuple[str, ...] = ("modeldeploy-xds",)
) -> dict[str, Any]:
    user = {"username": username, "groups": ["system:serviceaccounts"]}
    return {"status": {"authenticated": authenticated, "user": user, "audiences": list(audiences)}}


def test_the_namespace_is_the_service_accounts() -> None:
    assert router_namespace(reviewed()) == "voice-search"


@pytest.mark.parametrize(
    "review",
    [
        {},
        {"status": {}},
        {"status": {"authenticated": True}},
        {"status": {"error": "invalid bearer token", "authenticated": False}},
        reviewed(authenticated=False),
        reviewed(audiences=()),
        reviewed(audiences=("https://kubernetes.default.svc",)),
        reviewed("system:serviceaccount:voice-search:default"),
        reviewed("system:serviceaccount::modeldeploy-router"),
        reviewed("system:serviceaccount:a:b:modeldeploy-router"),
        reviewed("modeldeploy-router"),
        reviewed("system:node:voice-search:modeldeploy-router"),
        reviewed(""),
    ],
)
def test_anything_else_is_no_router(review: Mapping[str, Any]) -> None:
    assert router_namespace(review) is None


def test_the_review_asks_for_our_audience() -> None:
    spec = token_review("shown")["spec"]

    assert list(spec.values()) == ["shown", ["modeldeploy-xds"]]


async def test_a_token_is_asked_about_once_in_a_while() -> None:
    asked: list[str] = []

    async def review(body: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(body["spec"]["token"])
        await asyncio.sleep(0)
        return reviewed() if asked[-1] == "good" else reviewed(authenticated=False)

    authenticate = TokenAuthenticator(review)
    assert await authenticate("good") == "voice-search"
    assert await authenticate("bad") is None
    again = await asyncio.gather(*(authenticate(token) for token in ("good", "bad") * 20))

    assert again == ["voice-search", None] * 20
    assert asked == ["good", "bad"]


async def test_a_failed_review_is_not_remembered() -> None:
    away = iter([True, False])

    async def review(_: Mapping[str, Any]) -> Mapping[str, Any]:
        if next(away):
            raise OSError("no API server")
        return reviewed()

    authenticate = TokenAuthenticator(review)
    with pytest.raises(OSError, match="no API server"):
        await authenticate("good")
    assert await authenticate("good") == "voice-search"
