"""TraefikServices, which IngressRoutes of the user's own lead to.

- `<name>` shares requests by weight.
- `<name>-shadow` stands between it and stable while requests are copied.
- `<name>-preview` leads to the candidate while a preview step lets people reach it.

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
    shares = targets(owner, traffic, split)
    if not shares:
        return []
    made = []
    weighted = [_leads_to(share) | {"weight": share.weight} for share in shares]
    if split.candidate and split.mirror:
        copies = _leads_to(target(owner, traffic, split.candidate)) | {"percent": split.mirror}
        made.append(_service(owner, "-shadow", {"mirroring": _leads_to(shares[0]) | {"mirrors": [copies]}}))
        weighted[0] = {"kind": "TraefikService", "name": f"{owner.name}-shadow", "weight": shares[0].weight}
    if split.candidate and split.preview:
        only = _leads_to(target(owner, traffic, split.candidate)) | {"weight": 1}
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
