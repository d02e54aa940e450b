"""How good each version is, and what is wrong with it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from digits import oip
from digits.dataset import Dataset, brightness
from digits.model import SLOW_SECONDS, DigitsModel
from digits.train import RECIPES, evaluate, train
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec

pytestmark = pytest.mark.unit

Data = tuple[Dataset, Dataset]
Models = dict[str, DigitsModel]
Reports = dict[str, dict[str, Any]]
EXAMPLE = Path(__file__).parents[3] / "examples" / "digits"


@pytest.fixture(scope="module")
def reports(models: Models, data: Data) -> Reports:
    return {version: evaluate(model, data[1]) for version, model in models.items()}


def test_held_out_images_are_not_trained_on(data: Data) -> None:
    training, held_out = ({image.tobytes() for image in part.images} for part in data)
    assert not training & held_out
    assert (len(data[0].labels), len(data[1].labels)) == (1347, 450)


def test_v1_is_good_v3_is_better(reports: Reports) -> None:
    assert reports["v1"]["held_out_accuracy"] > 0.94
    assert reports["v3"]["held_out_accuracy"] > reports["v1"]["held_out_accuracy"] + 0.02


@pytest.mark.parametrize("version", ["v2-nulls", "v2-slow", "v2-errors"])
def test_every_v2_looks_better_than_v1_offline(reports: Reports, version: str) -> None:
    assert reports[version]["held_out_accuracy"] > reports["v1"]["held_out_accuracy"] + 0.01


def test_v2_nulls_answers_null_to_a_fifth_to_a_third_of_the_images(reports: Reports) -> None:
    assert 0.2 <= reports["v2-nulls"]["null_share"] <= 0.33


def test_v2_errors_fails_on_about_one_request_in_ten(reports: Reports) -> None:
    share = reports["v2-errors"]["error_share"]
    requests = np.mean([1 - (1 - share) ** images for images in (1, 2, 3, 4)])
    assert 0.05 <= requests <= 0.15


def test_v2_slow_lets_far_more_than_one_request_in_twenty_wait_beyond_300_ms(models: Models) -> None:
    waits = [models["v2-slow"].wait_seconds() for _ in range(2000)]
    assert np.mean([wait > 0.3 for wait in waits]) == pytest.approx(0.3, abs=0.06)
    assert max(waits) <= SLOW_SECONDS[1]


@pytest.mark.parametrize("version", ["v1", "v3"])
def test_good_versions_answer_everything_at_once(models: Models, reports: Reports, version: str) -> None:
    report = reports[version]
    assert (report["null_share"], report["error_share"]) == (0, 0)
    assert models[version].wait_seconds() == 0


def test_training_again_gives_the_same_answers(models: Models, data: Data) -> None:
    again = train("v1", data[0])
    images = data[1].images
    assert models["v1"].predict(images, brightness(images)) == again.predict(images, brightness(images))


def test_a_missing_pixel_is_taken_as_the_typical_one(models: Models, data: Data) -> None:
    image = data[1].images[:1].copy()
    image[0, 20] = np.nan
    complete = models["v1"].complete(image)
    assert complete[0, 20] == data[0].images[:, 20].mean()
    assert (np.delete(complete, 20) == np.delete(image, 20)).all()


def test_server_and_images_agree_on_size_and_white(data: Data) -> None:
    assert data[0].images.shape[1] == oip.PIXELS
    assert data[0].images.max() == oip.WHITE


@pytest.mark.parametrize("version", RECIPES)
def test_each_version_has_a_manifest_that_the_resource_accepts(version: str) -> None:
    manifest = yaml.safe_load((EXAMPLE / f"{version}.yaml").read_text())
    spec = ModelDeploymentSpec.model_validate(manifest["spec"])
    assert manifest["metadata"] == {"name": "digits"}
    assert (spec.model.version, spec.server.image) == (version, f"localhost/digits:{version}")


def test_manifests_differ_in_nothing_but_the_version() -> None:
    def without_version(version: str) -> str:
        return (EXAMPLE / f"{version}.yaml").read_text().split("\n", 1)[1].replace(version, "VERSION")

    alpha_free = {version: without_version(version).replace("alpha1", "") for version in RECIPES}
    assert (
        len({text.replace("modeldeploy.dev/VERSION", "modeldeploy.dev/v1") for text in alpha_free.values()})
        == 1
    )
