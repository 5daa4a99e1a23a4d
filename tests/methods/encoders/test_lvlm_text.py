"""The text tower of a vision-language model against the whole model, and its folder."""

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText

from dovetail.catalogue import build
from dovetail.contracts import Encoder, Tokens
from tests.contracts.samples import LVLM


@pytest.mark.parametrize("tied", [False, True])
@torch.no_grad()
def test_a_folder_gives_its_weights_and_the_last_state(tied: bool, tmp_path: Path) -> None:
    config = {**LVLM, "tie_word_embeddings": tied, "text_config": {**LVLM["text_config"], "tie_word_embeddings": tied}}
    whole = AutoModelForImageTextToText.from_config(AutoConfig.for_model(**config)).eval()
    whole.save_pretrained(tmp_path / "lvlm")
    tower = build(f"lvlm_text('{tmp_path / 'lvlm'}', prompt=(1, 2))", Encoder).eval()
    tower.soft.start(torch.tensor([7]), torch.tensor([5, 6]))
    ids, mask = torch.randint(3, 299, (2, 5)), torch.arange(5)[None] < torch.tensor([5, 3])[:, None]
    found = tower(Tokens(ids, mask))
    for i, n in enumerate((5, 3)):
        alone = torch.cat([torch.tensor([7]), ids[i, :n], torch.tensor([5, 6])])[None]
        states = whole.model(input_ids=alone).last_hidden_state[0]
        torch.testing.assert_close(found.pooled[i], states[-1], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(tower.head(states), whole(input_ids=alone).logits[0], rtol=1e-4, atol=1e-5)
    assert (tower.out is None) == tied and tower.origin == str(tmp_path / "lvlm") and tower.vocabulary == 300
