"""`version_info`: what a router says it has, also to an operator that has never met it.

`<hash>;<name>@<uid>=<generation>;…`: a hash of the resources that the router asked for, then the traffic
generation of every model of its namespace at the time. Envoy repeats the last accepted version of each type
on a new stream.
"""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

_UID_LENGTH = 8


class Generation(NamedTuple):
    """A model's traffic generation; comparable only where `uid` is the same."""

    uid: str
    number: int


def fingerprint(digests: Mapping[str, str]) -> str:
    """Hash over resource names and the digests of their contents."""
    text = "\n".join(f"{name} {mark}" for name, mark in sorted(digests.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def render(mark: str, generations: Mapping[str, Generation]) -> str:
    """The text of a version."""
    models = (f"{name}@{made.uid[:_UID_LENGTH]}={made.number}" for name, made in sorted(generations.items()))
    return ";".join((mark, *models))


def parse(text: str) -> tuple[str, dict[str, Generation]]:
    """The hash and the generations of a version; what is not in our form tells nothing."""
    mark, *models = text.split(";")
    generations = {}
    for model in models:
        name, _, made = model.partition("@")
        uid, _, number = made.partition("=")
        if not number.isdecimal():
            return "", {}
        generations[name] = Generation(uid, int(number))
    return mark, generations


def older(ours: Generation, theirs: Generation) -> bool:
    """Whether `ours` is an earlier state of the same object as `theirs`."""
    return ours.uid[:_UID_LENGTH] == theirs.uid[:_UID_LENGTH] and ours.number < theirs.number
