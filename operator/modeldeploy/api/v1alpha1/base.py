"""What all parts of the resource have in common."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

Rule = dict[str, str]
"""A CEL validation: `rule`, `message` and, where one field is to blame, `fieldPath`."""


class Part(BaseModel):
    """A part of the resource: camelCase outside, snake_case inside, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        serialize_by_alias=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()
    """CEL rules that the API server checks for this part."""


class StatusPart(Part):
    """A part of the status. Fields that a later operator wrote are passed over, not taken for damage."""

    model_config = ConfigDict(extra="ignore")


def dump(part: Part) -> dict[str, Any]:
    """A part as the API server keeps it: JSON values, no nulls."""
    return part.model_dump(mode="json", by_alias=True, exclude_none=True)
