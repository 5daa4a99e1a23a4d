"""A tower for frames."""

import pytest
import torch

from dovetail.nn.frames import FrameTower


def _tower(channels: int = 3, width: int = 8) -> FrameTower:
    torch.manual_seed(0)
    return FrameTower(channels, size=8, patch=4, width=width, depth=1, embed_dim=5).double()


def test_a_lone_frame_is_read_as_a_picture_of_patches() -> None:
    tower, frames = _tower(1), torch.randn(2, 1, 1, 8, 8, dtype=torch.float64)
    tokens = []
    for i, (top, left) in enumerate([(0, 0), (0, 4), (4, 0), (4, 4)]):
        part = frames[:, 0, 0, top : top + 4, left : left + 4].flatten(1)
        tokens.append(tower.patches(part) + tower.places[i])
    x = torch.stack(tokens, 1)
    block = tower.transformer.blocks[0]
    q, k, v = block.qkv(block.norm_attention(x)).chunk(3, 2)
    x = x + block.out((q @ k.mT / 8**0.5).softmax(2) @ v)
    x = x + block.down(torch.nn.functional.gelu(block.up(block.norm_mlp(x))))
    torch.testing.assert_close(tower(frames), tower.projection(tower.transformer.norm(x).mean(1)))


def test_it_knows_the_order_of_frames_and_takes_any_number() -> None:
    tower, frames = _tower(), torch.randn(3, 5, 3, 8, 8, dtype=torch.float64)
    assert tower(frames).shape == (3, 5) and tower(frames[:, :2]).shape == (3, 5)
    assert (tower(frames) - tower(frames.flip(1))).abs().max() > 1e-4
    torch.testing.assert_close(tower(frames)[1:2], tower(frames[1:2]))


def test_nothing_to_read_gives_no_vectors_but_gradients() -> None:
    tower = _tower()
    found = tower(torch.zeros(0, 2, 3, 8, 8, dtype=torch.float64))
    assert found.shape == (0, 5)
    found.sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in tower.parameters())


def test_another_like_it_is_made_from_its_options() -> None:
    tower = _tower(1, width=128)
    again = FrameTower(**tower.options)
    assert again.options == tower.options and again.transformer.blocks[0].heads == 2
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in tower.state_dict().items()}


def test_it_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="multiple of patch 5"):
        FrameTower(1, 8, 5, 8, 1, 4)
    with pytest.raises(ValueError, match=r"frames are \(3, 8, 8\), not \(1, 8, 8\)"):
        _tower(1)(torch.zeros(1, 1, 3, 8, 8, dtype=torch.float64))
