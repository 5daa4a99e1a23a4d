"""Write a model as ONNX files, which run without torch, and say how far they differ from it."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from dovetail.data.records import DataError
from dovetail.data.sources import Columns, open_source
from dovetail.evaluation.adapter import Embedder
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.intervals import difference
from dovetail.evaluation.result import Result
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.export import FILES, OPSET, quantize
from dovetail.models.export import export as write_onnx
from dovetail.models.exported import Exported
from dovetail.models.pretrained import load

TEXTS = ("a photo of a cat", "two dogs play in the snow in front of a red house", "grey")


def export(
    run: str,
    out: Path,
    to: Literal["onnx"] = "onnx",
    int8: bool = False,
    data: list[str] | None = None,
    columns: Columns = Columns(),  # noqa: B008 (frozen)
    limit: int | None = None,
) -> None:
    """Write a model as ONNX files, which run without torch, and say how far they differ from it.

    Args:
        run: a run's folder, a checkpoint of any layout, or a hub id.
        out: the folder to write into; made if missing.
        to: the format; there is onnx.
        int8: also write towers with weights of 8 bits, and measure with --data what that costs.
        data: captioned images (files, folders, tar shards or hub ids) to measure retrieval on.
        columns: which columns of a table hold what; guessed by name otherwise.
        limit: measure no more than so many images of each.
    """
    console = Console()
    if int8 and not data:
        raise DataError("--int8 costs recall; name captioned images with --data, so that the loss is measured")
    model = load(run)
    write_onnx(model, out)
    if int8:
        quantize(out)
    names = [name for precision in ("float32", "int8")[: 1 + int8] for name in FILES[precision].values()]
    for name in names:
        console.print(f"{out / name}  {_megabytes(out / name):,.1f} MB", highlight=False, soft_wrap=True)
    console.print(f"opset {OPSET}; the vectors differ from torch's by at most {parity(model, Exported(out)):.1e}")
    for spec in data or []:
        found = _measured(model, out, spec, columns, limit, ("float32", "int8")[: 1 + int8])
        console.print(_table(spec, found))


def parity(model: DualEncoder, exported: Exported) -> float:
    """The greatest difference of a number between the vectors of a few pictures and texts here and there."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (60 + 20 * i, 90, 3), dtype=np.uint8) for i in range(3)]
    pairs = [
        (model.encode_image(pictures), exported.encode_image(pictures)),
        (model.encode_text(TEXTS), exported.encode_text(TEXTS)),
        (model.encode_text(TEXTS[1]), exported.encode_text(TEXTS[1:2])),
    ]
    return max(float(np.abs(ours - theirs).max()) for ours, theirs in pairs)


def _measured(
    model: DualEncoder, out: Path, spec: str, columns: Columns, limit: int | None, precisions: tuple[str, ...]
) -> dict[str, Result]:
    """Retrieval by torch and by each export."""
    models: dict[str, Any] = {"torch": Embedder(model), **{f"onnx {p}": Exported(out, p) for p in precisions}}
    return {
        name: RetrievalBenchmark(open_source(spec, columns), name, limit=limit)(each) for name, each in models.items()
    }


def _table(spec: str, found: dict[str, Result]) -> Table:
    """A line a figure: torch's, and by how much each export differs, with its interval."""
    first, *others = found.values()
    counts = ", ".join(f"{count:,} {what}" for what, count in first.counts.items())
    table = Table(title=f"retrieval on {spec}: {counts}", title_justify="left")
    table.add_column("figure, in %")
    table.add_column(first.name, justify="right")
    for other in others:
        table.add_column(f"{other.name}, minus torch", justify="right")
    for name in (n for n in first if "/R@" in n or n == "mean_recall"):
        table.add_row(name, str(first[name]), *(str(difference(other[name], first[name])) for other in others))
    return table


def _megabytes(path: Path) -> float:
    beside = path.with_name(path.name + ".data")  # weights of large models
    return sum(p.stat().st_size for p in (path, beside) if p.exists()) / 1e6
