"""Two operators of one installation: the acting one ends without a word, the other goes on."""

import time
from collections.abc import Iterator

import pytest

from e2e.reach import until
from e2e.support import SYSTEM, Installation, is_ready

pytestmark = pytest.mark.e2e

BAR = 10.0


@pytest.fixture(scope="module")
def doubled(installed: Installation) -> Iterator[Installation]:
    """The chart with `replicaCount: 2` and its own lease."""
    installed.install(replicaCount="2", **{"lease.durationSeconds": "8"})
    until(lambda: len([pod for pod in installed.pods("operator") if is_ready(pod)]) == 2, "two operators")
    yield installed
    installed.install()


def leader(installed: Installation) -> str:
    (lease,) = installed.api.list("Lease", SYSTEM)
    return str(lease["spec"].get("holderIdentity", ""))


def test_the_other_operator_acts_within_ten_seconds(doubled: Installation) -> None:
    with doubled.place() as place:
        first = leader(doubled)
        place.apply(place.manifest("v1", replicas=1))
        place.until_ready("v1")

        doubled.api.delete("Pod", SYSTEM, first, grace=0)
        killed = time.monotonic()
        following = place.manifest("v1", called="next", replicas=1)
        following["spec"]["monitoring"]["metrics"] = []  # nobody sends requests that could be judged
        place.apply(following)
        place.until(lambda status: "candidate" in status, "a look by the other operator", pause=0.05)
        taken = time.monotonic() - killed
        second = leader(doubled)
        print(f"acted after {taken:.1f} s")
        assert second not in {"", first}
        assert taken <= BAR
        # The routers find it too.
        place.until_ready("next")
