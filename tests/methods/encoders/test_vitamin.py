"""ViTamin against timm's own variants, against its formula written out, and its sizes."""

from dataclasses import replace

import pytest
import timm
import torch
from torch import Tensor
from torch.nn import functional as F

from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, scenes
from dovetail.methods.encoders.vit import ViT
from dovetail.methods.encoders.vitamin import ViTamin

MICRO = "vitamin(size=32, widths=(16, 32, 64), depths=(1, 1, 2), heads=2)"


def _small() -> ViTamin:
    made = ViTamin(32, (8, 16, 24), (1, 2, 2), 3).double().eval()
    for p in made.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return made


def test_the_default_is_vitamin_s_and_equals_timms() -> None:
    theirs, ours = timm.create_model("vitamin_small_224", num_classes=0).eval(), ViTamin().eval()
    ours.body.load_state_dict(theirs.state_dict())
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        found, last = ours(x), theirs.forward_features(x)
        torch.testing.assert_close(found.pooled, theirs(x), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found.tokens, theirs.fc_norm(last), rtol=1e-4, atol=1e-4)
    assert found.grid == (14, 14) and found.tokens.shape == (1, 196, 384)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vitamin_base_224", {"widths": (128, 256, 768), "heads": 12}),
        ("vitamin_large_224", {"widths": (160, 320, 1024), "depths": (2, 4, 31), "heads": 16}),
    ],
)
def test_the_sizes_on_the_card_are_the_published_ones(name: str, options: dict[str, tuple[int, ...]]) -> None:
    with torch.device("meta"):
        theirs, ours = timm.create_model(name, num_classes=0), ViTamin(**options)  # type: ignore[arg-type]
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (theirs, ours.body)]
    assert shapes[0] == shapes[1]


def _norm(x: Tensor, module: torch.nn.Module) -> Tensor:
    """Over the channels, which come last; all norms here have the same eps."""
    return F.layer_norm(x, x.shape[-1:], module.weight, module.bias, 1e-6)


def _last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def _first(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


def _mbconv(x: Tensor, block: torch.nn.Module, stride: int) -> Tensor:
    y = _first(_norm(_last(x), block.pre_norm))
    y = F.gelu(F.conv2d(y, block.conv1_1x1.weight, block.conv1_1x1.bias))
    wide = y.shape[1]
    y = F.gelu(F.conv2d(y, block.conv2_kxk.weight, block.conv2_kxk.bias, stride, 1, groups=wide))
    y = F.conv2d(y, block.conv3_1x1.weight, block.conv3_1x1.bias)
    if stride == 2:
        x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        x = F.conv2d(x, block.shortcut.expand.weight, block.shortcut.expand.bias) if x.shape != y.shape else x
    return x + y


def _attention(x: Tensor, block: torch.nn.Module) -> Tensor:
    h = _norm(x, block.norm1) @ block.attn.qkv.weight.T + block.attn.qkv.bias
    q, k, v = h.unflatten(-1, (3, 3, 8)).permute(2, 0, 3, 1, 4)
    found = (q @ k.mT / 8**0.5).softmax(-1) @ v
    return found.transpose(1, 2).flatten(2) @ block.attn.proj.weight.T + block.attn.proj.bias


def test_equals_its_formula_written_out() -> None:
    ours, x = _small(), torch.randn(2, 3, 32, 32, dtype=torch.float64)
    body, conv = ours.body, ours.body.patch_embed.backbone
    h = F.conv2d(x, conv.stem.conv1.weight, conv.stem.conv1.bias, 2, 1)
    h = F.gelu(_first(_norm(_last(h), conv.stem.norm1)))
    h = F.conv2d(h, conv.stem.conv2.weight, conv.stem.conv2.bias, 1, 1)
    for stage in conv.stages:
        for i, block in enumerate(stage):
            h = _mbconv(h, block, 2 if i == 0 else 1)
    h = F.conv2d(_first(_norm(_last(h), conv.pool.norm)), conv.pool.proj.weight, conv.pool.proj.bias, 2, 1)
    t = h.flatten(2).mT + body.pos_embed
    for block in body.blocks:
        t = t + _attention(t, block)
        y = _norm(_norm(t, block.norm2), block.mlp.norm)
        gate, up = (y @ w.weight.T + w.bias for w in (block.mlp.w0, block.mlp.w1))
        t = t + (F.gelu(gate) * up) @ block.mlp.w2.weight.T + block.mlp.w2.bias
    found = ours(x)
    torch.testing.assert_close(found.pooled, _norm(t.mean(1), body.fc_norm), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.tokens, _norm(t, body.fc_norm), rtol=1e-9, atol=1e-9)


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="size 40 must be a multiple of 16"):
        ViTamin(40)
    with pytest.raises(ValueError, match="width 384 of heads 5"):
        ViTamin(32, heads=5)
    with pytest.raises(ValueError, match="reads images of 32 x 32 pixels, not 48 x 32"):
        _small()(torch.zeros(1, 3, 48, 32, dtype=torch.float64))


def test_the_claim_compares_towers_of_like_size() -> None:
    def count(tower: torch.nn.Module) -> int:
        return sum(p.numel() for p in tower.parameters())

    vitamin, vit = ViTamin(32, (16, 32, 64), (1, 1, 2), 2), ViT(32, 8, 64, 2, 2)
    assert 0.95 < count(vitamin) / count(vit) < 1.05


CLAIM = Claim(
    says="With as many parameters and after the same steps it retrieves better than a plain vision transformer.",
    method=replace(RECIPE, objective="infonce", image=MICRO),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
