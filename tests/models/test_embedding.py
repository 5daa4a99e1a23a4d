"""Working through a long list in batches."""

import pytest
import torch

from dovetail.models.embedding import joined, pieces


@pytest.mark.parametrize(("length", "sizes"), [(0, []), (1, [1]), (4, [4]), (5, [4, 1]), (12, [4, 4, 4])])
def test_every_item_comes_once_and_in_order(length: int, sizes: list[int]) -> None:
    parts = list(pieces(list(range(length)), 4))
    assert [len(part) for part in parts] == sizes
    assert [i for part in parts for i in part] == list(range(length))


def test_a_bar_is_shown_only_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(pieces("abcde", 2)) == ["ab", "cd", "e"]
    assert not capsys.readouterr().out
    assert list(pieces("abcde", 2, "letters")) == ["ab", "cd", "e"]
    assert "letters" in capsys.readouterr().out


def test_parts_are_joined_and_none_are_an_empty_matrix() -> None:
    assert joined([torch.ones(2, 3), torch.zeros(1, 3)], 3, torch.device("cpu")).tolist() == [[1] * 3] * 2 + [[0] * 3]
    assert joined([], 5, torch.device("cpu")).shape == (0, 5)
