"""Texts put beside each other, strung together, and recognised."""

import pytest
import torch

from dovetail.contracts import Tokens
from dovetail.ops.texts import beside, strung, text_ids

ROWS = [[1, 5, 6, 2], [1, 7, 2], [1, 8, 9, 10, 2], [1, 7, 2], [1, 7, 7, 2]]


def _texts(rows: list[list[int]], longest: int) -> Tokens:
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows], dtype=torch.int64).view(len(rows), longest)
    return Tokens(ids, torch.arange(longest)[None, :] < torch.tensor([len(row) for row in rows])[:, None])


def _rows(texts: Tokens) -> list[list[int]]:
    return [ids[real].tolist() for ids, real in zip(texts.ids, texts.mask, strict=True)]


def test_beside() -> None:
    assert _rows(beside(_texts(ROWS[:2], 4), _texts(ROWS[2:], 6))) == ROWS
    assert _rows(beside(_texts(ROWS, 5), _texts([], 0))) == ROWS


def test_equal_texts_have_equal_ids() -> None:
    ids = text_ids(_texts(ROWS, 5)).tolist()
    assert ids[1] == ids[3] and len(set(ids)) == 4
    assert ids == text_ids(_texts(ROWS, 9)).tolist(), "padding is nothing"
    assert text_ids(_texts([], 0)).shape == text_ids(_texts([], 3)).shape == (0,)


def test_many_texts_have_ids_of_their_own() -> None:
    ids = torch.randint(0, 50_000, (20_000, 8)).unique(dim=0)
    assert len(text_ids(Tokens(ids, torch.ones_like(ids, dtype=torch.bool))).unique()) == len(ids)


@pytest.mark.parametrize(
    ("ends", "context", "wanted"),
    [
        ((1, 2), 20, [[1, 7, 7, 7, 2], [1, 5, 6, 8, 9, 10, 2]]),
        ((1, 2), 5, [[1, 7, 7, 7, 2], [1, 5, 6, 8, 2]]),
        ((None, 2), 4, [[1, 7, 1, 2], [1, 5, 6, 2]]),
        ((1, None), 4, [[1, 7, 2, 7], [1, 5, 6, 2]]),
        ((None, None), 99, [[1, 7, 2, 1, 7, 7, 2], [1, 5, 6, 2, 1, 8, 9, 10, 2]]),
    ],
)
def test_strung_together(ends: tuple[int | None, int | None], context: int, wanted: list[list[int]]) -> None:
    owner = torch.tensor([3, 0, 3, 0])
    found = strung(_texts([*ROWS[:3], ROWS[4]], 6), owner, ends, context)
    assert _rows(found) == wanted
    assert found.ids.shape[1] == max(map(len, wanted))


def test_nothing_to_string() -> None:
    assert strung(_texts([], 4), torch.zeros(0, dtype=torch.int64), (1, 2), 9).ids.shape[0] == 0
    assert _rows(strung(_texts([[1, 2]], 4), torch.tensor([5]), (1, 2), 9)) == [[1, 2]]
