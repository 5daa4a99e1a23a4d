"""Low-rank adaptation: what is trained, what the adapter's folder holds, and what merging gives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from torch import nn

import dovetail
from dovetail.contracts import Features
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import CheckpointError
from dovetail.models.lora import adapted, add_lora, has_lora, linear_maps, merge, merged, write_adapter
from dovetail.models.pretrained import save
from tests.models.small import TEXTS, model, pictures


class Attending(nn.Module):
    """An image tower with torch's fused attention."""

    width = token_width = 16
    size = 32

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> Features:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = tokens + self.attention(tokens, tokens, tokens)[0]
        return Features(tokens.mean(1), tokens)


def _attending() -> DualEncoder:
    base = model()
    return DualEncoder(Attending(), base.text, 12, base.preprocessing, base.tokenizer, base.alike).eval()


def _moved(made: DualEncoder) -> DualEncoder:
    """Its low-rank maps as training would leave them: not zero."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, p in made.named_parameters():
            if "lora_" in name:
                p.normal_(std=0.2)
    return made


@pytest.mark.parametrize("make", [model, _attending])
def test_it_starts_as_the_original_and_trains_the_maps_alone(make: object) -> None:
    torch.manual_seed(0)
    made = make()  # type: ignore[operator]
    before = made.encode_text(TEXTS), made.encode_image(pictures(3))
    add_lora(made, rank=2)
    assert has_lora(made)
    assert np.array_equal(made.encode_text(TEXTS), before[0])
    np.testing.assert_allclose(made.encode_image(pictures(3)), before[1], atol=1e-6)
    trained = [n for n, p in made.named_parameters() if p.requires_grad]
    assert trained and all("lora_" in n for n in trained)
    assert all(n.startswith(("image.", "text.")) for n in trained)


@pytest.mark.parametrize("make", [model, _attending])
def test_merging_adds_the_maps(make: object) -> None:
    torch.manual_seed(0)
    made = make()  # type: ignore[operator]
    plain = made.encode_image(pictures(3))
    names = made.state_dict().keys()
    add_lora(made, rank=2)
    _moved(made)
    whole = merged(made)
    assert whole.state_dict().keys() == names and not has_lora(whole) and has_lora(made)
    assert all(p.requires_grad for p in whole.parameters())
    np.testing.assert_allclose(whole.encode_image(pictures(3)), made.encode_image(pictures(3)), atol=1e-5)
    np.testing.assert_allclose(whole.encode_text(TEXTS), made.encode_text(TEXTS), atol=1e-5)
    assert np.abs(whole.encode_image(pictures(3)) - plain).max() > 0.01


def test_the_factor_is_alpha_over_the_rank() -> None:
    torch.manual_seed(0)
    made = model()
    name = linear_maps(made)[0]
    before = made.get_submodule(name).weight.detach().clone()
    add_lora(made, rank=4, alpha=2)
    _moved(made)
    layer = made.get_submodule(name)
    a, b = layer.lora_A["default"].weight.detach(), layer.lora_B["default"].weight.detach()
    torch.testing.assert_close(merged(made).get_submodule(name).weight.detach(), before + 2 / 4 * b @ a)


def test_gradients_reach_the_fused_map() -> None:
    made = _attending()
    add_lora(made, rank=2)
    _moved(made)
    made.image_features(torch.randn(2, 3, 32, 32)).pooled.sum().backward()
    found = [n for n, p in made.named_parameters() if p.grad is not None and p.grad.abs().max() > 0]
    assert any(n.startswith("image.attention.lora_A") for n in found)


def test_peft_opens_the_folder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = model()
    save(made, tmp_path / "base")
    add_lora(made, rank=2)
    _moved(made)
    folder = write_adapter(made, tmp_path / "adapter", str(tmp_path / "base"))
    assert sorted(p.name for p in folder.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    theirs = PeftModel.from_pretrained(dovetail.load(tmp_path / "base"), str(folder)).eval()
    tokens = made.tokenizer(TEXTS)
    with torch.no_grad():
        wanted = made.text_features(tokens).pooled
        torch.testing.assert_close(theirs.text_features(tokens).pooled, wanted, rtol=1e-5, atol=1e-5)
    ours = adapted(dovetail.load(tmp_path / "base"), folder)
    np.testing.assert_allclose(ours.encode_text(TEXTS), made.encode_text(TEXTS), atol=1e-5)
    opened = dovetail.load(folder)
    assert np.array_equal(opened.encode_text(TEXTS), ours.eval().encode_text(TEXTS))


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    made = model(width=32)
    add_lora(made, rank=2)
    folder = write_adapter(made, tmp_path / "adapter", "elsewhere")
    with pytest.raises(CheckpointError, match=r"adapter_model.safetensors: has no .* of shape"):
        adapted(model(), folder)


def test_towers_without_linear_maps_are_refused() -> None:
    made = _attending()
    made.image, made.text = nn.Conv2d(3, 3, 1), nn.Embedding(3, 3)
    with pytest.raises(ValueError, match="no linear map that LoRA could adapt is in image or text"):
        add_lora(made)


def test_one_part_alone_and_merged_in_place() -> None:
    torch.manual_seed(0)
    made = model()
    names, pixels = set(made.state_dict()), made.encode_image(pictures(3))
    add_lora(made, rank=2, parts=("text.transformer.blocks",))
    assert {n.split(".lora_")[0] for n, p in made.named_parameters() if p.requires_grad} == {
        n for n in linear_maps(model()) if n.startswith("text.transformer.blocks.")
    }
    tuned = _moved(made).encode_text(TEXTS)
    merge(made)
    assert set(made.state_dict()) == names and not has_lora(made) and all(p.requires_grad for p in made.parameters())
    np.testing.assert_allclose(made.encode_text(TEXTS), tuned, atol=1e-5)
    assert np.array_equal(made.encode_image(pictures(3)), pixels)
