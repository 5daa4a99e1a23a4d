"""Resized pictures on disk: the same as resized again, never stale, and safe from kills and company."""

import multiprocessing
import os
import shutil
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dovetail.data import cache as module
from dovetail.data.cache import Cache, Shrunk, fill, fingerprint
from dovetail.data.collate import Collate, Draw
from dovetail.data.images import ImageProblem, decode
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.records import Caption, DataError, ImageLike, Problems, Record
from dovetail.data.sources.table import RecordTable
from dovetail.data.text import train_bpe

HOW = Preprocessing(size=24)
SHRUNK = Shrunk.of(HOW)
SIZES = [(200, 150), (90, 300), (39, 52), (20, 30), (64, 64), (150, 200)]


def record(image: ImageLike, number: int = 0) -> Record:
    return Record(image, (Caption(f"picture {number}"),), f"row {number}", number)


def picture(size: tuple[int, int], seed: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def save(path: Path, size: tuple[int, int], seed: int) -> Path:
    turned = Image.Exif()
    turned[0x0112] = 6 if seed % 2 else 1
    picture(size, seed).save(path, exif=turned)
    return path


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordTable:
    """Eleven pictures in files, of which one is broken and one missing, in shards of three."""
    monkeypatch.setattr(module, "SHARD", 3)
    (tmp_path / "photos").mkdir()
    files = [save(tmp_path / "photos" / f"{i}.jpg", size, i) for i, size in enumerate(SIZES)]
    files += [save(tmp_path / "photos" / f"{i}.png", size, i) for i, size in enumerate(SIZES[:3])]
    (tmp_path / "photos" / "broken.jpg").write_bytes(files[0].read_bytes()[:300])
    files[4:4] = [tmp_path / "photos" / "broken.jpg", tmp_path / "photos" / "missing.jpg"]
    return RecordTable([record(path, i) for i, path in enumerate(files)], "photos.csv")


def filled(folder: Path, *tables: RecordTable, workers: int = 0) -> Cache:
    for _ in fill(folder, SHRUNK, tables, workers):
        pass
    return Cache(folder, SHRUNK)


def usable(table: RecordTable) -> Iterator[Record]:
    for one in table:
        if Path(str(one.image)).name not in ("broken.jpg", "missing.jpg"):
            yield one


def test_the_shorter_side_gets_the_pixels_asked_for_and_nothing_is_enlarged(table: RecordTable) -> None:
    assert SHRUNK.side == HOW.at_least == 40
    for one in usable(table):
        whole = decode(one.image, at_least=40)
        wanted = whole
        if min(whole.size) > 40:
            scale = 40 / min(whole.size)
            size = (round(whole.width * scale), round(whole.height * scale))
            assert min(size) == 40
            wanted = whole.resize(size, Image.Resampling.BICUBIC)
        assert np.array_equal(np.asarray(SHRUNK(one)), np.asarray(wanted))


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_kept_is_what_would_be_made_again(table: RecordTable, tmp_path: Path, workers: int) -> None:
    made, kept = Cache(tmp_path / "empty", SHRUNK), filled(tmp_path / "cache", table, workers=workers)
    assert (len(made), len(kept)) == (0, 9)
    for one in usable(table):
        assert kept.holds(fingerprint(one.image) or (0, 0))
        assert torch.equal(kept(one), made(one)[..., :3])
        assert kept(one).shape[2] == 3, "from the disk, not from Pillow"
    assert not list((tmp_path / "cache").rglob("*.part"))
    for name, cause in (("broken.jpg", "truncated image"), ("missing.jpg", "missing image")):
        with pytest.raises(ImageProblem, match=cause):
            kept(record(tmp_path / "photos" / name))


def test_a_changed_picture_is_never_served_as_it_was(table: RecordTable, tmp_path: Path) -> None:
    kept, one = filled(tmp_path / "cache", table), table[0]
    before = kept(one)
    assert isinstance(one.image, Path)
    save(one.image, SIZES[0], 99)
    os.utime(one.image, ns=(1, 1))
    after = kept(one)
    assert not torch.equal(after[..., :3], before)
    assert torch.equal(after, Cache(tmp_path / "empty", SHRUNK)(one))
    again = filled(tmp_path / "cache", table)
    assert len(again) == 10 and torch.equal(again(one), after[..., :3])


def test_a_killed_filling_goes_on_where_it_was(table: RecordTable, tmp_path: Path) -> None:
    broken_off = fill(tmp_path / "cache", SHRUNK, [table], 0)
    assert next(broken_off) == (3, 11)
    broken_off.close()
    shards = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*.pictures")}
    assert len(shards) == 1 and len(Cache(tmp_path / "cache", SHRUNK)) == 3
    whole, resumed = filled(tmp_path / "whole", table), filled(tmp_path / "cache", table)
    assert all(path.stat().st_mtime_ns == then for path, then in shards.items()), "what was done is left alone"
    assert all(torch.equal(whole(one), resumed(one)) for one in usable(table))
    written = set((tmp_path / "cache").rglob("*"))
    assert list(fill(tmp_path / "cache", SHRUNK, [table], 0))[-1] == (11, 11)
    assert set((tmp_path / "cache").rglob("*")) == written, "the broken picture leaves nothing behind"


def test_only_old_unfinished_files_are_cleared_away(table: RecordTable, tmp_path: Path) -> None:
    place = SHRUNK.place(tmp_path / "cache")
    place.mkdir(parents=True)
    for name, age in (("left.part", 2 * module.STALE), ("at_work.part", 0)):
        (place / name).write_bytes(b"half")
        os.utime(place / name, (time.time() - age,) * 2)
    filled(tmp_path / "cache", table)
    assert [path.name for path in place.glob("*.part")] == ["at_work.part"]


def test_several_fill_one_folder_at_once(table: RecordTable, tmp_path: Path) -> None:
    together = multiprocessing.get_context("fork")
    start = together.Barrier(3)

    def one_of_them() -> None:
        start.wait()
        filled(tmp_path / "cache", table)

    processes = [together.Process(target=one_of_them) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    kept, alone = Cache(tmp_path / "cache", SHRUNK), filled(tmp_path / "alone", table)
    assert all(torch.equal(kept(one), alone(one)) for one in usable(table))


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[7:], lambda b: b"", lambda b: b[:-16] + b"X" * 16])
def test_a_damaged_shard_is_made_again(table: RecordTable, tmp_path: Path, damage) -> None:
    filled(tmp_path / "cache", table)
    shard = min((tmp_path / "cache").rglob("*.pictures"))
    shard.write_bytes(damage(shard.read_bytes()))
    assert len(Cache(tmp_path / "cache", SHRUNK)) < 9
    kept, whole = filled(tmp_path / "cache", table), filled(tmp_path / "whole", table)
    assert len(kept) == 9 and all(torch.equal(kept(one), whole(one)) for one in usable(table))


