"""A dual encoder with renamed weights is the CLIP they came from: values, and the gradients of a training step."""

import pytest
import torch
from open_clip.loss import ClipLoss, SigLipLoss
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

from dovetail.contracts import PairLoss
from dovetail.data.preprocessing import Preprocessing
from dovetail.methods.objectives.contrastive import Contrastive
from dovetail.methods.pair_losses.infonce import InfoNCE
from dovetail.methods.pair_losses.siglip import SigLIP
from dovetail.models.clip_weights import from_transformers, original, renamed, to_transformers
from dovetail.training.task import Task
from tests.models.clip_pair import batch, captions, padded, pair

SMALL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("quick", [False, True], ids=["gelu", "quick_gelu"])
def test_embeddings_equal_open_clips(quick: bool, dtype: torch.dtype) -> None:
    ours, theirs = (model.to(dtype) for model in pair(quick, eps=1e-3 if quick else 1e-5))
    close = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-10, "atol": 1e-10}
    pixels, texts = torch.randn(5, 3, 32, 32, dtype=dtype), captions()
    with torch.no_grad():
        torch.testing.assert_close(ours.image_features(pixels).pooled, theirs.encode_image(pixels), **close)
        torch.testing.assert_close(ours.text_features(texts).pooled, theirs.encode_text(padded(texts)), **close)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("loss", [InfoNCE(), SigLIP()], ids=["infonce", "siglip"])
def test_a_steps_gradients_equal_open_clips(loss: PairLoss, dtype: torch.dtype) -> None:
    ours, theirs = (model.to(dtype) for model in pair(bias=loss.initial_bias))
    data = batch()
    pixels = Preprocessing(size=32).normalise(data.images, dtype)
    data = type(data)(pixels, data.captions, data.ids)
    value = Task(ours, Contrastive(loss)).terms(data)["contrastive"]
    sides = theirs(pixels, padded(data.captions.tokens))
    expected = ClipLoss()(*sides) if loss.initial_bias is None else SigLipLoss()(*sides)
    value.backward()
    expected.backward()
    rtol = 1e-5 if dtype == torch.float32 else 1e-10
    torch.testing.assert_close(value, expected, rtol=rtol, atol=0.0)
    theirs_by_name = renamed({name: _gradient(p) for name, p in theirs.named_parameters()})
    ours_by_name = {name: _gradient(p) for name, p in ours.named_parameters()}
    assert ours_by_name.keys() == theirs_by_name.keys()
    # Relative to the largest gradient of each tensor: a key's bias has none but rounding errors.
    whole = max(float(g.abs().max()) for g in theirs_by_name.values())
    for name, found in ours_by_name.items():
        wanted = theirs_by_name[name]
        scale = max(float(wanted.abs().max()), 1e-4 * whole)
        torch.testing.assert_close(found / scale, wanted / scale, rtol=0.0, atol=rtol, msg=lambda m, n=name: f"{n} {m}")


def _gradient(p: nn.Parameter) -> Tensor:
    assert p.grad is not None
    return p.grad


def test_a_text_tower_kept_apart_is_renamed_the_same() -> None:
    _, theirs = pair()
    state = theirs.state_dict()
    inner = ("visual.", "logit_")
    apart = {name if name.startswith(inner) else f"text.{name}": value for name, value in state.items()}
    together = renamed(state)
    for name, value in renamed(apart).items():
        assert torch.equal(value, together.pop(name))
    assert not together


def test_what_such_files_carry_beside_weights_is_left_out() -> None:
    _, theirs = pair()
    state = theirs.state_dict()
    assert renamed({**state, "context_length": torch.tensor(16)}).keys() == renamed(state).keys()


def test_says_what_is_of_another_architecture() -> None:
    with pytest.raises(ValueError, match=r"visual.layer1.0.conv1.weight is no tensor of CLIP's towers"):
        renamed({"visual.layer1.0.conv1.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"attn.q_proj.weight is no tensor"):
        renamed({"transformer.resblocks.0.attn.q_proj.weight": torch.zeros(1)})


def test_original_is_the_inverse_bit_for_bit() -> None:
    _, theirs = pair(bias=-3.0)
    state = theirs.state_dict()
    again = original(renamed(state))
    assert again.keys() == state.keys() - {"attn_mask"}
    for name, value in again.items():
        assert value.shape == state[name].shape and torch.equal(value, state[name]), name
    fresh, other = pair()
    fresh.load_state_dict(renamed(original(fresh.state_dict())))
    other.load_state_dict(original(fresh.state_dict()), strict=False)
    x = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    assert torch.allclose(other.encode_image(x), fresh.image_features(x).pooled)
    with pytest.raises(ValueError, match="image.pool.probe is no tensor of clip_vit and clip_text"):
        original({"image.pool.probe": torch.zeros(3)})


def test_transformers_names_and_back_bit_for_bit() -> None:
    state = CLIPModel(
        CLIPConfig(text_config=SMALL, vision_config={**SMALL, "image_size": 16, "patch_size": 8})
    ).state_dict()
    older = {**state, "text_model.embeddings.position_ids": torch.arange(77)[None]}
    assert from_transformers({"logit_scale": torch.ones(1)})["log_scale"].shape == ()
    ours = from_transformers(older)
    assert ours["image.patches.weight"].shape == (16, 3 * 64) and ours["log_scale"].shape == ()
    layer = "text_model.encoder.layers.1.self_attn"
    parts = [state[f"{layer}.{part}_proj.weight"] for part in "qkv"]
    assert torch.equal(ours["text.transformer.blocks.1.qkv.weight"], torch.cat(parts))
    again = to_transformers(ours)
    assert again.keys() == state.keys()
    for name, value in again.items():
        assert value.shape == state[name].shape and torch.equal(value, state[name]), name
    with pytest.raises(ValueError, match="logit_bias is no tensor of transformers' CLIPModel"):
        from_transformers({"logit_bias": torch.zeros(1)})
