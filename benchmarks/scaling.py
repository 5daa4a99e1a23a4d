"""How cost grows with the size of the batch, the gallery and the data: seconds, memory, and the fitted exponents.

    python benchmarks/scaling.py --out results/scaling_cpu.json --figure scaling.svg

Every size of every question is measured in a process of its own, after a small run that makes what is made once. Time:
the median of up to --rounds runs, fewer where one takes long. Memory: the most bytes of the first run beyond those held
before. An exponent is the slope of a straight line through the logarithms, by least squares, over the sizes in the
table; of memory it is low where a part of fixed size (a tile of scores) outweighs the rest.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import alone, cost, save
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from dovetail.catalogue import build, discover
from dovetail.contracts import Features, PairLoss, Similarity
from dovetail.data.images import decode
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.records import Caption, Record
from dovetail.data.sources import Source, open_source
from dovetail.data.sources.table import RecordTable
from dovetail.data.stream import Plan
from dovetail.data.survey import survey
from dovetail.data.text import train_bpe
from dovetail.evaluation.embed import embed
from dovetail.evaluation.matching import Matching
from dovetail.models.sizes import PLANS
from dovetail.ops.contrast import contrast
from dovetail.ops.sides import Side
from dovetail.training.assemble import make_model, make_objective

PICTURES = 1000  # files that the tables refer to, each under many paths
QUERIES = 1000
ENOUGH = 4.0  # seconds after which nothing is run again
KEYS = ("seconds", "bytes")
SMALL = 64  # size of the run before those that count
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
Steps = Iterator[tuple[str, Callable[[], object]]]
"""What is measured, in this order: its name and the call. `size` and a folder for its files are the last arguments."""
Question = Callable[[int, Path], Steps]
Row = dict[str, Any]


def loss_steps(name: str, similarity: str, width: int, size: int, folder: Path) -> Steps:
    """A pair loss on the contrast engine, forward and backward, at a batch of `size`."""
    torch.manual_seed(0)
    loss, compare = build(name, PairLoss), build(similarity, Similarity)
    scale = torch.tensor(loss.initial_scale, device=DEVICE)
    bias = None if loss.initial_bias is None else torch.tensor(loss.initial_bias, device=DEVICE)
    left, right = (_unit(size, width).requires_grad_() for _ in range(2))
    ids, weights = torch.arange(size, device=DEVICE), torch.ones(size, device=DEVICE)

    def run() -> None:
        left.grad = right.grad = None
        rows, cols = (Side(Features(x), ids, weights) for x in (left, right))
        contrast(rows, cols, compare, loss, scale, bias).backward()

    yield f"loss: {name}", run


def retrieval_steps(similarity: str, width: int, size: int, folder: Path) -> Steps:
    """The ranks of a fixed number of queries in a gallery of `size`."""
    torch.manual_seed(0)
    asked = min(QUERIES, size)
    queries, gallery = (Features(_unit(n, width)) for n in (asked, size))
    compare, ids = build(similarity, Similarity), torch.arange(size)
    yield f"retrieval: {QUERIES:,} queries", lambda: Matching(queries, gallery, ids[:asked], ids, compare).ranks()


def _unit(size: int, width: int) -> Tensor:
    return F.normalize(torch.randn(size, width), dim=1).to(DEVICE)


def table_steps(size: int, folder: Path) -> Steps:
    """A csv of `size` rows, each an image of its own: opened, looked at, and the first batch of a training on it."""
    path = _csv(size, folder)
    held: dict[str, Source] = {}

    def opening() -> None:
        held["table"] = open_source(path)

    yield "csv: opened", opening
    source = held["table"]
    yield "csv: surveyed", lambda: survey(source, decode)
    yield "csv: first batch", lambda: next(Plan([source], 256).batches())


def _csv(size: int, folder: Path) -> Path:
    """A few small pictures, folders that lead to them under other names, and a table of all their paths."""
    real = folder / "real"
    real.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    for i in range(min(size, PICTURES)):
        Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(real / f"{i}.jpg")
    for j in range(-(-size // PICTURES)):
        (folder / f"part{j}").symlink_to(real, target_is_directory=True)
    path = folder / f"{size}.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("filepath,title\n")
        for i in range(size):
            file.write(f"part{i // PICTURES}/{i % PICTURES}.jpg,thing {i} on a table beside {size - i} others\n")
    return path


def embedding_steps(similarity: str, size: int, folder: Path) -> Steps:
    """`size` small pictures with a caption each, embedded to disk by a model of size micro, and read again."""
    pixels = np.random.default_rng(0).integers(0, 256, (SMALL, 32, 32, 3), dtype=np.uint8)
    said = [f"thing {i} on a table" for i in range(size)]
    table = RecordTable([Record(pixels[i % SMALL], (Caption(text),), text, i) for i, text in enumerate(said)])
    plan, objective = PLANS["micro"], make_objective(similarity)
    tokenizer = train_bpe(said[:SMALL], plan.vocabulary, plan.context)
    model = make_model(plan, None, None, tokenizer, Preprocessing(), objective).to(DEVICE).eval()
    run = count()
    yield "embeddings: written", lambda: list(embed(model, table, folder / str(next(run)), 0))
    files = sorted((folder / "0").glob("*.npy"))
    yield "embeddings: read", lambda: [np.load(path) for path in files]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--losses", nargs="*", default=["infonce", "siglip"], help="pair losses of the catalogue")
    parser.add_argument("--similarity", default="cosine", help="of the catalogue")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--batches", type=int, nargs="*", default=[1024, 2048, 4096, 8192, 16384])
    parser.add_argument("--galleries", type=int, nargs="*", default=[10_000, 20_000, 40_000, 80_000, 160_000])
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], help="of a csv")
    parser.add_argument("--records", type=int, nargs="*", default=[512, 1024, 2048, 4096], help="to embed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--figure", type=Path, help="where to draw the table, .svg or .png")
    options = parser.parse_args()
    discover()  # here, so that no process has to import all methods
    rows = measure(questions(options), options.rounds)
    fits = [fit(name, some) for name, some in by_name(rows).items() if len(some) > 1]
    print(table(rows), table_of_fits(fits), sep="\n\n")
    save(options.out, {"width": options.width, "similarity": options.similarity, "rows": rows, "fits": fits})
    if options.figure:
        draw(rows, options.figure)


def questions(options: argparse.Namespace) -> Iterator[tuple[Question, int]]:
    """Everything to measure, at every size."""
    losses = [partial(loss_steps, name, options.similarity, options.width) for name in options.losses]
    yield from product(losses, options.batches)
    yield from product([partial(retrieval_steps, options.similarity, options.width)], options.galleries)
    yield from product([table_steps], options.rows)
    yield from product([partial(embedding_steps, options.similarity)], options.records)


def measure(asked: Iterable[tuple[Question, int]], rounds: int) -> list[Row]:
    """The rows of the table. Raises RuntimeError when a process did not survive."""
    rows: list[Row] = []
    for question, size in asked:
        found = alone(one, question, size, rounds)
        if found is None:
            raise RuntimeError(f"{question} did not survive at {size:,}; where memory is short, give smaller sizes")
        rows += found
    return rows


def one(question: Question, size: int, rounds: int) -> list[Row]:
    """Seconds and bytes of each step at one size."""
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "small"), Path(folder, "large")
        small.mkdir()
        large.mkdir()
        for _, call in question(SMALL, small):
            call()
        rows = []
        for name, call in question(size, large):
            _, seconds, needed = cost(call)
            taken = [seconds]
            while len(taken) < rounds and sum(taken) < ENOUGH:
                taken.append(cost(call)[1])
            rows.append({"name": name, "size": size, "seconds": statistics.median(taken), "bytes": needed})
        return rows


def by_name(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each question."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["name"], []).append(row)
    return found


def fit(name: str, rows: list[Row]) -> Row:
    """The exponents of one question's rows, and the range of sizes they were fitted on."""
    sizes = [row["size"] for row in rows]
    slopes = {key: _slope(sizes, [row[key] for row in rows]) for key in KEYS}
    return {"name": name, "from": min(sizes), "to": max(sizes), **slopes}


