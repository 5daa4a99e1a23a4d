"""A language model between soft prompts against the same model on each item alone, and which families there are."""

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel

from dovetail.nn.lvlm import Prompted, freeze_idle, seen, stated, whole_model
from tests.contracts.samples import LVLM

PALIGEMMA: dict[str, Any] = {
    "model_type": "paligemma",
    "projection_dim": 32,
    "image_token_index": 299,
    "vision_config": {**LVLM["vision_config"], "model_type": "siglip_vision_model", "vision_use_head": False},
    "text_config": {**LVLM["text_config"], "model_type": "gemma", "num_key_value_heads": 2, "head_dim": 16},
}


def _prompted(lengths: tuple[int, int]) -> Prompted:
    config = AutoConfig.for_model(**LVLM["text_config"])
    return Prompted(AutoModel.from_config(config), lengths).eval()


@pytest.mark.parametrize("lengths", [(2, 3), (0, 1), (2, 0)])
@torch.no_grad()
def test_it_reads_prompt_item_prompt_whatever_the_padding(lengths: tuple[int, int]) -> None:
    made, x = _prompted(lengths), torch.randn(3, 6, 32)
    mask = torch.arange(6)[None] < torch.tensor([6, 2, 4])[:, None]
    pooled, states = made(x, mask)
    for i, n in enumerate((6, 2, 4)):
        frame = torch.cat([made.before, x[i, :n], made.after])[None]
        alone = made.language(inputs_embeds=frame).last_hidden_state[0]
        torch.testing.assert_close(pooled[i], alone[-1], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(states[i, :n], alone[lengths[0] : lengths[0] + n], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_what_follows_is_predicted_from_what_came_before() -> None:
    made, x, then = _prompted((1, 2)), torch.randn(2, 3, 32), torch.randn(2, 4, 32)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    found = made.continued(x, then, mask)
    for i, n in enumerate((4, 2)):
        frame = torch.cat([made.before, x[i], made.after, then[i, :n]])[None]
        alone = made.language(inputs_embeds=frame).last_hidden_state[0]
        torch.testing.assert_close(found[i, :n], alone[5 : 5 + n], rtol=1e-4, atol=1e-5)


def test_prompts_begin_as_words() -> None:
    made, ids = _prompted((1, 1)), torch.tensor([5, 9, 7])
    made.start(ids[:0], ids)
    assert made.before.shape == (0, 32) and not made.before.requires_grad
    assert torch.equal(made.after, made.embed(ids[None])[0]) and made.after.requires_grad


@pytest.mark.parametrize("config", [LVLM, PALIGEMMA], ids=["llava", "paligemma"])
def test_a_model_is_shown_what_transformers_shows_it(config: dict[str, Any]) -> None:
    whole, pixels = whole_model(None, config).eval(), torch.randn(2, 3, 32, 32)
    shown = seen(whole.model, pixels)
    assert shown.shape == (2, 16, 32)
    ids = torch.cat([torch.full((2, 16), 299), torch.tensor([[5, 6], [7, 8]])], 1)
    types = {"token_type_ids": torch.zeros_like(ids)} if config is PALIGEMMA else {}
    mask = torch.ones_like(ids)
    theirs = whole.model(input_ids=ids, pixel_values=pixels, attention_mask=mask, **types).last_hidden_state
    made = Prompted(whole.model.language_model, (0, 0))
    ours = made(torch.cat([shown, made.embed(ids[:, 16:])], 1), mask.bool())[0]
    torch.testing.assert_close(ours, theirs[:, -1], rtol=1e-4, atol=1e-5)
    assert whole_model(None, stated(whole)).config.model_type == config["model_type"]


def test_what_nothing_depends_on_learns_nothing() -> None:
    body = whole_model(None, LVLM).model
    freeze_idle(body, 32)
    idle = {n for n, p in body.named_parameters() if not p.requires_grad}
    assert any("layers.1." in n for n in idle) and not any("layers.0." in n for n in idle), "the last but one is read"
    side = [p for n, p in body.named_parameters() if p.requires_grad and not n.startswith("language_model.")]
    seen(body, torch.randn(1, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None for p in side)


def test_other_models_are_refused() -> None:
    for options in ((None, None), ("a", LVLM)):
        with pytest.raises(ValueError, match="either the name of a vision-language model or its config"):
            whole_model(*options)
    with pytest.raises(ValueError, match="model_type must be one of llava, paligemma, not 'bert'"):
        whole_model(None, {"model_type": "bert"})
