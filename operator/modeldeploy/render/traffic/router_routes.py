"""A model's route table: weights, copies, previews, and the generation that they belong to.

A client's cookie is its place in the split: a hash of it, modulo 100, falls into stable's share or, at the
upper end, into the candidate's. So every router pod answers alike without remembering anything, and a growing
candidate takes clients from stable only. A client without a cookie is given its own first request's id as
one, and that request is placed by the same hash.
"""

import re
from typing import Any

from modeldeploy.render.traffic.envoy import TYPE, seconds
from modeldeploy.render.traffic.model import GENERATION_HOST, REVISION_HEADER, RoutedModel, Trial
from modeldeploy.render.traffic.router_clusters import ANSWERS, BODY_BYTES

Route = dict[str, Any]

REQUEST_ID = "x-request-id"
_COOKIE_SECONDS = 30 * 24 * 3600


def routes(model: RoutedModel) -> dict[str, Any]:
    """The route table of a model at one of its ports."""
    generation = {"status": 200, "body": {"inline_string": str(model.generation)}}
    told = {
        "name": "generation",
        "domains": [GENERATION_HOST],
        "routes": [{"match": {"prefix": "/"}, "direct_response": generation}],
    }
    trial = _reachable_trial(model)
    hosts = [_host(model, "model", "*", [*_preview_by_header(model, trial), *_split(model, trial)])]
    if trial and trial.hostname and trial.hostname != GENERATION_HOST:
        led = [_candidate(model, trial, {"prefix": "/"})]
        hosts.append(_host(model, "preview", trial.hostname, led))
    return {"name": model.key, "ignore_port_in_host_matching": True, "virtual_hosts": [told, *hosts]}


def cookie_name(model: RoutedModel) -> str:
    """Name of the cookie by which a client stays with a revision."""
    return f"modeldeploy-{model.name}"


def _host(model: RoutedModel, name: str, domain: str, held: list[Route]) -> dict[str, Any]:
    encrypted = {"require_tls": "ALL"} if model.tls_secret else {}
    return {"name": name, "domains": [domain], **encrypted, "routes": held}


def _reachable_trial(model: RoutedModel) -> Trial | None:
    known = {backend.revision for backend in model.backends}
    return model.trial if model.trial and model.trial.revision in known else None


def _preview_by_header(model: RoutedModel, trial: Trial | None) -> list[Route]:
    if trial is None or trial.header is None:
        return []
    name, value = trial.header
    match = {"prefix": "/", "headers": [{"name": name, "string_match": {"exact": value}}]}
    return [_candidate(model, trial, match)]


def _candidate(model: RoutedModel, trial: Trial, match: dict[str, Any]) -> Route:
    action = {"cluster": model.cluster(trial.revision), **_common(model)}
    return _answered(match, action, [_revision_header(trial.revision)])


def _split(model: RoutedModel, trial: Trial | None) -> list[Route]:
    weighted = _weighted(model)
    if not weighted:
        nothing = f"no revision of {model.key} takes requests yet\n"
        answer = {"status": 503, "body": {"inline_string": nothing}}
        return [{"match": {"prefix": "/"}, "direct_response": answer}]
    action = {"weighted_clusters": {"clusters": weighted}, **_common(model)}
    split = _sticky(model, action) if model.sticky else [_answered({"prefix": "/"}, action)]
    return _copied(model, trial, split) if trial and trial.mirror else split


def _weighted(model: RoutedModel) -> list[dict[str, Any]]:
    # The candidate last: with growing weight its share grows downwards, into stable's.
    last = model.trial.revision if model.trial else None
    ordered = sorted(model.backends, key=lambda backend: (backend.revision == last, backend.revision))
    return [
        {
            "name": model.cluster(backend.revision),
            "weight": backend.weight,
            "response_headers_to_add": [_revision_header(backend.revision)],
        }
        for backend in ordered
        if backend.weight > 0
    ]


def _sticky(model: RoutedModel, action: dict[str, Any]) -> list[Route]:
    name = cookie_name(model)
    held = {**action["weighted_clusters"], "use_hash_policy": True}
    known = f"(?:.*;)?[ \\t]*{re.escape(name)}=[^; ].*"
    match = {"prefix": "/", "headers": [{"name": "cookie", "string_match": {"safe_regex": {"regex": known}}}]}
    lasting = f"Max-Age={_COOKIE_SECONDS}; Path=/; HttpOnly; SameSite=Lax"
    given = {
        "header": {"key": "set-cookie", "value": f"{name}=%REQ({REQUEST_ID})%; {lasting}"},
        "append_action": "APPEND_IF_EXISTS_OR_ADD",
    }
    by_cookie = {"weighted_clusters": held, "hash_policy": [{"cookie": {"name": name}}]}
    by_request = {"weighted_clusters": held, "hash_policy": [{"header": {"header_name": REQUEST_ID}}]}
    return [
        _answered(match, {**action, **by_cookie}),
        _answered({"prefix": "/"}, {**action, **by_request}, [given]),
    ]


def _copied(model: RoutedModel, trial: Trial, split: list[Route]) -> list[Route]:
    """The same with copies for the candidate, but of requests known to be too long to wait as one."""
    copies = {
        "cluster": model.cluster(trial.revision),
        "runtime_fraction": {"default_value": {"numerator": trial.mirror, "denominator": "HUNDRED"}},
        "disable_shadow_host_suffix_append": True,
    }
    long = {"name": "content-length", "range_match": {"start": BODY_BYTES, "end": 2**62}}
    uncopied = [
        {**route, "match": {**route["match"], "headers": [*route["match"].get("headers", ()), long]}}
        for route in split
    ]
    copied = [{**route, "route": {**route["route"], "request_mirror_policies": [copies]}} for route in split]
    return [*uncopied, *copied]


def _answered(match: dict[str, Any], action: dict[str, Any], headers: list[Any] | None = None) -> Route:
    return {
        "match": match,
        "route": action,
        **({"response_headers_to_add": headers} if headers else {}),
        # What has come of an upload is kept until the answer begins, so that it can go to another pod when
        # the first one is gone; a longer one has only one try.
        "request_body_buffer_limit": BODY_BYTES,
    }


def _revision_header(revision: str) -> dict[str, Any]:
    return {
        "header": {"key": REVISION_HEADER, "value": revision},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }


def _common(model: RoutedModel) -> dict[str, Any]:
    bounded = model.timeout_s is not None and model.timeout_s > 0
    return {
        "timeout": seconds(model.timeout_s if bounded and model.timeout_s else 0),
        "idle_timeout": seconds(0 if bounded else model.stream_idle_s),
        "priority": ANSWERS,
        "retry_policy": _retries(),
    }


def _retries() -> dict[str, Any]:
    # Only what can't have reached a model is sent again. The first retry goes to the other priority: when a
    # pod is gone the Service's ClusterIP is still kept right by kube-proxy, the other pods' addresses may not
    # be.
    return {
        "retry_on": "connect-failure,refused-stream,reset-before-request",
        "num_retries": 5,
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {
                "@type": TYPE
                + "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                "update_frequency": 1,
            },
        },
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": TYPE + "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
                },
            },
        ],
        "host_selection_retry_max_attempts": 5,
        "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.1s"},
    }
