"""How a score matrix is cut."""

import torch

from dovetail.ops.tiles import numbers, shape, tiles
from tests.ops.test_contrast import side


def test_every_pair_lies_in_one_tile() -> None:
    rows, cols = side(list(range(7)), [1.0] * 7, 2), side(list(range(5)), [1.0] * 5, 3)
    seen = torch.zeros(7, 5 + 5)
    for tile in tiles(rows, cols, offset=5, most=6):
        assert torch.equal(tile.rows.ids, rows.ids[tile.row]) and torch.equal(tile.cols.ids, cols.ids[tile.within])
        assert (tile.col.start, tile.col.stop) == (tile.within.start + 5, tile.within.stop + 5)
        assert tile.rows.ids.numel() * tile.cols.ids.numel() <= 6
        seen[tile.row, tile.col] += 1
    assert seen[:, 5:].eq(1).all() and seen[:, :5].eq(0).all()


def test_tokens_make_a_pair_larger() -> None:
    assert numbers(side([1], [1.0], 2), side([1], [1.0], 3)) == 6


def test_tiles_are_even_and_cover_the_matrix() -> None:
    for n, m, most in ((1, 1, 1), (1025, 1025, 1 << 20), (3, 1000, 64), (1000, 3, 64), (0, 5, 9), (7, 7, 1 << 20)):
        height, width = shape(n, m, most)
        assert height >= 1 and width >= 1 and height * width <= most
        assert -(-n // height) * -(-m // width) * most <= 4 * max(most, n * m), "hardly more tiles than need be"