def test_a_shard_that_is_cut_off_during_the_run_is_named(table: RecordTable, tmp_path: Path) -> None:
    kept = filled(tmp_path / "cache", table)
    for shard in (tmp_path / "cache").rglob("*.pictures"):
        shard.write_bytes(b"")
    with pytest.raises(DataError, match=r"\.pictures: the file is shorter than when it was opened; delete it"):
        kept(table[0])


def test_pictures_in_memory_are_known_by_their_content(tmp_path: Path) -> None:
    image = picture((90, 60), 1)
    jpeg = save(tmp_path / "a.jpg", (90, 60), 2).read_bytes()
    memory = RecordTable([record(x) for x in (image, np.asarray(picture((90, 60), 3)), jpeg, image.copy())])
    kept = filled(tmp_path / "cache", memory)
    assert len(kept) == 3, "the copy is the same picture"
    for one in memory:
        assert torch.equal(kept(one), torch.from_numpy(np.array(SHRUNK(one))))
    turned = picture((90, 60), 1)
    turned.info["exif"] = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    assert fingerprint(turned) != fingerprint(image), "upright it is another one"


def test_the_same_picture_in_two_tables_is_kept_once(table: RecordTable, tmp_path: Path) -> None:
    again = RecordTable([record(one.image, 50) for one in table], "others.csv")
    assert len(filled(tmp_path / "cache", table, again)) == 9


