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
class Snapshot:
    """All resources of a namespace.

    Attributes:
        models: The models by name, as they were published.
        resources: `{type URL: {resource name: resource}}`.
        generations: Traffic generation of each model, by name.
    """

    models: Mapping[str, RoutedModel] = field(default_factory=dict)
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
        kept = {model.name: self._newest(model) for model in models}
        resources: dict[str, dict[str, Resource]] = {}
        for model in kept.values():
            for type_url, found in self._rendered(model).items():
                resources.setdefault(type_url, {}).update(found)
        generations = {name: Generation(model.uid, model.generation) for name, model in kept.items()}
        return Snapshot(kept, resources, generations)

    def _newest(self, model: RoutedModel) -> RoutedModel:
        known = self.models.get(model.name)
        if known is not None and known.uid == model.uid and known.generation > model.generation:
            return known
        return model

    def _rendered(self, model: RoutedModel) -> dict[str, dict[str, Resource]]:
        rendered = router.resources([model])
        if self.models.get(model.name) == model:
            return {url: {name: self.of(url)[name] for name in found} for url, found in rendered.items()}
        return {
            url: {name: self._packed(url, name, content) for name, content in found.items()}
            for url, found in rendered.items()
        }

    def _packed(self, type_url: str, name: str, content: dict[str, Any]) -> Resource:
        digest = naming.digest(content, 16)
        known = self.of(type_url).get(name)
        return (
            known
            if known is not None and known.digest == digest
            else Resource(digest, pack(type_url, content))
        )
