"""Write a model in the layout of another library, or in Dovetail's own."""

from pathlib import Path
from typing import Literal

from rich.console import Console

from dovetail.data.records import DataError
from dovetail.models.convert import converted, written
from dovetail.models.resize import STRETCHES


def convert(
    name: str,
    out: Path,
    to: Literal["transformers", "open_clip", "dovetail"] = "dovetail",
    size: int | None = None,
    context: int | None = None,
    stretch: Literal["linear", "preserving"] = "linear",
) -> None:
    """Write a model in the layout of another library, or in Dovetail's own.

    Nothing is sent anywhere. Weights keep their precision and every bit, unless positions are resized.

    Args:
        name: a run, a checkpoint folder or file, a peft adapter's folder (which is merged), or a hub id.
        out: a new folder.
        to: the layout.
        size: pixels a side of the pictures that it shall read; image positions are resized bicubically.
        context: tokens that a text may have; text positions are stretched.
        stretch: how text positions are stretched: linear moves all, preserving keeps the first 20 (Long-CLIP).
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} exists already; choose another --out, nothing was changed")
    model = converted(name, size, context, STRETCHES[stretch])
    written(model, to, out)
    Console(stderr=True).print(f"{name} as {to}: {out}", soft_wrap=True)
