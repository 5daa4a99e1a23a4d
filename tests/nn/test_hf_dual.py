"""Which parts of a dual model its halves are."""

import pytest
from torch import nn

from dovetail.nn.hf_dual import FAMILIES, as_json, family_of, made
from tests.models.hf_duals import CONFIGS


def test_every_family_is_tried() -> None:
    assert {config["model_type"] for config in CONFIGS.values()} == set(FAMILIES)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_halves_have_every_parameter_but_the_scale(name: str) -> None:
    whole, family = made(CONFIGS[name]), family_of(CONFIGS[name])
    parts = [*family.image.of(whole), *family.text.of(whole)]
    held = {id(p) for part in parts for p in part.parameters()}
    assert [key for key, p in whole.named_parameters() if id(p) not in held] == [family.scale]
    assert isinstance(family.image.of(whole)[1], nn.Identity) == name.startswith("align")


def test_what_the_vector_does_not_depend_on_does_not_learn() -> None:
    whole = made(CONFIGS["align"])
    FAMILIES["align"].text.of(whole)
    assert [key for key, p in whole.named_parameters() if not p.requires_grad] == [
        "text_model.pooler.dense.weight",
        "text_model.pooler.dense.bias",
    ]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_says_all(name: str) -> None:
    config = as_json(made(CONFIGS[name]).config)
    assert as_json(made(config).config) == config


def test_another_model_type_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model_type must be one of align, .*, not 'clip'"):
        made({"model_type": "clip"})
