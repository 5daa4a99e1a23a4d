"""What every claim must be, whichever method makes it."""

from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from dovetail.catalogue import configuration, entries
from dovetail.data.images import decode
from dovetail.data.records import DataError
from dovetail.data.survey import survey
from dovetail.data.worlds import Scenes
from dovetail.evaluation.claims.claim import Found
from dovetail.evaluation.claims.finding import NAMES, claim_of
from dovetail.evaluation.claims.runner import verify
from dovetail.evaluation.claims.sources import opened
from dovetail.training.assemble import check_requirements, make_objective

CLAIMS = [pytest.param(f, id=f"{f.key}-{s}") for e in entries() for s in NAMES if (f := claim_of(e, s))]


def keys(config: Any) -> set[str]:
    """The methods in a configuration."""
    if isinstance(config, dict) and "method" in config:
        return {config["method"], *(k for v in config["options"].values() for k in keys(v))}
    return {k for v in config for k in keys(v)} if isinstance(config, list) else set()


@pytest.mark.parametrize("found", CLAIMS)
def test_it_is_about_its_method_and_equal_otherwise(found: Found) -> None:
    claim = found.claim
    parts = {role: keys(configuration(make_objective(recipe.objective))) for role, recipe in claim.roles.items()}
    towers = {role: {recipe.image, recipe.text} for role, recipe in claim.roles.items()}
    assert found.key in parts["method"] or any(found.key in str(tower) for tower in towers["method"])
    assert claim.method != claim.baseline
    assert claim.method.steps == claim.baseline.steps and claim.method.augment == claim.baseline.augment
    assert claim.says.endswith(".") and len(claim.says) > 30


@pytest.mark.parametrize("found", CLAIMS)
def test_its_data_is_what_its_objectives_need(found: Found) -> None:
    train = found.claim.train
    some = replace(train, count=64) if isinstance(train, Scenes) else train
    try:
        surveyed = survey([opened(some)], decode, sample=4)
    except DataError as error:
        pytest.skip(str(error))  # files that are not on this machine
    for recipe in found.claim.roles.values():
        check_requirements(make_objective(recipe.objective), surveyed, recipe.sub_captions)


@pytest.mark.claim
@pytest.mark.parametrize("found", [c for c in CLAIMS if c.values[0].scale == "cpu"])
def test_it_can_be_run(found: Found, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What `dovetail verify` does; the verdict may be any."""
    work = tmp_path_factory.getbasetemp() / "claims"
    (outcome,) = verify([found], work / "results", work / "trainings", console=Console(quiet=True))
    assert len(outcome.seeds) >= 3 and outcome.difference.low <= outcome.difference.value <= outcome.difference.high
