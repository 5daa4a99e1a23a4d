"""Every class in the catalogue has a card, a short signature, and comes back from its configuration."""

import inspect
import json
from typing import Any

import pytest

from dovetail import catalogue
from dovetail.catalogue import Entry, configuration, contract_named, entry_of, rebuild
from tests.contracts.samples import Make, samples

ENTRIES = pytest.mark.parametrize("entry", catalogue.entries(), ids=lambda e: f"{e.contract}-{e.key}")
SAMPLES = pytest.mark.parametrize("make", samples())


@ENTRIES
def test_has_a_card(entry: Entry) -> None:
    assert entry.name and entry.summary.endswith(".")
    assert entry.citation["authors"] and entry.citation["title"]
    assert 1900 < int(entry.citation["year"]) < 2100
    assert entry.make.__doc__, "the class has a docstring, from which the options' help comes"


@ENTRIES
def test_has_a_signature_that_is_its_configuration(entry: Entry) -> None:
    assert len(entry.options) <= 12
    for name, option in entry.options.items():
        assert option.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD, f"{name} is neither *args nor **kwargs"
        assert option.annotation is not inspect.Parameter.empty, f"{name} has a type"
        assert f"{name}:" in (entry.make.__doc__ or ""), f"{name} is explained in the class's docstring"


@SAMPLES
def test_fulfils_its_contract(make: Make) -> None:
    made = make()
    assert isinstance(made, contract_named(entry_of(made).contract))


@SAMPLES
def test_comes_back_from_its_configuration(make: Make) -> None:
    made = make()
    stored = _through_json(configuration(made))
    again = rebuild(stored)
    assert type(again) is type(made)
    assert _through_json(configuration(again)) == stored
    assert stored["options"].keys() == entry_of(made).options.keys()


def _through_json(config: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(config, allow_nan=False))


@SAMPLES
def test_keeps_its_options_under_their_names(make: Make) -> None:
    made = make()
    missing = [name for name in entry_of(made).options if not hasattr(made, name)]
    assert not missing