def _slope(sizes: list[int], values: list[float]) -> float | None:
    """Of the least-squares line through the logarithms; None where a value is 0."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0]) if min(values) > 0 else None


def table(rows: list[Row]) -> str:
    """Markdown: what was measured at each size."""
    lines = ["| what | size | s | MiB |", "|---|---|---|---|"]
    cells = ((r["name"], f"{r['size']:,}", f"{r['seconds']:.3g}", f"{r['bytes'] / 2**20:,.1f}") for r in rows)
    return "\n".join([*lines, *(f"| {' | '.join(c)} |" for c in cells)])


def table_of_fits(fits: list[Row]) -> str:
    """Markdown: the exponents."""
    lines = ["| what | sizes | exponent of time | exponent of memory |", "|---|---|---|---|"]
    for f in fits:
        slopes = ["" if f[key] is None else f"{f[key]:.2f}" for key in KEYS]
        lines.append(f"| {f['name']} | {f['from']:,} to {f['to']:,} | {' | '.join(slopes)} |")
    return "\n".join(lines)


def draw(rows: list[Row], path: Path) -> None:
    """Time and memory over size, both axes logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    for axes, key, label, unit in zip(figure.subplots(1, 2), KEYS, ("seconds", "MiB"), (1, 2**20), strict=True):
        for name, some in by_name(rows).items():
            axes.loglog([r["size"] for r in some], [r[key] / unit for r in some], "o-", label=name)
        axes.set(xlabel="size (batch, gallery, rows, records)", ylabel=label)
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    figure.savefig(path)


if __name__ == "__main__":
    main()
