"""Resized pictures on disk, for data that is seen many times: reading one takes a fraction of the time of decoding it.

A picture is kept as decoded for training (see `images.decode`) and shrunk until its shorter side has the pixels that
`Preprocessing.at_least` asks for; a smaller one as it is. Training views are then crops of the kept picture: resized
twice instead of once, with the corners of the crop on its pixels. Evaluation never reads it.

A picture is found by where it came from: path, size and time of change of a file, the content of anything else. One
that has changed, or is not there, is decoded and shrunk in the same way, so what a batch holds does not depend on how
much of the cache is filled. Nothing is ever deleted; the folder may be, when no run uses it.

A shard file holds the bytes of pictures (h w 3) one after another, then an entry for each, then MAGIC and their
number. It is written beside and renamed: a kill costs the shards at work, and any number of processes may fill and
read one folder.
"""

import os
import shutil
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from dovetail.data.collate import Draw, Loaded
from dovetail.data.images import ImageProblem, as_bytes, decode
from dovetail.data.loading import loader
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.records import DataError, ImageLike, Record
from dovetail.data.sources.kinds import Source, Table

SHARD = 256  # pictures
SAMPLE = 64  # pictures from which the space is estimated
STALE = 3600.0  # seconds after which an unfinished file is taken for one that a killed process left
MAGIC = b"DOVEPIX1"
SUFFIX = ".pictures"
_ENTRY = np.dtype([("key", "<u8", 2), ("offset", "<u8"), ("height", "<u4"), ("width", "<u4")])
_END = np.dtype([("magic", "S8"), ("count", "<u8")])


@dataclass(frozen=True)
class Shrunk:
    """A record's picture as the cache keeps it. side: pixels of the shorter side at most."""

    side: int
    interpolation: str

    @staticmethod
    def of(how: Preprocessing) -> "Shrunk":
        """What this preprocessing needs for training, lest a crop be enlarged."""
        return Shrunk(how.at_least, how.interpolation)

    def decoded(self, record: Record) -> Image.Image:
        """As it is for training without a cache. Raises ImageProblem."""
        return decode(record.image, at_least=self.side)

    def __call__(self, record: Record) -> Image.Image:
        """Decoded and shrunk. Raises ImageProblem."""
        image = self.decoded(record)
        short = min(image.size)
        if short <= self.side:
            return image
        width, height = (max(1, round(side * self.side / short)) for side in image.size)
        return image.resize((width, height), Image.Resampling[self.interpolation.upper()])

    def place(self, folder: Path) -> Path:
        """Where in a cache such pictures lie: one folder may serve several models."""
        return folder / f"{self.side}-{self.interpolation}"


class Cache:
    """The pictures kept in `folder` when it was opened, and those that are not, decoded; see `collate.Pictures`."""

    def __init__(self, folder: Path, shrunk: Shrunk) -> None:
        self.shrunk = shrunk
        self._paths = sorted(shrunk.place(folder).glob("*" + SUFFIX))
        read = [_entries(path) for path in self._paths]
        entries = np.concatenate([np.empty(0, _ENTRY), *read])
        order = np.argsort(entries["key"][:, 0], kind="stable")
        self._entries, self._firsts = entries[order], entries["key"][order, 0]
        self._shard = np.repeat(np.arange(len(read)), [len(one) for one in read])[order]

    def __len__(self) -> int:
        return len(self._entries)

    def __call__(self, record: Record) -> UInt8[Tensor, "height width c"]:
        """The bytes of the record's picture. Raises ImageProblem; DataError for a shard that was cut off meanwhile."""
        key = fingerprint(record.image)
        at = None if key is None else self._find(key)
        if at is None:
            return as_bytes(self.shrunk(record))
        entry, path = self._entries[at], self._paths[self._shard[at]]
        height, width = int(entry["height"]), int(entry["width"])
        held = np.fromfile(path, np.uint8, height * width * 3, offset=int(entry["offset"]))
        if len(held) < height * width * 3:
            raise DataError(f"{path}: the file is shorter than when it was opened; delete it, it is made again")
        return torch.from_numpy(held).view(height, width, 3)

    def holds(self, key: tuple[int, int]) -> bool:
        """Whether the picture of this fingerprint is kept."""
        return self._find(key) is not None

    def _find(self, key: tuple[int, int]) -> int | None:
        at = int(np.searchsorted(self._firsts, np.uint64(key[0])))
        while at < len(self._firsts) and int(self._firsts[at]) == key[0]:
            if int(self._entries["key"][at, 1]) == key[1]:
                return at
            at += 1
        return None


def fill(folder: Path, shrunk: Shrunk, sources: Sequence[Source], workers: int) -> Iterator[tuple[int, int]]:
    """Keeps all pictures of tables that `folder` does not hold yet; yields how many records are done, and of how many.

    A picture that cannot be used is left out; whoever reads the data names it. Killed, and called again, it goes on.
    Raises DataError for a stream, and when the disk has too little room.
    """
    tables = [source for source in sources if isinstance(source, Table)]
    if streams := [source.name for source in sources if not isinstance(source, Table)]:
        raise DataError(f"{', '.join(streams)}: a stream is read once and cannot be cached; leave --cache out")
    place = shrunk.place(folder)
    place.mkdir(parents=True, exist_ok=True)
    for part in place.glob("*.part"):
        if time.time() - part.stat().st_mtime > STALE:
            part.unlink(missing_ok=True)
    cache, total = Cache(folder, shrunk), sum(map(len, tables))
    check_room(cache, place, tables)
    passed: deque[int] = deque()
    for _ in loader(_missing(cache, tables, passed), _Keep(place, shrunk), workers):
        yield passed.popleft(), total
    yield total, total