def test_settings_lie_apart(table: RecordTable, tmp_path: Path) -> None:
    filled(tmp_path / "cache", table)
    for other in (Preprocessing(size=32), Preprocessing(size=24, interpolation="bilinear")):
        assert len(Cache(tmp_path / "cache", Shrunk.of(other))) == 0


def test_a_disk_without_room_is_refused(table: RecordTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = sum(np.asarray(SHRUNK(one)).nbytes for one in usable(table))
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(needed - 1))
    with pytest.raises(DataError, match=r"resized to 40 pixels the pictures need about 0\.0 GB and 0\.0 GB are free"):
        filled(tmp_path / "cache", table)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(needed))
    assert len(filled(tmp_path / "cache", table)) == 9
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0))
    assert len(filled(tmp_path / "cache", table)) == 9, "nothing more is needed"


def test_a_full_disk_is_told(table: RecordTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"^row 0: .*the cache cannot be written .*No space left"):
        filled(tmp_path / "cache", table)
    assert not list((tmp_path / "cache").rglob("*.p*")), "nothing half-written is left"


def test_a_stream_is_refused(tmp_path: Path) -> None:
    class Endless:
        name, problems = "shards/{00..99}.tar", Problems()

        def units(self) -> list[str]:
            return ["00.tar"]

        def read(self, unit: str) -> Iterator[Record]:
            return iter(())

    with pytest.raises(DataError, match=r"^shards/\{00\.\.99\}\.tar: a stream is read once and cannot be cached"):
        next(fill(tmp_path / "cache", SHRUNK, [Endless()], 0))


def test_batches_do_not_depend_on_how_much_is_kept(table: RecordTable, tmp_path: Path) -> None:
    tokenizer = train_bpe(["picture 1"], 300)
    caches = [Cache(tmp_path / "empty", SHRUNK), filled(tmp_path / "cache", table)]
    draws = [Draw(one, 7 + one.id) for one in table]
    bare, *trained = (Collate(HOW, tokenizer, pictures=c)(draws) for c in (None, *caches))
    assert trained[0].batch is not None and trained[1].batch is not None and bare.batch is not None
    assert torch.equal(trained[0].batch.images, trained[1].batch.images)
    assert trained[0].skipped == trained[1].skipped == bare.skipped
    assert not torch.equal(trained[0].batch.images, bare.batch.images), "resized twice is not resized once"
    shown = [Collate(HOW, tokenizer, pictures=c)([Draw(one) for one in table]).batch for c in (None, caches[1])]
    assert shown[0] is not None and shown[1] is not None
    assert torch.equal(shown[0].images, shown[1].images), "evaluation never reads the cache"


def test_on_real_photos_it_changes_little(shared_data: Path, tmp_path: Path) -> None:
    how = Preprocessing(size=64)
    shrunk, files = Shrunk.of(how), sorted((shared_data / "coco_cc" / "images").glob("*.jpg"))[:12]
    photos = RecordTable([record(path, i) for i, path in enumerate(files)])
    for _ in fill(tmp_path / "cache", shrunk, [photos], 0):
        pass
    held = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.pictures"))
    sizes = [decode(path).size for path in files]
    assert held == pytest.approx(sum(3 * shrunk.side**2 * max(s) / min(s) for s in sizes), rel=0.02)
    draws = [Draw(one, one.id) for one in photos]
    tokenizer = train_bpe(["x"], 300)
    once, twice = (Collate(how, tokenizer, pictures=p)(draws).batch for p in (None, Cache(tmp_path / "cache", shrunk)))
    assert once is not None and twice is not None
    assert 0 < (once.images.float() - twice.images.float()).abs().mean() < 4
