"""A dual encoder with renamed weights is the CLIP they came from: values, and the gradients of a training step."""

import pytest
import torch
from open_clip.loss import ClipLoss, SigLipLoss
from torch import Tensor, nn

from dovetail.contracts import PairLoss
from dovetail.data.preprocessing import Preprocessing
from dovetail.methods.objectives.contrastive import Contrastive
from dovetail.methods.pair_losses.infonce import InfoNCE
from dovetail.methods.pair_losses.siglip import SigLIP
from dovetail.models.clip_weights import renamed
from dovetail.training.task import Task
from tests.models.clip_pair import batch, captions, padded, pair


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
