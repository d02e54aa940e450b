"""What stands between a decision about traffic and the requests, at a provider that isn't ours to change."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a traffic provider lacks, or can't do.

    Attributes:
        reason: One word for programs.
        message: A sentence for people, with the mend.
        blocks: The decided traffic isn't served because of it; otherwise the rest of it is.
    """

    reason: str
    message: str
    blocks: bool = True
