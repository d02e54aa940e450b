"""Weights in a route that the user wrote: set, verified, and handed back.

The finalizer is on the ModelDeployment only for as long as there is such a route: an owner reference can't
put somebody else's weights back.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.errors import Conflict, Invalid, NotFound
from modeldeploy.adapters.kube.resources import HTTP_ROUTE, MODEL_DEPLOYMENT, REFERENCE_GRANT
from modeldeploy.api.v1alpha1 import GROUP
from modeldeploy.api.v1alpha1.traffic import RouteRef, Traffic
from modeldeploy.core.finding import Finding
from modeldeploy.core.naming import FIELD_MANAGER
from modeldeploy.core.traffic import Split
from modeldeploy.render.meta import Owner
from modeldeploy.render.traffic.plain_service import ROUTE
from modeldeploy.render.traffic.route_ref import granted, leads_here, limits, patch, place, weights

Object = Mapping[str, Any]

FINALIZER = f"{GROUP}/route"
BACK = (100, 0)
"""How a route is handed back: all to `<name>-stable`."""

UNTOUCHED = frozenset({"RouteLeadsElsewhere", "ReferenceNotGranted", "IncumbentNotSupported"})
"""Reasons for which nothing in the route is set."""


class RouteWeights:
    """Sets weights, and nothing else, in routes that aren't ours."""

    def __init__(self, kube: Kube, cache: Cache) -> None:
        self._kube = kube
        self._cache = cache

    async def look(
        self, of: Owner, traffic: Traffic, ref: RouteRef, split: Split
    ) -> tuple[tuple[Finding, ...], Object | None]:
        """What keeps the weights from having effect, and the route."""
        where = "/".join(place(of, ref))
        found = list(limits(traffic, split, where))
        try:
            route = await self._kube.get(HTTP_ROUTE, *place(of, ref))
        except NotFound:
            message = f"there is no HTTPRoute {where}; create it, or mend spec.traffic.routeRef"
            return (*found, Finding("RouteNotFound", message)), None
        if not leads_here(route, of):
            message = (
                f"no rule of HTTPRoute {where} leads to both Services {of.name}-stable and "
                f"{of.name}-candidate of namespace {of.namespace}; name both as backendRefs of one rule"
            )
            return (*found, Finding("RouteLeadsElsewhere", message)), route
        if route["metadata"]["namespace"] != of.namespace and not await self._granted(of, route):
            message = (
                f"HTTPRoute {where} may not lead to Services of namespace {of.namespace}, so it is left "
                f"as it is; create a ReferenceGrant in {of.namespace} from HTTPRoutes of namespace "
                f"{route['metadata']['namespace']} to Services"
            )
            return (*found, Finding("ReferenceNotGranted", message)), route
        return tuple(found), route

    async def set(self, of: Owner, traffic: Traffic, ref: RouteRef, split: Split) -> None:
        """Set the decided weights, unless something is in the way, which `look` tells.

        Raises:
            Conflict: Somebody changed the route meanwhile; try again.
        """
        findings, route = await self.look(of, traffic, ref, split)
        if route is not None and not any(one.reason in UNTOUCHED for one in findings):
            await self._hold(of)
            await self._patch(route, of, weights(split))

    async def release(self, of: Owner) -> None:
        """Hand back the route that was weighed, then let the ModelDeployment go.

        Raises:
            Conflict: Somebody changed the route meanwhile; try again.
        """
        held = self._cache.get("Service", of.namespace, f"{of.name}-stable") or {}
        namespace, _, name = (held.get("metadata", {}).get("annotations") or {}).get(ROUTE, "").partition("/")
        if name:
            with contextlib.suppress(NotFound):
                route = await self._kube.get(HTTP_ROUTE, namespace, name)
                await self._patch(route, of, BACK)
        await self._let_go(of)

    async def _patch(self, route: Object, of: Owner, shares: tuple[int, int]) -> None:
        operations = patch(route, of, shares)
        if not operations:
            return
        place = route["metadata"]["namespace"], route["metadata"]["name"]
        try:
            await self._kube.patch_json(HTTP_ROUTE, *place, operations, manager=FIELD_MANAGER)
        except Invalid as error:
            raise Conflict(f"HTTPRoute {'/'.join(place)} has changed: {error.message}") from error

    async def _granted(self, of: Owner, route: Object) -> bool:
        try:
            grants = await self._kube.list(REFERENCE_GRANT, of.namespace)
        except NotFound:  # this cluster doesn't know the kind
            return False
        return granted(grants.items, route["metadata"]["namespace"], of)

    async def _hold(self, of: Owner) -> None:
        obj = self._cache.get("ModelDeployment", of.namespace, of.name)
        present = (obj or {}).get("metadata", {}).get("finalizers") or []
        if obj is None or FINALIZER in present:
            return
        await self._finalizers(obj, [*present, FINALIZER])

    async def _let_go(self, of: Owner) -> None:
        obj = self._cache.get("ModelDeployment", of.namespace, of.name)
        present = (obj or {}).get("metadata", {}).get("finalizers") or []
        if obj is not None and FINALIZER in present:
            with contextlib.suppress(NotFound):
                await self._finalizers(obj, [one for one in present if one != FINALIZER])

    async def _finalizers(self, obj: Object, names: list[str]) -> None:
        """Set the finalizers if the object is still the one that we know."""
        meta = obj["metadata"]
        change = {"metadata": {"finalizers": names, "resourceVersion": meta["resourceVersion"]}}
        after = await self._kube.patch(
            MODEL_DEPLOYMENT, meta["namespace"], meta["name"], change, manager=FIELD_MANAGER
        )
        self._cache.wrote(after, alone=True)
