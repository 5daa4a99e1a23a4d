"""The text halves of transformers' dual models give the numbers of their `get_text_features`."""

import pytest
import torch

from dovetail.contracts import Tokens
from dovetail.methods.encoders.hf_dual_text import HFDualText
from dovetail.nn.hf_dual import family_of
from tests.models.hf_duals import CONFIGS, END, theirs, tokens


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("padded", [True, False])
def test_equals_transformers(name: str, padded: bool) -> None:
    model, tower = theirs(name), HFDualText(CONFIGS[name]).eval()
    tower.body, tower.projection = family_of(CONFIGS[name]).text.of(model)
    ids, mask = tokens()
    if not padded:
        ids, mask = ids[:1], mask[:1]
    with torch.no_grad():
        found, expected = tower(Tokens(ids, mask)), model.get_text_features(ids, mask.long())
    torch.testing.assert_close(found.pooled, expected.pooler_output, rtol=1e-5, atol=1e-5)
    assert found.tokens is not None
    torch.testing.assert_close(found.tokens[mask], expected.last_hidden_state[mask], rtol=1e-5, atol=1e-5)
    assert tower.vocabulary == 300 and tower.width == 24


@pytest.mark.parametrize("end, place", [(2, 10), (END, 11)])
def test_groupvit_pools_at_the_highest_id_or_at_the_end(end: int, place: int) -> None:
    tower = HFDualText(CONFIGS["groupvit" if end == 2 else "groupvit by id"]).eval()
    ids, mask = tokens(1)
    found = tower(Tokens(ids, mask))
    assert found.tokens is not None
    torch.testing.assert_close(found.pooled, tower.projection(found.tokens[:, place]))


def test_the_temperature_is_kept_as_it_was_stored() -> None:
    held = HFDualText(CONFIGS["align"]).temperature
    assert held is not None and torch.equal(held, torch.tensor(0.0613))
    assert HFDualText(CONFIGS["altclip"]).temperature is None
