import pytest
import yaml

from modeldeploy.api.v1alpha1.status import Verdict
from unit.cli.backtest.files import Given, manifest
from unit.core.backtest.past import Past
from unit.core.judgement.simulation import SEVEN, Rates, make_spec


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    folder = tmp_path_factory.mktemp("backtest")
    past = Past(
        make_spec(*SEVEN),
        seed=5,
        candidate_rates=lambda at: Rates(nulls=0.15) if at >= 300 else Rates(),
        history=300.0,
    )
    found_at = next(
        at
        for at, says in past.live(600.0)
        if any(one.name == "nulls" and one.verdict is Verdict.BREACH for one in says)
    )
    given = Given(folder / "digits.yaml", folder / "past.om", folder / "past.csv", found_at)
    given.manifest.write_text(yaml.safe_dump(manifest()))
    given.openmetrics.write_text(past.openmetrics())
    given.table.write_text(past.table())
    return given
