"""A status that a later operator wrote must not be taken for damage: models would be taken for lost."""

import pytest

from modeldeploy.core.request import read_spec, read_status

pytestmark = pytest.mark.unit


def test_fields_of_a_later_version_are_passed_over() -> None:
    stable = {"revision": "0a1b2c3d", "modelVersion": "v1", "weight": 100, "mirrored": 3}
    status = read_status({"status": {"stable": stable, "trafficGeneration": 4, "shadow": {}}})
    assert status.stable is not None
    assert status.stable.revision == "0a1b2c3d"
    assert status.traffic_generation == 4


def test_damage_gives_an_empty_status() -> None:
    assert read_status({"status": {"trafficGeneration": "many"}}).stable is None


def test_every_wrong_field_of_a_spec_is_named() -> None:
    found = read_spec({"spec": {"model": {"version": "v1"}, "server": {"image": "i", "port": 0}, "extra": 1}})
    assert found.spec is None
    assert "spec.server.port: Input should be greater than or equal to 1 (got 0)" in str(found.invalid)
    assert "spec.extra" in str(found.invalid)
