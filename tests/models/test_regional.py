"""Towers over regions: the same as the model's own, and phrases strung in reading order."""

import pytest
import torch
from torch import nn

from dovetail.contracts import Features, Regions, Tokens
from dovetail.data.records import DataError
from dovetail.models.regional import located, strung_phrases
from tests.contracts.samples import batch, dual_encoder, tokens


def test_the_towers_say_what_they_say_apart() -> None:
    model, data = dual_encoder().eval(), batch()
    assert data.regions is not None
    found = located(model, data, data.regions.phrases)
    torch.testing.assert_close(found.pairs.images.pooled, model.image_features(data.images).pooled)
    torch.testing.assert_close(found.pairs.texts.pooled, model.text_features(data.captions.tokens).pooled)
    torch.testing.assert_close(found.further, model.text_features(data.regions.phrases).pooled)
    assert found.tower.tokens is not None and found.tower.grid == (4, 4)
    one = tokens(1)
    none = located(model, data, Tokens(one.ids[:0], one.mask[:0]))
    assert none.further.shape == (0, 16)


def test_a_tower_without_patches_is_named() -> None:
    class Blind(nn.Module):
        width = token_width = 16

        def forward(self, x: torch.Tensor) -> Features:
            return Features(x.flatten(1)[:, :16])

    model, data = dual_encoder(), batch()
    model.image = Blind()
    with pytest.raises(DataError, match="Blind gives one vector an image and no patches"):
        located(model, data, data.captions.tokens)


def test_phrases_are_strung_in_reading_order() -> None:
    model = dual_encoder()
    phrases = model.tokenizer(["a cat", "two dogs", "a photo"])
    boxes = torch.tensor([[0.5, 0.1, 0.9, 0.4], [0.1, 0.1, 0.4, 0.4], [0.0, 0.5, 1.0, 1.0]])
    found = strung_phrases(model, Regions(boxes, torch.tensor([1, 1, 1]), phrases))
    assert model.tokenizer.decode(found.ids[0]) == "two dogs a cat a photo"
    order = torch.tensor([2, 0, 1])
    mixed = Tokens(phrases.ids[order], phrases.mask[order])
    other = Regions(boxes[order], torch.tensor([0, 1, 0]), mixed)
    assert [model.tokenizer.decode(ids) for ids in strung_phrases(model, other).ids] == ["two dogs a photo", "a cat"]


def test_where_padding_is_text_it_fills_the_context() -> None:
    model = dual_encoder()
    model.tokenizer.fill, model.tokenizer.pad = True, 7
    phrases = model.tokenizer(["a cat", "two dogs"])
    found = strung_phrases(model, Regions(torch.rand(2, 4), torch.tensor([0, 0]), phrases))
    assert found.ids.shape == (1, 32) and found.mask.all() and found.ids[0, -1] == 7
