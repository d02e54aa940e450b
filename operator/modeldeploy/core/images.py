"""Which image a revision really runs: a tag may lead to other content today than it did before."""

from modeldeploy.core.decision import Severity
from modeldeploy.core.draft import Draft, clip
from modeldeploy.core.snapshot import Snapshot

LONGEST = 512
"""Characters of the images of one revision; there is more than one only where a tag has moved."""


def note(draft: Draft, snapshot: Snapshot) -> Draft:
    """The same with the images of running revisions, by digest; another one within a revision is told."""
    status = draft.status
    roles = (status.stable, status.candidate, status.successor, status.previous, *status.draining)
    kept = {}
    for name in sorted({role.revision for role in roles if role}):
        workload, known = snapshot.observed.workloads.get(name), status.images.get(name, "")
        found = workload.images if workload else ()
        kept[name] = clip(" ".join(found), LONGEST) or known
        new = [image for image in found if image not in known]
        if known and new:
            message = (
                f"pods of revision {name} run {' and '.join(new)}, and ran {known} before: the tag leads to "
                "other content now. Name the image by its digest, or by a tag that never moves"
            )
            draft = draft.with_event(Severity.WARNING, "ImageChanged", message)
    kept = {name: images for name, images in kept.items() if images}
    return draft if kept == status.images else draft.with_status(images=kept)
