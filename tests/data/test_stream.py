"""The order of a run: coverage, determinism, resumption, ranks, mixtures."""

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from dovetail.data.collate import Draw
from dovetail.data.records import Caption, DataError, Problems, Record
from dovetail.data.stream import Plan, in_order


class Rows:
    """A table whose record i has id first + i."""

    def __init__(self, length: int, first: int = 0) -> None:
        self.name, self.problems, self._length, self._first = f"rows from {first}", Problems(), length, first
        self.got = 0

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, i: int) -> Record:
        if not 0 <= i < self._length:
            raise IndexError(i)
        self.got += 1
        return made(self._first + i)


class Shards:
    """A stream of shards of the given lengths, with running ids."""

    def __init__(self, *lengths: int, first: int = 0) -> None:
        self.name, self.problems, self.opened = f"shards from {first}", Problems(), 0
        ends = list(itertools.accumulate(lengths, initial=first))
        self._units = {f"shard {i}": range(*pair) for i, pair in enumerate(itertools.pairwise(ends))}

    def units(self) -> list[str]:
        return list(self._units)

    def read(self, unit: str) -> Iterator[Record]:
        self.opened += 1
        return map(made, self._units[unit])


def made(i: int) -> Record:
    return Record(Path(f"{i}.jpg"), (Caption(f"caption {i}"),), f"rows line {i}", i)


def ids(batches: list[list[Draw]]) -> list[int]:
    return [draw.record.id for batch in batches for draw in batch]


def seen(batches: list[list[Draw]]) -> list[list[tuple[int, int | None]]]:
    return [[(d.record.id, d.seed) for d in batch] for batch in batches]


def first(plan: Plan, number: int, start: int = 0, rank: int = 0, world: int = 1) -> list[list[Draw]]:
    return list(itertools.islice(plan.batches(start, rank, world), number))


def mixture() -> list[Rows | Shards]:
    return [Rows(53), Shards(7, 30, 1, 12, first=1000), Rows(10, first=2000)]


PLANS = {
    "table": lambda: Plan([Rows(101)], 8, seed=3),
    "small table": lambda: Plan([Rows(11)], 8, seed=3),
    "tables": lambda: Plan([Rows(53), Rows(10, first=1000)], 6, seed=3),
    "stream": lambda: Plan([Shards(7, 30, 1, 12)], 8, seed=3, buffer=9),
    "mixture": lambda: Plan(mixture(), 12, seed=3, weights=[0.5, 0.3, 0.2], buffer=9),
}


@pytest.fixture(params=list(PLANS))
def make(request: pytest.FixtureRequest) -> object:
    return PLANS[request.param]


