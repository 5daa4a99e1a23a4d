"""CLIP's text tower against open_clip's on the same weights, tokens included, and where it pools."""

import pytest
import torch

from dovetail.contracts import Tokens
from dovetail.methods.encoders.clip_text import ClipText
from tests.models.clip_pair import captions, padded, pair


def _small(end: int | None = None) -> ClipText:
    made = ClipText(vocabulary=10, context=6, width=12, depth=2, heads=3, end=end).eval()
    for p in made.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return made


def test_tokens_equal_open_clips() -> None:
    whole, theirs = pair()
    x = captions()
    found = whole.text(x).tokens
    ids = padded(x)
    hidden = theirs.token_embedding(ids) + theirs.positional_embedding
    expected = theirs.ln_final(theirs.transformer(hidden, attn_mask=theirs.attn_mask))[:, : x.ids.shape[1]]
    torch.testing.assert_close(found[x.mask], expected[x.mask], rtol=1e-10, atol=1e-10)


def test_pools_at_a_given_id_as_open_clip_does() -> None:
    whole, theirs = pair()
    whole.text.end, theirs.text_eos_id, theirs.text_pool_type = 7, 7, "eos"
    x = captions()
    ids = x.ids.where(x.ids != 7, 8)
    ids[0, 4], ids[0, 9], ids[1, 1] = 7, 7, 7  # twice, once, and not at all in the others
    ids = torch.where(x.mask, ids, 7)  # what lies in the padding does not count
    x = Tokens(ids, x.mask)
    expected = theirs.encode_text(padded(x))
    torch.testing.assert_close(whole.text_features(x).pooled, expected, rtol=1e-10, atol=1e-10)


def test_a_token_sees_those_before_it_alone() -> None:
    ours = _small()
    mask = torch.ones(2, 4, dtype=torch.bool)
    found = ours(Tokens(torch.tensor([[1, 2, 3, 9], [1, 2, 4, 9]]), mask))
    assert torch.equal(found.tokens[0, :2], found.tokens[1, :2])
    assert not torch.allclose(found.tokens[0, 3], found.tokens[1, 3], atol=1e-4)
    assert torch.equal(found.pooled, found.tokens[:, 3])


def test_no_work_is_done_on_padding() -> None:
    ours = _small()
    seen = []
    ours.transformer.blocks[0].up.register_forward_hook(lambda m, x, y: seen.append(len(y)))
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    ours(Tokens(torch.full((2, 5), 9), mask))
    assert seen == [7]


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="width 10 must be a multiple of heads 4"):
        ClipText(width=10, heads=4)
    with pytest.raises(ValueError, match="7 tokens is longer than the context of 6"):
        _small()(Tokens(torch.ones(1, 7, dtype=torch.int64), torch.ones(1, 7, dtype=torch.bool)))
