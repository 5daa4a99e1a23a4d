"""open_clip's text tower: who sees whom, and where it pools. Its parity in whole models is tested with the layout
(tests/models/layouts/test_open_clip_towers.py)."""

import pytest
import torch

from dovetail.contracts import Tokens
from dovetail.methods.encoders.clip_text import ClipText
from dovetail.methods.encoders.open_clip_text import OpenClipText
from dovetail.methods.encoders.siglip_text import SiglipText


def _small(causal: bool = False, pool: str | int = "last", out: tuple[int, bool] | None = None) -> OpenClipText:
    torch.manual_seed(0)
    made = OpenClipText(
        vocabulary=10, context=6, inner=12, depth=2, heads=3, causal=causal, pool=pool, layer_scale=0.3, out=out
    ).eval()
    for p in made.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return made


def _texts() -> Tokens:
    mask = torch.arange(5) < torch.tensor([[5], [3]])
    return Tokens(torch.tensor([[1, 7, 9, 7, 2], [3, 2, 1, 9, 9]]), mask)


@pytest.mark.parametrize(("pool", "places"), [("first", (0, 0)), ("last", (4, 2)), ("highest", (2, 0)), (7, (1, 0))])
def test_pools_where_it_says(pool: str | int, places: tuple[int, int]) -> None:
    found = _small(pool=pool)(_texts())
    assert torch.equal(found.pooled, found.tokens[[0, 1], list(places)])


@pytest.mark.parametrize("causal", [False, True])
def test_a_token_sees_those_after_it_unless_it_is_causal(causal: bool) -> None:
    ours, mask = _small(causal), torch.ones(2, 4, dtype=torch.bool)
    found = ours(Tokens(torch.tensor([[1, 2, 3, 9], [1, 2, 3, 8]]), mask)).tokens
    assert torch.allclose(found[0, 0], found[1, 0], atol=1e-6) == causal


def test_the_plain_ones_are_clips_and_siglips() -> None:
    x, shape = _texts(), {"vocabulary": 10, "context": 6, "depth": 2, "heads": 3}
    clip = ClipText(**shape, width=12).eval()
    ours = OpenClipText(**shape, inner=12, causal=True, pool="highest").eval()
    ours.load_state_dict(clip.state_dict())
    assert torch.equal(ours(x).pooled, clip(x).pooled)
    siglip = SiglipText(**shape, width=5, token_width=12, activation="gelu", eps=1e-5).eval()
    ours = OpenClipText(**shape, inner=12, out=(5, True)).eval()
    ours.load_state_dict({k.replace("head.", "head.map."): v for k, v in siglip.state_dict().items()})
    torch.testing.assert_close(ours(x).pooled, siglip(x).pooled)


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="width 10 must be a multiple of heads 4"):
        OpenClipText(inner=10, heads=4)
    with pytest.raises(ValueError, match="pool must be first, last, highest or an id, not 'mean'"):
        OpenClipText(pool="mean")
    with pytest.raises(ValueError, match="7 tokens is longer than the context of 6"):
        _small()(Tokens(torch.ones(1, 7, dtype=torch.int64), torch.ones(1, 7, dtype=torch.bool)))
