"""The configuration of one namespace's routers at one moment."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modeldeploy.adapters.xds.resources import Resource, pack
from modeldeploy.adapters.xds.version import Generation
from modeldeploy.core import naming
from modeldeploy.render.traffic import router
from modeldeploy.render.traffic.model import RoutedModel

Resources = Mapping[str, Resource]


@dataclass(frozen=True, slots=True)
class Part:
    """One model's share of a snapshot.

    Attributes:
        model: The model as it was published.
        resources: `{type URL: {resource name: resource}}`.
    """

    model: RoutedModel
    resources: Mapping[str, Resources]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All resources of a namespace.

    Attributes:
        parts: What each model contributed, by its name.
        resources: All of it: `{type URL: {resource name: resource}}`.
        generations: Traffic generation of each model, by name.
    """

    parts: Mapping[str, Part] = field(default_factory=dict)
    resources: Mapping[str, Resources] = field(default_factory=dict)
    generations: Mapping[str, Generation] = field(default_factory=dict)

    def of(self, type_url: str) -> Resources:
        """Resources of one type by name."""
        return self.resources.get(type_url, {})

    def succeeded_by(self, models: Iterable[RoutedModel]) -> "Snapshot":
        """The snapshot of `models`.

        A model whose generation is lower than the one here (a cache that ran behind) keeps what it has. What
        didn't change is taken over, so that a change of one model among many costs one model's work.
        """
        parts = {model.name: self._part(model) for model in models}
        resources: dict[str, dict[str, Resource]] = {}
        for part in parts.values():
            for type_url, found in part.resources.items():
                resources.setdefault(type_url, {}).update(found)
        generations = {name: Generation(p.model.uid, p.model.generation) for name, p in parts.items()}
        return Snapshot(parts, resources, generations)

    def _part(self, model: RoutedModel) -> Part:
        known = self.parts.get(model.name)
        if known is not None:
            late = known.model.uid == model.uid and known.model.generation > model.generation
            if late or known.model == model:
                return known
        rendered = router.resources([model])
        packed = {
            url: {name: self._packed(url, name, content) for name, content in found.items()}
            for url, found in rendered.items()
        }
        return Part(model, packed)

    def _packed(self, type_url: str, name: str, content: dict[str, Any]) -> Resource:
        digest = naming.digest(content, 16)
        known = self.of(type_url).get(name)
        return (
            known
            if known is not None and known.digest == digest
            else Resource(digest, pack(type_url, content))
        )
