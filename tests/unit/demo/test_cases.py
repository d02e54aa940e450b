import pytest
import yaml

from demo.cases import CASES, FIRST, REPOSITORY, first_beyond, first_counted, manifest

pytestmark = pytest.mark.unit


def series(pod: str, *values: tuple[float, int], **labels: str) -> dict[str, object]:
    return {"metric": {"pod": pod, **labels}, "values": [[at, str(value)] for at, value in values]}


@pytest.mark.parametrize("version", [FIRST, "v3", *(case.version for case in CASES.values())])
def test_only_the_image_is_rewritten(version: str) -> None:
    written = yaml.safe_load((REPOSITORY / "examples" / "digits" / f"{version}.yaml").read_text())
    made = manifest(version, "here/digits:1")
    assert made["spec"]["model"]["version"] == version
    assert made["spec"]["server"].pop("image") == "here/digits:1"
    written["spec"]["server"].pop("image")
    assert made == written


def test_a_fault_is_seen_at_the_first_count_of_any_pod() -> None:
    assert first_counted([series("a", (1, 0), (3, 2)), series("b", (2, 0), (2.5, 1))]) == 2.5
    assert first_counted([series("a", (1, 0))]) is None
    assert first_counted([]) is None


def test_a_slow_answer_is_one_beyond_the_bound_in_the_same_scrape() -> None:
    found = first_beyond(
        [
            series("a", (1, 5), (3, 9), le="300"),
            series("a", (1, 5), (3, 10), le="+Inf"),
            series("b", (2, 4), (4, 4), le="300"),
            series("b", (2, 4), (4, 6), le="+Inf"),
        ]
    )
    assert found == 3


def test_pods_that_are_all_quick_show_nothing() -> None:
    assert first_beyond([series("a", (1, 5), le="300"), series("b", (1, 5), le="+Inf")]) == 1
    assert first_beyond([series("a", (1, 5), le="300"), series("a", (1, 5), le="+Inf")]) is None
