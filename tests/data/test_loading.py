"""Batches from worker processes: in order, the same for any number of workers, named errors, nothing left behind."""

import itertools
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dovetail.contracts import Batch, Captions, Tokens
from dovetail.data.collate import Collate, Draw, Loaded
from dovetail.data.loading import LARGE, LoadingError, default_workers, loader
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.records import Caption, DataError, Problems, Record
from dovetail.data.stream import Plan, in_order
from dovetail.data.text import train_bpe

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


class Photos:
    """A table of JPEG files in a folder."""

    def __init__(self, folder: Path, number: int) -> None:
        self.name, self.problems = str(folder), Problems()
        pixels = np.random.default_rng(0).integers(0, 256, (number, 6, 8, 3), dtype=np.uint8)
        self._records = []
        for i in range(number):
            path = folder / f"{i}.jpg"
            Image.fromarray(pixels[i]).resize((80, 60), Image.Resampling.BICUBIC).save(path)
            self._records.append(Record(path, (Caption(f"photo {i}"),), f"photos.csv line {i}", i))

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, i: int) -> Record:
        return self._records[i]


class Decode:
    """A stand-in for Collate: every draw is decoded, cropped at random by its seed, and given noise."""

    def __call__(self, draws: Sequence[Draw]) -> Loaded:
        pixels = torch.stack([self._pixels(draw) for draw in draws])
        texts = torch.tensor([[ord(c) for c in draw.record.captions[0].text[:7]] for draw in draws])
        tokens = Tokens(texts, torch.ones_like(texts, dtype=torch.bool))
        owner = torch.arange(len(draws))
        ids = torch.tensor([draw.record.id for draw in draws])
        names = tuple(draw.record.name for draw in draws)
        return Loaded(Batch(pixels, Captions(tokens, owner, torch.zeros_like(owner)), ids, names), ())

    def _pixels(self, draw: Draw) -> torch.Tensor:
        rng = random.Random(draw.seed or 0)
        with Image.open(draw.record.image) as image:
            left, top = rng.randrange(40), rng.randrange(30)
            cropped = image.convert("RGB").resize((24, 24), box=(left, top, left + 40, top + 30))
        return torch.from_numpy(np.array(cropped)).permute(2, 0, 1)


class Breaks(Decode):
    """Fails on one record with the given error."""

    def __init__(self, bad: int, error: Exception) -> None:
        self._bad, self._error = bad, error

    def _pixels(self, draw: Draw) -> torch.Tensor:
        if draw.record.id == self._bad:
            raise self._error
        return super()._pixels(draw)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    return Photos(tmp_path_factory.mktemp("photos"), 30)


def children() -> set[int]:
    """The processes begun by this one."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(stat[1]) == os.getpid():
            found.add(int(folder.name))
    return found


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    before = children()
    yield
    assert children() <= before


def equal(a: Loaded, b: Loaded) -> bool:
    assert a.batch is not None and b.batch is not None
    pairs = [(a.batch.images, b.batch.images), (a.batch.ids, b.batch.ids)]
    pairs.append((a.batch.captions.tokens.ids, b.batch.captions.tokens.ids))
    return a.batch.names == b.batch.names and all(torch.equal(x, y) for x, y in pairs)


def some(photos: Photos, workers: int, number: int = 12, start: int = 0) -> list[Loaded]:
    loaded = loader(Plan([photos], 7, seed=1).batches(start), Decode(), workers)
    return list(itertools.islice(loaded, number))


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_batches_are_the_same_bits_for_any_number_of_workers(photos: Photos, workers: int) -> None:
    inline, parallel = some(photos, 0), some(photos, workers)
    assert len(parallel) == len(inline) == 12
    assert all(itertools.starmap(equal, zip(inline, parallel, strict=True)))


def test_the_real_collate_gives_the_same_bits_too(photos: Photos) -> None:
    tokenizer = train_bpe([f"photo {i}" for i in range(30)], vocab_size=300)
    collate = Collate(Preprocessing(size=24), tokenizer, captions_per_image=1)
    plan = Plan([photos], 7, seed=1)
    inline, parallel = (list(itertools.islice(loader(plan, collate, workers), 6)) for workers in (0, 2))
    assert all(itertools.starmap(equal, zip(inline, parallel, strict=True)))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_gets_the_same_bits(photos: Photos, workers: int) -> None:
    assert all(itertools.starmap(equal, zip(some(photos, 1)[5:], some(photos, workers, 7, start=5), strict=True)))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_evaluation_ends_with_its_last_short_batch(photos: Photos, workers: int) -> None:
    loaded = list(loader(in_order(photos, 8), Decode(), workers))
    assert [i for one in loaded if one.batch for i in one.batch.ids.tolist()] == list(range(30))
    assert [len(one.batch.names) for one in loaded if one.batch] == [8, 8, 8, 6]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_random_state_of_the_training_is_left_alone(photos: Photos, workers: int) -> None:
    of_torch, of_numpy = torch.get_rng_state(), np.random.get_state()[1].tolist()
    some(photos, workers, 3)
    assert torch.equal(torch.get_rng_state(), of_torch)
    assert np.random.get_state()[1].tolist() == of_numpy  # (that of `random` is advanced by the checker of types)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("error", "raised"), [(ZeroDivisionError("odd"), LoadingError), (DataError("odd"), DataError)])
def test_an_error_names_the_record(photos: Photos, workers: int, error: Exception, raised: type[Exception]) -> None:
    before = children()
    loaded = loader(in_order(photos, 8), Breaks(11, error), workers)
    assert next(loaded).batch is not None
    with pytest.raises(raised, match=r"^photos.csv line 11: (ZeroDivisionError: )?odd") as caught:
        next(loaded)
    assert "in _pixels" in "".join(caught.value.__notes__), "where it happened is told as well"
    assert children() == before, "also while the error is held"


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_the_source_comes_through_as_it_is(photos: Photos, workers: int) -> None:
    def batches() -> Iterator[list[Draw]]:
        yield [Draw(photos[0], 1)]
        raise DataError("photos.csv line 99: no column")

    before = children()
    loaded = loader(batches(), Decode(), workers)
    assert next(loaded).batch is not None, "what came before the error is still delivered"
    with pytest.raises(DataError, match=r"^photos.csv line 99: no column$") as caught:
        next(loaded)
    assert children() == before, f"also while the error is held: {caught.value}"


def test_stopping_early_ends_the_workers(photos: Photos) -> None:
    before = children()
    loaded = loader(Plan([photos], 7), Decode(), 2)
    assert children() == before, "nothing starts before the first batch is asked for"
    next(loaded)
    assert len(children() - before) == 2
    begun = time.perf_counter()
    loaded.close()
    assert children() == before
    assert time.perf_counter() - begun < 5


def test_dropping_the_iterator_ends_the_workers(photos: Photos) -> None:
    before = children()
    for _ in loader(Plan([photos], 7), Decode(), 2):
        break
    assert children() == before


def test_a_fork_from_a_busy_process_does_not_hang(photos: Photos) -> None:
    """The parent's thread pools (torch's, tokenizers') are in use when the workers start, twice over."""
    tokenizers = pytest.importorskip("tokenizers")
    texts = ["a dog runs on the beach"] * 2000
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()

    class Tokenizing(Decode):
        def __call__(self, draws: Sequence[Draw]) -> Loaded:
            tokenizer.encode_batch(texts[:50])
            torch.randn(200, 200) @ torch.randn(200, 200)
            return super().__call__(draws)

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for _ in range(2):
            tokenizer.encode_batch(texts)
            torch.randn(500, 500) @ torch.randn(500, 500)
            assert len(list(loader(in_order(photos, 8), Tokenizing(), 2))) == 4
    finally:
        torch.set_num_threads(threads)