def check_room(cache: Cache, place: Path, tables: Sequence[Table]) -> None:
    """Raises DataError when what a sample of the records needs, times their number, is more than the disk has free."""
    needed = 0.0
    for table in tables:
        chosen = sorted({round(x) for x in np.linspace(0, len(table) - 1, min(SAMPLE, len(table)))})
        needed += sum(_space(cache, table[i]) for i in chosen) / len(chosen) * len(table)
    free = shutil.disk_usage(place).free
    if needed > free:
        raise DataError(
            f"{place}: resized to {cache.shrunk.side} pixels the pictures need about {needed / 1e9:.1f} GB and"
            f" {free / 1e9:.1f} GB are free; make room, choose another --cache or leave it out"
        )


def fingerprint(image: ImageLike) -> tuple[int, int] | None:
    """128 bits that change with the picture: of a file its path, size and time of change, else the content.

    None for a file that is not there. Raises ImageProblem for a picture in memory that cannot be used.
    """
    if isinstance(image, Path):
        try:
            found = image.stat()
        except OSError:
            return None
        return _digest(os.fsencode(os.path.abspath(image)), f"{found.st_size} {found.st_mtime_ns}".encode())
    if isinstance(image, bytes):
        return _digest(image)
    picture = decode(image)
    return _digest(picture.tobytes(), repr(picture.size).encode())


def _digest(*parts: bytes) -> tuple[int, int]:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    held = digest.digest()
    return int.from_bytes(held[:8], "little"), int.from_bytes(held[8:], "little")


def _missing(cache: Cache, tables: Sequence[Table], passed: deque[int]) -> Iterator[list[Draw]]:
    """The records to keep, a shard at a time; notes for each shard how many records have been passed with it."""
    wanted: list[Draw] = []
    seen: set[tuple[int, int]] = set()
    number = 0
    for table in tables:
        for i in range(len(table)):
            number += 1
            record = table[i]
            key = _usable(record)
            if key is None or key in seen or cache.holds(key):
                continue
            seen.add(key)
            wanted.append(Draw(record))
            if len(wanted) == SHARD:
                passed.append(number)
                yield wanted
                wanted = []
    if wanted:
        passed.append(number)
        yield wanted


def _usable(record: Record) -> tuple[int, int] | None:
    try:
        return fingerprint(record.image)
    except ImageProblem:
        return None


def _space(cache: Cache, record: Record) -> int:
    """Bytes that the record's picture will take."""
    try:
        key = fingerprint(record.image)
        if key is None or cache.holds(key):
            return 0
        width, height = cache.shrunk(record).size
        return width * height * 3
    except ImageProblem:
        return 0


@dataclass(frozen=True)
class _Keep:
    """Writes a shard of the pictures of some records; the collate of a loader that gives no batches."""

    place: Path
    shrunk: Shrunk

    def __call__(self, draws: Sequence[Draw]) -> Loaded:
        keys = [_usable(draw.record) for draw in draws]  # before they are decoded: a later change is then seen
        name = blake2b(repr(keys).encode(), digest_size=16).hexdigest()
        part = self.place / f"{name}-{os.getpid()}.part"
        try:
            if self._write(part, [(key, draw.record) for key, draw in zip(keys, draws, strict=True) if key]):
                os.replace(part, self.place / (name + SUFFIX))
            else:  # broken pictures only, which are tried again in every run
                part.unlink()
        except OSError as error:
            part.unlink(missing_ok=True)
            raise DataError(
                f"{self.place}: the cache cannot be written ({error}); make room or leave --cache out"
            ) from error
        return Loaded(None)

    def _write(self, part: Path, wanted: Sequence[tuple[tuple[int, int], Record]]) -> int:
        """How many of the pictures could be kept."""
        entries = []
        with part.open("wb") as file:
            for key, record in wanted:
                try:
                    pixels = np.asarray(self.shrunk(record))
                except ImageProblem:
                    continue
                entries.append((key, file.tell(), *pixels.shape[:2]))
                file.write(pixels.tobytes())
            file.write(np.array(entries, _ENTRY).tobytes())
            file.write(np.array([(MAGIC, len(entries))], _END).tobytes())
            file.flush()
            os.fsync(file.fileno())
        return len(entries)


def _entries(path: Path) -> np.ndarray:
    """A shard's entries; none of one that is damaged, whose pictures are then made again."""
    size = path.stat().st_size
    none = np.empty(0, _ENTRY)
    if size < _END.itemsize:
        return none
    end = np.fromfile(path, _END, 1, offset=size - _END.itemsize)[0]
    start = size - _END.itemsize - int(end["count"]) * _ENTRY.itemsize
    if end["magic"] != MAGIC or start < 0:
        return none
    entries = np.fromfile(path, _ENTRY, int(end["count"]), offset=start)
    bytes_ = entries["height"].astype(np.int64) * entries["width"] * 3
    return entries if int(bytes_.sum()) == start else none
