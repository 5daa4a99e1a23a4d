"""Images a second from disk to a training batch, against the image library alone, open_clip's loaders and webdataset.

    python benchmarks/data.py --data DATA/coco.jsonl --out results/data_cpu.json

The first --photos pictures of --data are scaled until their longer side has so many pixels (--sides; 0 leaves them),
saved as JPEG (quality 90), and repeated as files of their own until there are --files. All of it lies in a temporary
folder, and after one reading in the system's memory: disks are not measured.

Every contender has the same files, target size, share of the area that is cropped, and number of workers. A measurement
starts the workers, drops the first batches and takes the time of the next --batches; contenders have their turn in
every round. Speeds are medians over rounds; the ratio is the median of that to Pillow's decode in the same round.
"""

import argparse
import csv
import gc
import random
import statistics
import tarfile
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from loaders import CONTENDERS, Work
from measuring import save

from dovetail.data.cache import Cache, Shrunk, fill
from dovetail.data.images import as_bytes, decode
from dovetail.data.loading import cores
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.records import Record
from dovetail.data.sources import Table, open_source
from dovetail.data.text import Tokenizer, train_bpe

LIMIT = "decode, reduced"
PROFILED = 32  # pictures whose stages are timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a table of photos with captions")
    parser.add_argument("--sides", type=int, nargs="+", default=[500, 2000])
    parser.add_argument("--sizes", type=int, nargs="+", default=[112, 224])
    parser.add_argument("--photos", type=int, default=32)
    parser.add_argument("--files", type=int, default=256)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--batches", type=int, default=6)
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows, kept, stages = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for side in options.sides:
            place = Path(folder, str(side))
            made = photos(options.data, side, place, options)
            for size in options.sizes:
                work = Work(*made, place / "cache", words(made[0]), Preprocessing(size), options.batch, options.workers)
                kept.append({"side": side, "size": size} | keep(work))
                stages += [{"side": side, "size": size} | row for row in profile(work)]
                rows += [{"side": side, "size": size} | row for row in measure(work, options)]
    told = {name: what for name, (what, _) in CONTENDERS.items()}
    print("\n\n".join((table(rows), stages_table(stages), cache_table(kept))))
    asked = {k: v for k, v in vars(options).items() if k not in ("out", "data")}
    save(options.out, {"options": asked, "contenders": told, "rows": rows, "stages": stages, "cache": kept})


def photos(
    data: str, side: int, place: Path, options: argparse.Namespace
) -> tuple[Path, tuple[Path, ...], tuple[Path, ...]]:
    """A table, its files and as many shards as workers, of the same pictures and captions."""
    source = open_source(data)
    assert isinstance(source, Table)
    found = [(_jpeg(source[i], side), source[i].captions[0].text) for i in range(min(options.photos, len(source)))]
    place.mkdir()
    files = tuple(place / f"{i:05d}.jpg" for i in range(options.files))
    shards = tuple(place / f"{i}.tar" for i in range(options.workers))
    with ExitStack() as opened, (place / "photos.tsv").open("w", newline="", encoding="utf-8") as out:
        tars = [opened.enter_context(tarfile.open(path, "w")) for path in shards]
        lines = csv.writer(out, delimiter="\t")
        lines.writerow(("filepath", "title"))
        for i, path in enumerate(files):
            content, caption = found[i % len(found)]
            path.write_bytes(content)
            lines.writerow((path, caption))
            _add(tars[i % len(tars)], path.name, content)
            _add(tars[i % len(tars)], path.stem + ".txt", caption.encode())
    return place / "photos.tsv", files, shards


def _jpeg(record: Record, side: int) -> bytes:
    image, out = decode(record.image), BytesIO()
    scale = side / max(image.size) if side else 1.0
    image.resize((round(image.width * scale), round(image.height * scale))).save(out, "JPEG", quality=90)
    return out.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, BytesIO(content))


def words(path: Path) -> Tokenizer:
    """A tokenizer of the captions."""
    with path.open(encoding="utf-8", newline="") as file:
        return train_bpe([line["title"] for line in csv.DictReader(file, delimiter="\t")], 2000)


