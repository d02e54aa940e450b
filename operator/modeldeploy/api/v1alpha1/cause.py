"""What moved the metrics, as far as the evidence tells."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from modeldeploy.api.v1alpha1.base import StatusPart


class Cause(StrEnum):
    """Why metrics moved."""

    NONE = "None"
    CANDIDATE = "Candidate"
    CANDIDATE_AND_WORLD = "CandidateAndWorld"
    ASSIGNMENT_BIASED = "AssignmentBiased"
    INTERFERENCE = "Interference"
    DATA_DRIFT = "DataDrift"
    CONCEPT_DRIFT = "ConceptDrift"
    SUSPECTED = "Suspected"
    CAPACITY = "Capacity"
    UNCERTAIN = "Uncertain"


class CauseStatus(StatusPart):
    """Why metrics moved, while they are moved."""

    cause: Cause = Field(
        description="Candidate, CandidateAndWorld, AssignmentBiased, Interference, DataDrift, ConceptDrift, "
        "Suspected, Capacity or Uncertain."
    )
    metrics: list[Annotated[str, StringConstraints(max_length=40)]] = Field(
        default_factory=list, max_length=32, description="The metrics that led to it."
    )
    note: str = Field(default="", max_length=240, description="What else did: requests that go another way.")
    since: datetime = Field(description="Since when this is the cause.")
