"""TraefikServices, which IngressRoutes of the user's own lead to.

- `<name>` shares requests by weight.
- `<name>-shadow` stands between it and stable while requests are copied.
- `<name>-preview` leads to the candidate while a preview step lets people reach it.

A service that can't be resolved, or has no ready pod, makes Traefik drop all that leads to it, the other
backends too (unless its provider runs with `allowEmptyServices`). So a candidate appears only with its first
share, when its Service is long known, and by that Service's address (`nativeLB`), which is there without any
pod: a candidate that loses its pods fails its own share, not everybody's.

With `sticky` a cookie names the revision. It outlives a change of weights, so growing weights move new
clients only; a revision without a share is not kept to.
"""

from typing import Any

from modeldeploy.api.v1alpha1.traffic import Traffic
from modeldeploy.core.traffic import Split
from modeldeploy.render.meta import Owner, child
from modeldeploy.render.traffic.plain_service import Target, target, targets

Object = dict[str, Any]

API_VERSION = "traefik.io/v1alpha1"


def services(owner: Owner, traffic: Traffic, split: Split) -> list[Object]:
    """The TraefikServices of the decided traffic, in the order in which they must appear."""
    shares = [share for share in targets(owner, traffic, split) if share.weight]
    if not shares:
        return []
    made = []
    candidate = target(owner, traffic, split.candidate) if split.candidate else None
    weighted = [
        (_by_address(share) if candidate and share.service == candidate.service else _leads_to(share))
        | {"weight": share.weight}
        for share in shares
    ]
    if candidate and split.mirror:
        copies = _by_address(candidate) | {"percent": split.mirror}
        made.append(_service(owner, "-shadow", {"mirroring": _leads_to(shares[0]) | {"mirrors": [copies]}}))
        weighted[0] = {"kind": "TraefikService", "name": f"{owner.name}-shadow", "weight": shares[0].weight}
    if candidate and split.preview:
        only = _by_address(candidate) | {"weight": 1}
        made.append(_service(owner, "-preview", {"weighted": {"services": [only]}}))
    spec: Object = {"services": weighted}
    if traffic.sticky:
        cookie = {"name": f"modeldeploy-{owner.name}", "httpOnly": True, "path": "/"}
        spec["sticky"] = {"cookie": cookie}
    return [*made, _service(owner, "", {"weighted": spec})]


def _service(owner: Owner, suffix: str, spec: Object) -> Object:
    head = child(API_VERSION, "TraefikService", owner, None)
    head["metadata"]["name"] += suffix
    return head | {"spec": spec}


def _leads_to(share: Target) -> Object:
    return {"kind": "Service", "name": share.service, "port": share.port}


def _by_address(share: Target) -> Object:
    return _leads_to(share) | {"nativeLB": True}