def measure(work: Work, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Images a second of every contender, and over those of Pillow's decode in the same round."""
    speeds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(options.rounds):
        for name, (_, make) in CONTENDERS.items():
            speeds[name].append(speed(lambda make=make: make(work), work, options.batches))  # type: ignore[misc]
    return [
        {
            "contender": name,
            "images_per_second": statistics.median(found),
            "of_limit": statistics.median(a / b for a, b in zip(found, speeds[LIMIT], strict=True)),
        }
        for name, found in speeds.items()
    ]


def speed(make: Callable[[], Iterator[Any]], work: Work, count: int) -> float:
    """Images a second once the workers are busy."""
    batches = make()
    for _ in range(max(1, work.workers)):
        next(batches)
    started = time.perf_counter()
    for _ in range(count):
        next(batches)
    seconds = time.perf_counter() - started
    del batches
    gc.collect()  # ends the workers
    return count * work.batch / seconds


def profile(work: Work) -> list[dict[str, Any]]:
    """Milliseconds of one core a picture, by stage of Dovetail's way; the least of some rounds, means over pictures."""
    table = open_source(work.table)
    assert isinstance(table, Table)
    records = [table[i] for i in range(min(PROFILED, len(table)))]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker
    rounds = [[timed(work, record, seed) for seed, record in enumerate(records)] for _ in range(5)]
    texts = [record.captions[0].text for record in records]
    tokens = min(timeit.repeat(lambda: work.tokenizer(texts), number=1)) / len(texts)
    torch.set_num_threads(threads)
    least = torch.tensor(rounds, dtype=torch.float64).amin(0).mean(0).tolist()
    named = zip(("decode", "draw the view", "crop, resize, lay out", "tokenize"), [*least, tokens], strict=True)
    return [{"stage": name, "ms": 1e3 * seconds} for name, seconds in named]


def timed(work: Work, record: Record, seed: int) -> tuple[float, float, float]:
    """Seconds of decoding a picture, of drawing its view, and of making the square."""
    out = torch.empty(3, work.how.size, work.how.size, dtype=torch.uint8)
    begun = time.perf_counter()
    image = decode(record.image, at_least=work.how.at_least)
    decoded = time.perf_counter()
    view = work.how.part(*image.size, random.Random(seed))
    drawn = time.perf_counter()
    work.how.cut(as_bytes(image), view, out)
    return decoded - begun, drawn - decoded, time.perf_counter() - drawn


def keep(work: Work) -> dict[str, Any]:
    """Fills the cache: images a second, bytes an image, and by how much its training views differ (grey levels)."""
    table, shrunk = open_source(work.table), Shrunk.of(work.how)
    assert isinstance(table, Table)
    started = time.perf_counter()
    for _ in fill(work.cache, shrunk, [table], work.workers):
        pass
    seconds = time.perf_counter() - started
    held = sum(path.stat().st_size for path in shrunk.place(work.cache).iterdir())
    cache, differ = Cache(work.cache, shrunk), []
    for i in range(min(PROFILED, len(table))):
        pair = torch.empty(2, 3, work.how.size, work.how.size, dtype=torch.uint8)
        for out, pixels in zip(pair, (as_bytes(shrunk.decoded(table[i])), cache(table[i])), strict=True):
            work.how.cut(pixels, work.how.part(pixels.shape[1], pixels.shape[0], random.Random(i)), out)
        differ.append((pair[0].float() - pair[1].float()).abs().mean().item())
    return {
        "shorter_side": shrunk.side,
        "images_per_second": len(table) / seconds,
        "bytes_per_image": held / len(table),
        "difference": statistics.mean(differ),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a row for each contender, images a second and what that is of Pillow's decode."""
    columns = list(dict.fromkeys(map(task, rows)))
    lines = [f"| images/s, of the limit | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for name in CONTENDERS:
        found = [row for row in rows if row["contender"] == name]
        cells = [f"{row['images_per_second']:,.0f}, {row['of_limit']:.2f}" for row in found]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def stages_table(stages: list[dict[str, Any]]) -> str:
    """Markdown: milliseconds of one core a picture."""
    columns = list(dict.fromkeys(map(task, stages)))
    lines = [f"| ms of a core | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for name in dict.fromkeys(row["stage"] for row in stages):
        cells = [f"{row['ms']:.2f}" for row in stages if row["stage"] == name]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cache_table(kept: list[dict[str, Any]]) -> str:
    """Markdown: what the cache takes and changes."""
    lines = ["| cache | shorter side | kB an image | images/s to fill | difference |", "|---|---|---|---|---|"]
    for row in kept:
        figures = f"{row['bytes_per_image'] / 1e3:,.0f} | {row['images_per_second']:,.0f} | {row['difference']:.2f}"
        lines.append(f"| {task(row)} | {row['shorter_side']} | {figures} |")
    return "\n".join(lines)


def task(row: dict[str, Any]) -> str:
    """What was measured: photos of which longer side, to squares of which size."""
    return f"{row['side'] or 'as is'} to {row['size']}"


if __name__ == "__main__":
    main()