@pytest.mark.parametrize(("length", "batch"), [(24, 8), (101, 8), (11, 8), (8, 8), (3, 1), (1, 1), (200, 64)])
def test_every_epoch_of_a_table_holds_each_record_once(length: int, batch: int) -> None:
    plan = Plan([Rows(length)], batch)
    drawn = ids(first(plan, 1 + 4 * length // batch))
    epochs = [drawn[i : i + length] for i in range(0, 4 * length, length)]
    assert all(sorted(epoch) == list(range(length)) for epoch in epochs)
    assert length < 8 or len({tuple(epoch) for epoch in epochs}) == 4


def test_every_epoch_of_a_stream_holds_each_record_once() -> None:
    drawn = ids(first(PLANS["stream"](), 25))
    epochs = [drawn[i : i + 50] for i in range(0, 200, 50)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_the_shuffle_buffer_mixes_shards() -> None:
    stream = [Shards(*[100] * 10)]
    drawn = ids(first(Plan(stream, 10, buffer=300), 20))
    assert len({i // 100 for i in drawn}) >= 4
    assert any(i > j for i, j in itertools.pairwise(drawn))


@pytest.mark.parametrize("length", [24, 25, 31, 101])
def test_no_record_comes_twice_within_a_batch_of_draws(length: int) -> None:
    drawn = ids(first(Plan([Rows(length)], 8, seed=5), 150))
    assert all(len(set(drawn[i : i + 8])) == 8 for i in range(len(drawn) - 8))


def test_keeping_epochs_apart_leaves_every_record_a_chance_at_every_place() -> None:
    places = [set() for _ in range(9)]
    for number, i in enumerate(ids(first(Plan([Rows(9)], 3), 3 * 400))):
        places[number % 9].add(i)
    assert all(len(found) == 9 for found in places)


def test_the_order_depends_on_the_seed_only(make: object) -> None:
    assert seen(first(make(), 30)) == seen(first(make(), 30))
    plan = make()
    assert seen(first(plan, 30)) == seen(first(plan, 30)), "iterating twice"
    assert seen(first(Plan([Rows(101)], 8, seed=3), 5)) != seen(first(Plan([Rows(101)], 8, seed=4), 5))


def test_the_order_is_that_of_earlier_versions_and_other_processes() -> None:
    """A changed order would break the resumption of runs that exist: change these numbers only on purpose."""
    table, mixed = first(Plan([Rows(7)], 4, seed=1), 2), first(PLANS["mixture"](), 2)
    assert ids(table) == [6, 4, 1, 2, 5, 3, 0, 1]
    assert table[0][0].seed == 253707435371322540
    assert ids(mixed)[:12] == [1015, 31, 1016, 15, 2001, 38, 47, 2005, 1007, 33, 44, 2000]
    assert ids(mixed)[12:] == [1010, 2003, 1009, 1, 2009, 20, 18, 6, 1017, 17, 1019, 39]
    assert mixed[1][-1].seed == 5545779207348898546


@pytest.mark.parametrize("start", [0, 1, 2, 5, 12, 13, 14, 37])
def test_resuming_equals_going_on(make: object, start: int) -> None:
    assert seen(first(make(), 20, start=start)) == seen(first(make(), start + 20)[start:])


def test_resuming_a_table_reads_nothing_of_what_is_past() -> None:
    rows = Rows(1_000_003)
    begun = time.perf_counter()
    batch = next(Plan([rows], 64).batches(start=10**9))
    assert rows.got == len(batch) == 64
    assert time.perf_counter() - begun < 5


def test_resuming_a_stream_reads_no_epoch_between() -> None:
    shards = Shards(7, 30, 1, 12)
    next(Plan([shards], 8).batches(start=1000))
    assert shards.opened <= 3 * 4


@pytest.mark.parametrize("world", [1, 2, 3])
def test_the_ranks_share_the_global_batch(make: object, world: int) -> None:
    whole = first(make(), 15)
    if len(whole[0]) % world:
        with pytest.raises(ValueError, match="cannot be divided equally among"):
            make().batches(rank=0, world=world)
        return
    parts = [first(make(), 15, rank=rank, world=world) for rank in range(world)]
    for number, batch in enumerate(whole):
        for rank in range(world):
            assert seen([parts[rank][number]]) == seen([batch[rank::world]])


def test_resuming_works_on_every_rank() -> None:
    plan = PLANS["mixture"]
    for rank in range(3):
        assert seen(first(plan(), 5, 7, rank, 3)) == seen(first(plan(), 12, 0, rank, 3)[7:])


def test_item_seeds_differ_between_items_epochs_and_sources() -> None:
    drawn = first(Plan([Rows(50), Rows(50, first=1000)], 10), 40)
    seeds = [draw.seed for batch in drawn for draw in batch]
    assert len(set(seeds)) == 400
    assert all(seed is not None and 0 <= seed < 2**63 for seed in seeds)
    assert 0.4 < sum(seed % 2 for seed in seeds if seed is not None) / 400 < 0.6


@pytest.mark.parametrize("weights", [[0.5, 0.3, 0.2], [1, 2, 7], [1e-3, 1, 1], [0.1, 0.1, 0.1]])
def test_weights_are_kept_at_every_moment(weights: list[float]) -> None:
    plan = Plan(mixture(), 10, weights=weights)
    total: Counter[int] = Counter()
    for number, batch in enumerate(first(plan, 100), start=1):
        total.update(draw.record.id // 1000 for draw in batch)
        for source, weight in enumerate(weights):
            assert abs(total[source] - 10 * number * weight / sum(weights)) < 3


def test_without_weights_tables_are_drawn_as_if_they_were_one() -> None:
    plan = Plan([Rows(53), Rows(10, first=1000), Rows(37, first=2000)], 10)
    drawn = ids(first(plan, 30))
    for epoch in range(3):
        counted = Counter(drawn[epoch * 100 : epoch * 100 + 100])
        assert len(counted) == 100


def test_every_process_gets_a_mixture() -> None:
    plan = Plan([Rows(50), Rows(50, first=1000)], 8)
    for rank in range(2):
        drawn = ids(first(plan, 20, rank=rank, world=2))
        assert 20 < sum(i >= 1000 for i in drawn) < 60


def test_lengths_of_epochs() -> None:
    plan = Plan([Rows(53), Rows(10)], 8)
    assert (plan.epoch_length, plan.batches_per_epoch) == (63, 8)
    plan = Plan([Rows(53), Shards(10)], 8, weights=[1, 1])
    assert (plan.epoch_length, plan.batches_per_epoch) == (None, None)


def test_a_batch_larger_than_the_data_is_reduced_with_a_warning() -> None:
    plan = Plan([Rows(5)], 8)
    assert plan.batch == 5
    assert plan.warnings == ("rows from 0: 5 records are fewer than a batch of 8; the batch is 5.",)
    assert all(sorted(ids([batch])) == [0, 1, 2, 3, 4] for batch in first(plan, 4))
    assert Plan([Rows(8)], 8).warnings == ()


def test_a_stream_and_a_table_without_weights_are_equal_with_a_warning() -> None:
    plan = Plan([Rows(100), Shards(100, first=1000)], 10)
    assert len(plan.warnings) == 1 and "give weights" in plan.warnings[0]
    assert sum(i >= 1000 for i in ids(first(plan, 10))) == 50


def test_no_data_is_an_error() -> None:
    with pytest.raises(DataError, match="no data source"):
        Plan([], 8)
    with pytest.raises(DataError, match="rows from 0: no usable record; the data is empty"):
        Plan([Rows(10), Rows(0)], 8)
    with pytest.raises(DataError, match="shards from 0: no usable record"):
        next(Plan([Shards(0, 0)], 8).batches())
    empty = Shards(0)
    empty.problems.add("truncated image", "a.tar (x.jpg)")
    with pytest.raises(DataError, match=r"1 x truncated image, e.g. a.tar \(x.jpg\)"):
        next(in_order(empty, 8))
    with pytest.raises(DataError, match="no usable record"):
        next(in_order(Rows(0), 8))


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, float("nan")]])
def test_weights_that_do_not_fit_are_an_error(weights: list[float]) -> None:
    with pytest.raises(DataError, match="weight"):
        Plan([Rows(3), Rows(3)], 2, weights=weights)


@pytest.mark.parametrize("source", [Rows(21), Shards(7, 3, 0, 11)])
def test_evaluation_passes_once_in_order(source: Rows | Shards) -> None:
    batches = list(in_order(source, 8))
    assert [len(batch) for batch in batches] == [8, 8, 5]
    assert ids(batches) == list(range(21))
    assert all(draw.seed is None for batch in batches for draw in batch)