def test_workers_use_one_thread(photos: Photos) -> None:
    class Threads(Decode):
        def __call__(self, draws: Sequence[Draw]) -> Loaded:
            return Loaded(None, (("threads", str(torch.get_num_threads())),))

    assert all(one.skipped == (("threads", "1"),) for one in loader(in_order(photos, 8), Threads(), 2))


def test_a_killed_process_leaves_no_workers(photos: Photos, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, time, pathlib\n"
        "from tests.data.test_loading import *\n"
        "loaded = loader(Plan([Photos(pathlib.Path(sys.argv[1]), 30)], 7), Decode(), 2)\n"
        "next(loaded)\n"
        "print(*children(), flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(script), str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        workers = [int(pid) for pid in run.stdout.readline().split()]
        run.kill()
    assert len(workers) == 2
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(alive(pid) for pid in workers)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_default_leaves_no_core_twice_taken() -> None:
    cores = len(os.sched_getaffinity(0))
    assert 1 <= default_workers() <= cores
    assert default_workers(processes=10 * cores) == 1


def test_throughput_is_printed(photos: Photos) -> None:
    """Not a claim: run with -s to see what the machine does."""
    for workers in (0, 1, 2):
        begun = time.perf_counter()
        number = sum(len(one.batch.names) for one in some(photos, workers, 40) if one.batch)
        print(f"{workers} workers: {number / (time.perf_counter() - begun):.0f} small pictures a second")


@pytest.mark.gpu
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_pinned_where_there_is_a_gpu(photos: Photos, workers: int) -> None:
    for one in some(photos, workers, 3):
        assert one.batch is not None and one.batch.images.is_pinned() and one.batch.captions.tokens.ids.is_pinned()


class Sends:
    """Batches with a tensor just below and one at the size from which shared memory is used."""

    def __call__(self, draws: Sequence[Draw]) -> Loaded:
        number = draws[0].record.id
        texts = torch.full((1, LARGE // 8 - 1), number)
        tokens = Tokens(texts, texts > 0)
        pixels = torch.full((1, 3, 1, -(-LARGE // 3)), number, dtype=torch.uint8)
        owner = torch.zeros(1, dtype=torch.int64)
        return Loaded(Batch(pixels, Captions(tokens, owner, owner), owner + number, ("a",)), (("cause", "b"),))


def test_small_and_large_tensors_arrive_as_they_were_sent(photos: Photos) -> None:
    batches = [[Draw(photos[i])] for i in range(5)]
    for draws, got in zip(batches, loader(batches, Sends(), workers=2), strict=True):
        sent = Sends()(draws)
        assert equal(got, sent) and got.skipped == sent.skipped
        assert got.batch is not None and sent.batch is not None
        assert got.batch.images.is_shared() and not got.batch.captions.tokens.ids.is_shared()
        assert torch.equal(got.batch.captions.tokens.mask, sent.batch.captions.tokens.mask)
        got.batch.ids.add_(1)  # what arrives may be written to
