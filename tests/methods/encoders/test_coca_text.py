"""CoCa's text tower against open_clip's: its mask, for texts of every length."""

import re

import pytest
import torch
from open_clip.transformer import TextTransformer

from dovetail.contracts import Tokens
from dovetail.methods.encoders.coca_text import CocaText

NAMES = (
    ("token_embedding.", "words."),
    ("cls_emb", "class_token"),
    ("ln_final.", "transformer.norm."),
    (".resblocks.", ".blocks."),
    (".ln_1.", ".norm_attention."),
    (".ln_2.", ".norm_mlp."),
    (".attn.in_proj_", ".qkv."),
    (".attn.out_proj.", ".out."),
    (".mlp.c_fc.", ".up."),
    (".mlp.c_proj.", ".down."),
)


def _pair() -> tuple[CocaText, TextTransformer]:
    theirs = TextTransformer(7, 10, 12, 3, 2, 2.0, output_dim=None, embed_cls=True).double()
    for p in theirs.parameters():
        torch.nn.init.normal_(p, std=0.4)
    ours = CocaText(vocabulary=10, context=7, width=12, depth=2, heads=3, mlp_ratio=2.0).double()
    state = theirs.state_dict()
    places = state.pop("positional_embedding")
    for old, new in NAMES:
        state = {re.sub(re.escape(old), new, k): v for k, v in state.items()}
    ours.load_state_dict(state | {"positions": places[:-1], "class_position": places[-1]})
    return ours, theirs


@pytest.mark.parametrize("longest", [7, 6, 3, 1])
def test_vectors_equal_open_clips(longest: int) -> None:
    ours, theirs = _pair()
    lengths = torch.arange(longest, 0, -1)
    mask = torch.arange(longest) < lengths[:, None]
    ids = torch.randint(0, 10, mask.shape)  # padding's id is among them, which hides the one after it
    padded = torch.zeros(len(ids), 7, dtype=torch.int64)
    padded[:, :longest] = ids * mask
    torch.testing.assert_close(ours(Tokens(ids, mask)).pooled, theirs(padded), rtol=1e-10, atol=1e-10)


def test_the_class_token_sees_the_first_padding_but_not_itself_unless_a_text_fills_the_context() -> None:
    ours, _ = _pair()
    ids = torch.tensor([[3, 4, 0], [3, 4, 5]])
    assert ours._seen(ids).tolist() == [[True, True, True, False], [True, True, True, True]]


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="width 10 must be a multiple of heads 4"):
        CocaText(width=10, heads=4)
    with pytest.raises(ValueError, match="8 tokens is longer than the context of 7"):
        _pair()[0](Tokens(torch.ones(1, 8, dtype=torch.int64), torch.ones(1, 8, dtype=torch.bool)))
