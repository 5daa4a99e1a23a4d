"""Holding out a part of a table."""

import numpy as np
import pytest

from dovetail.data.holdout import hold_out
from dovetail.data.records import Caption, DataError, Record
from dovetail.data.sources import Table, open_source


def table(ids: list[int]) -> Table:
    pixel = np.zeros((4, 4, 3), np.uint8)
    found = open_source([Record(pixel, (Caption("a"),), f"item {i}", identity) for i, identity in enumerate(ids)])
    assert isinstance(found, Table)
    return found


def test_every_record_lies_on_one_side_and_equal_things_on_the_same() -> None:
    ids = [i // 2 for i in range(3_000)]
    train, held = hold_out(table(ids))
    names = {side[i].name for side in (train, held) for i in range(len(side))}
    assert len(names) == len(train) + len(held) == 3_000
    assert not {train[i].id for i in range(len(train))} & {held[i].id for i in range(len(held))}
    assert 0.08 < len(held) / 3_000 < 0.12


def test_the_company_of_a_record_does_not_decide() -> None:
    first, _ = hold_out(table(list(range(1_000))))
    more, _ = hold_out(table(list(range(1_500))))
    kept = {more[i].id for i in range(len(more))}
    assert {first[i].id for i in range(len(first))} <= kept


def test_no_more_than_is_useful() -> None:
    _, held = hold_out(table(list(range(5_000))), share=0.5, most=100)
    assert 60 < len(held) < 140


def test_too_little_to_divide() -> None:
    with pytest.raises(DataError, match="1 records are too few to hold some out; name data to measure on with --val"):
        hold_out(table([1]))
