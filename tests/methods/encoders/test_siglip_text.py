"""SigLIP's text tower against transformers' on the same weights: filled, shorter and masked texts; and its options."""

import pytest
import torch
from torch import nn
from transformers import SiglipTextConfig, SiglipTextModel

from dovetail.contracts import Tokens
from dovetail.methods.encoders.siglip_text import SiglipText
from dovetail.models.siglip_weights import from_transformers


def pair() -> tuple[SiglipText, SiglipTextModel]:
    config = SiglipTextConfig(
        vocab_size=50,
        hidden_size=24,
        intermediate_size=36,
        num_hidden_layers=2,
        num_attention_heads=3,
        max_position_embeddings=10,
        projection_size=16,
    )
    theirs = SiglipTextModel(config).double().eval()
    for p in theirs.parameters():
        nn.init.normal_(p, std=0.3)
    ours = SiglipText(50, 10, width=16, depth=2, heads=3, mlp_ratio=1.5, token_width=24).double()
    state = from_transformers({f"text_model.{k}": v for k, v in theirs.state_dict().items()})
    ours.load_state_dict({name.removeprefix("text."): value for name, value in state.items()})
    return ours, theirs


@pytest.mark.parametrize("length", [10, 6])
def test_equals_transformers_where_padding_is_text(length: int) -> None:
    ours, theirs = pair()
    ids = torch.randint(0, 50, (4, length))
    ids[:, 4:] = 1
    found, wanted = ours(Tokens(ids, torch.ones_like(ids, dtype=torch.bool))), theirs(ids)
    torch.testing.assert_close(found.pooled, wanted.pooler_output, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.tokens, wanted.last_hidden_state, rtol=1e-9, atol=1e-9)
    assert found.pooled.shape == (4, ours.width) and found.tokens.shape[2] == ours.token_width == 24


def test_a_masked_text_is_the_text_alone() -> None:
    ours, theirs = pair()
    ids, lengths = torch.randint(0, 50, (3, 8)), (8, 3, 1)
    found = ours(Tokens(ids, torch.arange(8) < torch.tensor(lengths)[:, None]))
    for i, n in enumerate(lengths):
        torch.testing.assert_close(found.pooled[i], theirs(ids[i : i + 1, :n]).pooler_output[0], rtol=1e-9, atol=1e-9)


def test_gradients_equal_transformers() -> None:
    ours, theirs = pair()
    ids = torch.randint(0, 50, (4, 10))
    weights = torch.randn(4, 16, dtype=torch.float64)
    (ours(Tokens(ids, torch.ones_like(ids, dtype=torch.bool))).pooled * weights).sum().backward()
    (theirs(ids).pooler_output * weights).sum().backward()
    grads = {f"text_model.{k}": p.grad for k, p in theirs.named_parameters() if p.grad is not None}
    wanted = from_transformers(grads)
    for name, p in ours.named_parameters():
        torch.testing.assert_close(p.grad, wanted[f"text.{name}"], rtol=1e-7, atol=1e-7)


def test_its_own_width_is_that_of_the_vector_unless_stated() -> None:
    assert SiglipText(50, 10, width=16, depth=1, heads=2).token_width == 16
    assert SiglipText(50, 10, width=16, depth=1, heads=3, token_width=24).words.embedding_dim == 24


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="a token's width 24 must be a multiple of heads 5"):
        SiglipText(width=16, heads=5, token_width=24)
    tower, ids = SiglipText(50, 4, width=8, depth=1, heads=2), torch.zeros(1, 5, dtype=torch.int64)
    with pytest.raises(ValueError, match="a text of 5 tokens is longer than the context of 4"):
        tower(Tokens(ids, ids == 0))
