"""Positions for other pictures and longer texts."""

import pytest
import timm.layers
import torch
from PIL import Image

from dovetail.data.records import DataError
from dovetail.methods.encoders.clip_text import ClipText
from dovetail.methods.encoders.clip_vit import ClipViT
from dovetail.methods.encoders.timm import Timm
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.resize import grid_resized, linear, preserving, resized
from tests.models.small import TEXTS, model


def test_a_grid_is_resized_as_timm_does() -> None:
    positions = torch.randn(1 + 49, 6)
    found = grid_resized(positions, 7, 12)
    wanted = timm.layers.resample_abs_pos_embed(positions[None], [12, 12], [7, 7], num_prefix_tokens=1)[0]
    assert torch.equal(found[0], positions[0])
    torch.testing.assert_close(found, wanted)


def test_long_clips_stretch_is_its_authors() -> None:
    """Their definition: four positions for each of the last 57, the last four along the last slope."""
    old = torch.randn(77, 5, dtype=torch.float64)
    wanted = torch.zeros(248, 5, dtype=torch.float64)
    for i in range(20):
        wanted[i] = old[i]
    for i in range(57 - 1):
        for quarter in range(4):
            wanted[4 * i + 20 + quarter] = old[i + 20] * (4 - quarter) / 4 + old[i + 21] * quarter / 4
    for quarter in range(4):
        wanted[248 - 4 + quarter] = old[76] + quarter * (old[76] - old[75]) / 4
    torch.testing.assert_close(preserving(old, 248), wanted)


def test_linear_spreads_the_old_range() -> None:
    old = torch.arange(4.0)[:, None]
    assert linear(old, 8)[:, 0].tolist() == [0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]


def _clip() -> DualEncoder:
    base = model()
    image = ClipViT(size=32, patch=8, width=16, depth=1, heads=2)
    text = ClipText(vocabulary=300, context=32, width=16, depth=1, heads=2)
    return DualEncoder(image, text, 12, base.preprocessing, base.tokenizer, base.alike).eval()


@pytest.mark.parametrize("make", [model, _clip])
def test_a_model_reads_larger_pictures_and_longer_texts(make: object) -> None:
    first = make()  # type: ignore[operator]
    second = resized(first, size=48, context=40, stretch=preserving)
    assert second.preprocessing.size == 48 and second.tokenizer.context == 40 and not second.training
    picture = Image.effect_noise((60, 50), 40).convert("RGB")
    assert second.encode_image([picture]).shape == (1, 12)
    long = "a red circle " * 30
    assert second.tokenizer([long]).ids.shape[1] == 40
    assert second.encode_text([long]).shape == (1, 12)
    short = [text for text in TEXTS if first.tokenizer([text]).ids.shape[1] <= 20]  # the positions that are kept
    assert len(short) > 2
    assert first.encode_text(short) == pytest.approx(second.encode_text(short), abs=1e-5)
    assert first.preprocessing.size == 32 and first.tokenizer.context == 32 and len(first.text.positions) == 32
    assert second.image_projection is first.image_projection


def test_nothing_asked_for_changes_nothing() -> None:
    first = model()
    second = resized(first, size=32, context=32)
    assert second.image is first.image and second.text is first.text


def test_a_shorter_context_keeps_the_first_positions() -> None:
    first = model()
    assert torch.equal(resized(first, context=10).text.positions, first.text.positions[:10])


def test_what_cannot_be_resized_is_refused() -> None:
    first = model()
    with pytest.raises(DataError, match="--size 50 is no multiple of the patches of 8 pixels"):
        resized(first, size=50)
    first.image = Timm("test_resnet", size=32)
    with pytest.raises(DataError, match="Timm has no grid of positions"):
        resized(first, size=64)
    with pytest.raises(DataError, match="no positions beyond the first 20 to stretch"):
        preserving(torch.randn(20, 3), 40)
